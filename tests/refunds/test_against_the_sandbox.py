"""Refunds over HTTP against the sandbox: Amazon's side by the interface pages, with its faults and its own books."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.amazon.payments import PaymentsClient
from backroom.amazon.refund_client import REASONS, RefundClient
from backroom.refunds.evidence import gather_evidence
from backroom.settings import settings
from tests.charges.conftest import add_store, hours
from tests.refunds.conftest import Till
from tests.sandbox_fixtures import SandboxClient

EVENING = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
STORE = "STORE-001"


@pytest.fixture(scope="module")
def aws_endpoint() -> str:
    """No AWS stand-in: a world without feeds needs none."""
    return ""


@pytest.fixture(scope="module")
def store(database: Engine) -> Engine:
    add_store(database, STORE)
    return database


class Sides:
    """Our till and Amazon's sandbox, on one clock."""

    def __init__(self, till: Till, sandbox: SandboxClient, world: Path) -> None:
        self.till, self.sandbox, self.world = till, sandbox, world
        self.now = EVENING

    def captured(self, total: str = "12.30", **faults: str) -> str:
        """A trip that both sides know, captured for good; these faults befall its calls."""
        plan = {"rates": {name: {kind: 1.0} for name, kind in faults.items()}, "retry_after_seconds": 600}
        self.sandbox.post("/sandbox/load", {"world": str(self.world), "seed": 1, "faults": plan})
        self.move(EVENING)
        trip = self.till.trip(total, at=EVENING, named=self.sandbox.post(
            "/sandbox/trips", {"store_id": STORE})["shoppingTripId"])  # fmt: skip
        self.till.work(EVENING)
        self.move(EVENING + hours(1))
        self.take_in_the_row(trip)
        self.till.gather(self.now)
        assert self.till.charge(trip)["state"] == "CAPTURED"
        return trip

    def move(self, now: datetime) -> None:
        self.now = now
        self.sandbox.post("/sandbox/clock", {"now": now.isoformat()})

    def run(self, trip: str, count: int = 1) -> None:
        """Runs of the pipeline, half an hour apart, with Amazon's order rows coming in."""
        for _ in range(count):
            self.move(self.now + timedelta(minutes=30))
            self.till.give_back(self.now, concurrency=1)
            self.take_in_the_row(trip)
            with self.till.engine.begin() as connection:
                gather_evidence(connection, now=self.now)
        self.till.post(self.now)

    def take_in_the_row(self, trip: str) -> None:
        kept = self.book(trip)
        at = datetime.fromisoformat(kept["updated_at"].replace("Z", "+00:00"))
        self.till.order(trip, kept["order_status"], kept["captured"], at=at)
        if Decimal(kept["refunded"]):
            self.till.told(trip, kept["refunded"], at=at)

    def book(self, trip: str) -> dict[str, Any]:
        books = self.sandbox.get("/sandbox/books")["trips"]
        return next(one for one in books if one["shopping_trip_id"] == trip)


@pytest.fixture
def sides(store: Engine, sandbox: SandboxClient, world_without_feeds: Path) -> Iterator[Sides]:
    config = settings().model_copy(update={"amazon_timeout_seconds": 0.5})
    with store.begin() as connection:
        connection.execute(text("delete from api_hold"))
    with PaymentsClient(config) as payments, RefundClient(config) as refunds:
        till = Till(store, STORE, payments, sandbox.url, refunds=refunds)
        till.set_store(refund_approval_above=Decimal(1000))
        yield Sides(till, sandbox, world_without_feeds)
    assert sandbox.get("/sandbox/summary")["forbidden"] == []


def agreed(sides: Sides, trip: str, refunded: str, *states: str) -> None:
    assert sides.book(trip)["refunded"] == refunded
    assert [state for _, _, state in sides.till.parts(trip)] == list(states)
    final = sum(Decimal(amount) for _, amount, state in sides.till.parts(trip) if state == "FINAL")
    assert final == Decimal(refunded)


def test_every_reason_is_taken_and_both_books_agree_to_the_cent(sides: Sides) -> None:
    trip = sides.captured()
    for number, reason in enumerate(REASONS, start=1):
        sides.till.ask(trip, f"0.{number:02d}", reason=reason, now=sides.now)
    sides.run(trip, 5)
    agreed(sides, trip, "0.15", *["FINAL"] * 5)


def test_a_whole_refund_leaves_nothing_that_amazon_would_still_give(sides: Sides) -> None:
    trip = sides.captured()
    sides.till.ask(trip, now=sides.now)
    sides.run(trip)
    agreed(sides, trip, "12.30", "FINAL")


@pytest.mark.parametrize("fault", ["DROPPED_AFTER", "HANGS_AFTER", "DROPPED_BEFORE", "UNAVAILABLE", "THROTTLED"])
def test_an_answer_that_is_lost_or_bad_gives_the_money_once(sides: Sides, fault: str) -> None:
    trip = sides.captured(refund=fault)
    made = sides.till.ask(trip, "5", now=sides.now)
    sides.run(trip, 5)
    agreed(sides, trip, "5.00", "FINAL")
    keys = sides.till.rows(
        "select distinct a.request ->> 'refundRequestId' as key from refund_attempt a join refund r using (refund_id)"
        " where r.shopping_trip_id = :t", t=trip,
    )  # fmt: skip
    assert [row["key"] for row in keys] == [made.parts[0].refund_request_key]


def test_a_refund_that_amazon_refuses_waits_for_a_person(sides: Sides) -> None:
    trip = sides.captured()
    made = sides.till.ask(trip, "5", now=sides.now)
    sides.move(EVENING + timedelta(days=31))  # beyond Amazon's own window, whatever ours is
    sides.run(trip)
    assert sides.till.parts(trip) == [("CAPTURE", "5.00", "PARKED")]
    assert [case["kind"] for case in sides.till.questions(made)] == ["REFUND_REFUSED"]
    assert sides.book(trip)["refunded"] == "0.00"


def test_what_waits_for_the_capture_goes_once_amazon_has_settled_it(sides: Sides) -> None:
    trip = sides.captured()
    sides.till.ask(trip, "1", now=sides.now)
    other = sides.till.trip("8.00", at=sides.now, named=sides.sandbox.post(
        "/sandbox/trips", {"store_id": STORE})["shoppingTripId"])  # fmt: skip
    sides.till.ask(other, "3", now=sides.now)
    sides.till.work(sides.now)
    sides.run(trip)
    assert sides.till.parts(other) == [("CAPTURE", "3.00", "WAITING")]
    sides.take_in_the_row(other)
    sides.till.gather(sides.now)
    sides.run(other, 2)
    agreed(sides, other, "3.00", "FINAL")
