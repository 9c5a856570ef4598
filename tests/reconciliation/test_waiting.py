"""What is one-sided but not yet late is expected, not a break."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from tests.reconciliation.conftest import ENDED, Books, Item

DAY_ENDS = datetime(2026, 3, 3, 5, 0, tzinfo=UTC)  # midnight in New York


@pytest.mark.parametrize(
    ("complete", "now", "outcome"),
    [
        (False, DAY_ENDS, "EXPECTED"),
        (False, DAY_ENDS + timedelta(hours=47, minutes=59), "EXPECTED"),
        (False, DAY_ENDS + timedelta(hours=48), "BREAK"),
        (True, DAY_ENDS, "BREAK"),
    ],
)
def test_a_missing_order_is_late_when_the_files_are_all_in_or_at_the_cut_off(
    books: Books, complete: bool, now: datetime, outcome: str
) -> None:
    trip = books.trip(order=None)
    books.reconcile(complete=complete, now=now)
    assert books.outcome(trip)[0] == outcome


def test_a_store_with_events_only_is_judged_by_its_events(books: Books) -> None:
    books.connection.execute(
        text("update store set feeds = '{EVENTS}' where store_id = :store"), {"store": books.store_id}
    )
    told, bent, silent, halved, declined = (books.trip(order=None) for _ in range(5))
    for trip, captured, cart in ((told, "8.12", "7.50"), (bent, "9.00", "7.50"), (declined, None, "7.50")):
        books.hear(trip, captured=captured, price=cart, tax="0.62")
    books.hear(halved, captured="8.12")
    books.reconcile()
    assert books.outcome(told)[0] == "MATCHED"
    assert books.breaks() == [
        (bent, 0, "OVER_CAPTURED"),
        (silent, 0, "MISSING_ORDER"),
        (halved, 0, "INCOMPLETE_ORDER"),
        (declined, 0, "UNDER_CAPTURED"),
    ]


def test_a_store_with_neither_feed_is_judged_without_orders(books: Books) -> None:
    books.connection.execute(
        text("update store set feeds = '{}', trust_capture_answer = true where store_id = :store"),
        {"store": books.store_id},
    )
    trip = books.trip(order=None)
    bent = books.trip(order=None)
    books.change("charge", bent, captured=Decimal(1))
    books.reconcile()
    outcome, note = books.outcome(trip)
    assert outcome == "MATCHED"
    assert "neither files nor events" in note
    assert {kind for of, _, kind in books.breaks() if of == bent} == {"UNDER_CAPTURED", "LEDGER"}
    assert {of for of, _, _ in books.breaks()} == {bent}


def test_a_missing_purchase_and_an_incomplete_order_wait_as_long(books: Books) -> None:
    books.order("ORPHAN", (Item(),), status="OPEN", captured=Decimal(0), entry_method="APP", ended=ENDED, at=ENDED)
    books.change("amazon_order", books.trip(), incomplete=True)
    summary = books.reconcile(complete=False, now=DAY_ENDS)
    assert (summary.expected, summary.breaks_open) == (2, 0)


@pytest.mark.parametrize(
    ("state", "after", "outcome"),
    [
        ("CAPTURE_INITIATED", timedelta(hours=2, minutes=59), "EXPECTED"),
        ("CAPTURE_INITIATED", timedelta(hours=3), "BREAK"),
        ("UNKNOWN", timedelta(hours=2), "EXPECTED"),
        ("UNKNOWN", timedelta(hours=4), "BREAK"),
        ("AUTHORIZED", timedelta(hours=40), "EXPECTED"),
        ("DUE", timedelta(hours=46), "BREAK"),
    ],
)
def test_a_charge_in_flight_is_expected_until_its_evidence_or_its_token_is_due(
    books: Books, state: str, after: timedelta, outcome: str
) -> None:
    trip = books.trip(state=state, order="OPEN", changed=ENDED)
    if state == "CAPTURE_INITIATED":
        books.connection.exec_driver_sql(
            "update ledger_posting set account = 'card_clearing_initiated' where account = 'shopper_receivable'"
        )
    books.reconcile(now=ENDED + after)
    assert books.outcome(trip)[0] == outcome
    assert books.breaks() == ([(trip, 0, "STATUS")] if outcome == "BREAK" else [])


def test_a_capture_that_amazon_shows_before_our_charge_took_it_in_is_expected_for_a_while(books: Books) -> None:
    trip = books.trip(state="UNKNOWN", order="SETTLED", changed=ENDED)
    books.change("amazon_order", trip, captured=Decimal("8.12"))
    books.reconcile(now=ENDED + timedelta(hours=1))
    assert books.outcome(trip)[0] == "EXPECTED"
    books.reconcile(now=ENDED + timedelta(hours=5))
    assert (trip, 0, "OVER_CAPTURED") in books.breaks()


def test_an_order_row_older_than_the_capture_is_expected_to_be_renewed(books: Books) -> None:
    trip = books.trip()
    books.change("amazon_order", trip, captured=Decimal(0), status="OPEN", updated_at=ENDED)
    books.reconcile(now=ENDED + timedelta(hours=3))
    assert books.outcome(trip)[0] == "EXPECTED"
    books.reconcile(now=ENDED + timedelta(hours=4))
    assert books.breaks() == [(trip, 0, "UNDER_CAPTURED")]


def test_a_ledger_that_is_a_little_behind_is_expected_to_catch_up(books: Books) -> None:
    trip = books.trip(changed=ENDED)
    books.connection.exec_driver_sql("delete from ledger_posting where true")
    books.reconcile(now=ENDED + timedelta(minutes=59))
    assert books.outcome(trip)[0] == "EXPECTED"
    books.reconcile(now=ENDED + timedelta(minutes=60))
    assert books.breaks() == [(trip, 0, "LEDGER")]


def test_a_cancelled_hold_that_amazon_shows_open_is_forgiven_once_the_token_has_ended(books: Books) -> None:
    trip = books.trip(state="CANCELLED", debt="8.12", order="OPEN", changed=ENDED)
    books.reconcile(now=ENDED + timedelta(hours=4))
    assert books.breaks() == [(trip, 0, "STATUS")]
    books.reconcile(now=ENDED + timedelta(hours=46))
    assert books.outcome(trip)[0] == "MATCHED"
