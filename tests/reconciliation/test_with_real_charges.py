"""The charge's own history and the ledger's own bookings, held together with Amazon's orders."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from backroom.charges import history
from backroom.charges.history import News
from backroom.charges.opening import open_charge
from backroom.charges.states import Event, Kind, Source
from backroom.ledger.book import post_new
from tests.reconciliation.conftest import ENDED, Books, Item

TOTAL = Decimal("8.12")
STORIES = {  # what happened to a charge, and what Amazon's order then says: (status, captured)
    "captured": (
        [(Kind.ADJUST_APPROVED, TOTAL), (Kind.CAPTURE_INITIATED, TOTAL), (Kind.CAPTURE_APPROVED, TOTAL)],
        "SETTLED",
        "8.12",
    ),
    "partly held": (
        [(Kind.ADJUST_APPROVED, Decimal(5)), (Kind.CAPTURE_INITIATED, Decimal(5)), (Kind.CAPTURE_APPROVED, Decimal(5))],
        "SETTLED",
        "5.00",
    ),
    "declined later": (
        [(Kind.ADJUST_APPROVED, TOTAL), (Kind.CAPTURE_INITIATED, TOTAL), (Kind.CAPTURE_DECLINED, None)],
        "CANCELLED",
        "0",
    ),
    "declined": (
        [(Kind.ADJUST_DECLINED, None), (Kind.DECLINES_EXHAUSTED, None), (Kind.CANCEL_INITIATED, None)],
        "CANCELLED",
        "0",
    ),
    "begun": ([(Kind.ADJUST_APPROVED, TOTAL), (Kind.CAPTURE_INITIATED, TOTAL)], "OPEN", "0"),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_charge_as_it_really_happens_ties_on_all_sides(books: Books, story: str) -> None:
    happened, status, captured = STORIES[story]
    trip = f"{books.store_id}-REAL"
    books.purchase(trip, (Item(),), entry_method="APP", ended=ENDED)
    open_charge(
        books.connection, shopping_trip_id=trip, store_id=books.store_id, currency="USD", total=TOTAL,
        trip_started_at=ENDED - timedelta(minutes=9), now=ENDED, reason="PRICED",
    )  # fmt: skip
    last = _tell(books, trip, happened)
    books.order(trip, (Item(),), status=status, captured=Decimal(captured), entry_method="APP", ended=ENDED, at=last)
    post_new(books.connection, now=last)

    summary = books.reconcile(now=last + timedelta(minutes=61))

    outcome, note = books.outcome(trip)
    assert books.breaks() == []
    assert outcome == ("EXPECTED" if story == "begun" else "MATCHED"), note
    checks = books.connection.exec_driver_sql(
        "select figures -> 'checks' from reconciliation_run where run_id = %s", (summary.run_id,)
    ).scalar_one()
    assert [check["what"] for check in checks if not check["ties"]] == []


def test_events_that_the_ledger_has_not_booked_yet_are_a_break_an_hour_later(books: Books) -> None:
    trip = f"{books.store_id}-REAL"
    books.purchase(trip, (Item(),), entry_method="APP", ended=ENDED)
    open_charge(
        books.connection, shopping_trip_id=trip, store_id=books.store_id, currency="USD", total=TOTAL,
        trip_started_at=ENDED - timedelta(minutes=9), now=ENDED, reason="PRICED",
    )  # fmt: skip
    books.order(trip, (Item(),), status="OPEN", captured=Decimal(0), entry_method="APP", ended=ENDED, at=ENDED)
    books.reconcile(now=ENDED + timedelta(minutes=61))
    assert books.breaks() == [(trip, 0, "LEDGER")]
    post_new(books.connection, now=ENDED)
    books.reconcile(now=ENDED + timedelta(minutes=62))
    assert books.breaks() == []


def _tell(books: Books, trip: str, happened: list[tuple[Kind, Decimal | None]]) -> datetime:
    at = ENDED
    for number, (kind, amount) in enumerate(happened, 1):
        at = ENDED + timedelta(minutes=5 * number)
        told_by_amazon = kind in (Kind.CAPTURE_APPROVED, Kind.CAPTURE_DECLINED)
        event = Event(kind, at, Source.EVENT if told_by_amazon else Source.ATTEMPT, f"{trip}:{number}", amount)
        history.add(books.connection, history.lock(books.connection, [trip]), {trip: [News(event)]}, now=at)
    return at
