"""The lifecycle against the sandbox: Amazon's side by the interface pages, with its faults and its own books."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from backroom.amazon.payments import PaymentsClient
from backroom.amazon.sandbox_commands import app as sandbox_commands
from backroom.db.embedded import free_port
from backroom.errors import BackroomError, ConfigurationError
from backroom.settings import settings
from tests.charges.conftest import Books, add_store
from tests.sandbox_fixtures import SandboxClient

EVENING = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
STORE = "STORE-001"


@pytest.fixture(scope="module")
def store(database: Engine) -> Engine:
    add_store(database, STORE)
    return database


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, small_world: Path) -> Path:
    """The small world without feeds, so that time moves fast: the tests hand over the order rows themselves."""
    folder = tmp_path_factory.mktemp("without-feeds") / "world"
    shutil.copytree(small_world, folder)
    stores = json.loads((folder / "stores.json").read_text())
    (folder / "stores.json").write_text(json.dumps([{**store, "feeds": []} for store in stores]))
    return folder


@pytest.fixture
def real(store: Engine, sandbox: SandboxClient) -> Iterator[Books]:
    with PaymentsClient(settings().model_copy(update={"amazon_timeout_seconds": 1.0})) as client:
        yield Books(store, STORE, client)


@pytest.fixture
def begin(real: Books, sandbox: SandboxClient, world: Path) -> Callable[..., str]:
    """A live trip with a held pre-authorization, and our charge over it, with these faults of its calls."""

    def _begin(total: str = "12.30", **faults: str) -> str:
        plan = {"rates": {operation: {kind: 1.0} for operation, kind in faults.items()}}
        sandbox.post("/sandbox/load", {"world": str(world), "seed": 1, "faults": plan})
        sandbox.post("/sandbox/clock", {"now": EVENING.isoformat()})
        trip = str(sandbox.post("/sandbox/trips", {"store_id": STORE})["shoppingTripId"])
        return real.trip(total, at=EVENING, named=trip)

    return _begin


def until(sandbox: SandboxClient, real: Books, minutes: int, trip: str) -> dict[str, Any]:
    """Lets time pass on both sides in steps, with Amazon's order rows coming in; the sandbox's book of the trip."""
    for minute in range(0, minutes + 1, 15):
        now = EVENING + timedelta(minutes=minute)
        sandbox.post("/sandbox/clock", {"now": now.isoformat()})
        kept = book(sandbox, trip)
        if kept["updated_at"] and kept["order_status"] != "OPEN":
            at = datetime.fromisoformat(kept["updated_at"].replace("Z", "+00:00"))
            real.order(trip, kept["order_status"], kept["captured"], at=at)
        real.gather(now)
        real.work(now)
        real.post(now)
    return book(sandbox, trip)


def book(sandbox: SandboxClient, trip: str) -> dict[str, Any]:
    return next(one for one in sandbox.get("/sandbox/books")["trips"] if one["shopping_trip_id"] == trip)


def test_a_plain_trip_is_captured_once_and_both_books_agree(
    real: Books, sandbox: SandboxClient, begin: Callable[..., str]
) -> None:
    trip = begin("12.30")
    theirs = until(sandbox, real, 40, trip)
    assert (theirs["captured"], theirs["capture_count"]) == ("12.30", 1)
    assert (real.charge(trip)["state"], real.charge(trip)["captured"]) == ("CAPTURED", Decimal("12.30"))


def test_an_empty_cart_ends_its_hold(real: Books, sandbox: SandboxClient, begin: Callable[..., str]) -> None:
    trip = begin("0")
    theirs = until(sandbox, real, 20, trip)
    assert (theirs["cancelled"], theirs["captured"]) == (True, "0.00")
    assert real.charge(trip)["state"] == "CANCELLED"


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("adjust", "DROPPED_AFTER"),
        ("adjust", "DECLINED_ONCE"),
        ("adjust", "PENDING"),
        ("capture", "THROTTLED"),
        ("capture", "DROPPED_AFTER"),
        ("capture", "HANGS_AFTER"),
    ],
)
def test_a_fault_on_the_way_neither_loses_nor_doubles_the_money(
    real: Books, sandbox: SandboxClient, begin: Callable[..., str], operation: str, fault: str
) -> None:
    trip = begin("12.30", **{operation: fault})
    theirs = until(sandbox, real, 180 if fault == "PENDING" else 90, trip)
    assert (theirs["captured"], theirs["capture_count"]) == ("12.30", 1)
    assert (real.charge(trip)["state"], real.charge(trip)["captured"]) == ("CAPTURED", Decimal("12.30"))
    assert real.debt(trip) is None
    assert sandbox.get("/sandbox/summary")["forbidden"] == []


@pytest.mark.parametrize("operation", ["adjust", "settlement"])
def test_a_decline_is_a_debt_of_the_whole_total(
    real: Books, sandbox: SandboxClient, begin: Callable[..., str], operation: str
) -> None:
    trip = begin("12.30", **{operation: "DECLINED"})
    theirs = until(sandbox, real, 120, trip)
    assert theirs["captured"] == "0.00"
    debt = real.debt(trip)
    assert debt is not None
    assert debt["amount"] == Decimal("12.30")
    assert real.charge(trip)["state"] == "IN_DEBT"


def test_a_capture_that_never_happened_and_has_no_answer_waits_for_a_person(
    real: Books, sandbox: SandboxClient, begin: Callable[..., str]
) -> None:
    trip = begin("12.30", capture="SERVER_ERROR")
    until(sandbox, real, 200, trip)
    assert real.charge(trip)["state"] == "PARKED"
    assert real.cases(trip)[0]["kind"] == "UNKNOWN_CAPTURE"


def test_the_command_line_asks_for_a_live_trip_and_prints_its_id_alone(
    real: Books, sandbox: SandboxClient, begin: Callable[..., str]
) -> None:
    begin()
    asked = CliRunner().invoke(sandbox_commands, ["trip", "--store", STORE])
    assert asked.exit_code == 0
    assert book(sandbox, asked.output.strip())["authorized"] == "75.00"


def test_a_store_that_the_sandbox_does_not_know_is_one_clear_line(sandbox: SandboxClient, world: Path) -> None:
    with pytest.raises(BackroomError, match="started no trip in NOWHERE"):
        CliRunner().invoke(sandbox_commands, ["trip", "--store", "NOWHERE"], catch_exceptions=False)


def test_a_sandbox_that_is_not_there_is_one_clear_line(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKROOM_SANDBOX_PORT", str(free_port()))
    settings.cache_clear()
    with pytest.raises(ConfigurationError, match="make up"):
        CliRunner().invoke(sandbox_commands, ["trip"], catch_exceptions=False)
    monkeypatch.undo()
    settings.cache_clear()
