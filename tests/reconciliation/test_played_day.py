"""A day that is played end to end, with a break of every kind: all are found, and its month closes to the cent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.reconciliation.played import closing, scene
from tests.reconciliation.played.player import Month
from tests.reconciliation.played.world import EAST, FATES, OWN
from tests.sandbox_fixtures import SandboxClient

DAY = date(2026, 3, 30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("played")


@pytest.fixture(scope="module")
def month(database: Engine, sandbox: SandboxClient, module_patch: pytest.MonkeyPatch, folder: Path) -> Iterator[Month]:
    given: dict[str, Any] = {"first": DAY, "last": DAY, "stores": (EAST, OWN), "plain": 1}
    with scene.played(database, sandbox, folder, module_patch, **given) as made:
        yield made


def test_every_planted_break_is_found_and_rightly_named_and_nothing_else_is(
    month: Month, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closing.every_planted_break_is_found(month, folder, capsys)


def test_the_month_closes_and_its_totals_are_those_of_the_sandboxs_books(
    month: Month, capsys: pytest.CaptureFixture[str]
) -> None:
    closing.the_month_closes_and_its_totals_are_the_sandboxs(month, capsys)
    assert not {"MISSING_CHARGE", "LEDGER"} & closing.breaks_left(month)


def test_each_stores_day_is_that_of_its_own_clock_to_the_last_minute(month: Month) -> None:
    closing.every_day_is_the_stores_own(month)


def test_the_feeds_have_come_in_whole_with_what_was_wrong_in_them_set_aside(month: Month) -> None:
    with month.engine.connect() as connection:
        bad = connection.execute(text("select distinct column_name, reason from feed_quarantine")).all()
        orders = {row.shopping_trip_id: row for row in connection.execute(text("select * from amazon_order"))}
    assert bad == [("priceValue", "is not a number of at most four decimal places")]
    summary = month.sandbox.get("/sandbox/summary")["files"]
    assert summary["announced"] > summary["files"] > summary["rewritten"] > 0
    sound = [trip for trip in month.sandbox.get("/sandbox/books", store=EAST)["trips"]
             if trip["lines"] and month.world.fate[trip["shopping_trip_id"]] in ("", *FATES)]  # fmt: skip
    assert {trip["shopping_trip_id"]: sum(Decimal(line["total"]) for line in trip["lines"]) for trip in sound} == {
        trip["shopping_trip_id"]: orders[trip["shopping_trip_id"]].order_total for trip in sound
    }
