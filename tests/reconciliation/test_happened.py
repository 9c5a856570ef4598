"""What happened on a day is in that day's report and that month's, whatever day its trips are of, and ties."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from backroom.ledger.book import post_new
from backroom.reconciliation import figures, happened, periods
from backroom.reconciliation.days import unsettled_days
from tests.reconciliation.conftest import DAY, ENDED, Books

MARCH, LAST = date(2026, 3, 1), date(2026, 3, 31)
LATER = DAY + timedelta(days=18)
ON_IT = datetime(2026, 3, 20, 17, tzinfo=UTC)
APRIL = datetime(2026, 4, 2, 9, tzinfo=UTC)


def _of(books: Books, day: date) -> dict[str, Any]:
    return figures.of_day(books.connection, store_id=books.store_id, business_date=day, now=APRIL)


def _off(found: dict[str, Any]) -> dict[str, str]:
    return {check["what"]: check["difference"] for check in found["checks"] if not check["ties"]}


def _pay_off(books: Books, trip: str, amount: str = "8.12", *, at: datetime = ON_IT) -> None:
    """The debt's row, its history and the ledger."""
    books.change("debt", trip, paid=Decimal(amount), state="PAID", closed_at=at)
    books.debt_event(trip, "PAID", amount, at, to_book=True)
    post_new(books.connection, now=at)


def test_a_payoff_is_of_the_day_on_which_it_came_and_the_debts_day_stays_as_it_was(books: Books) -> None:
    trip = books.trip(state="IN_DEBT", captured="0", debt="8.12", order="CANCELLED")
    books.reconcile()
    before = _of(books, DAY)
    _pay_off(books, trip)
    again, later = _of(books, DAY), _of(books, LATER)
    for section in ("debts_open", "debts_moved", "payoffs", "write_offs", "posted"):
        assert again["sections"][section] == before["sections"][section]
    assert again["sections"]["debts_open"] == [
        {"bucket": "0-30", "cause": "ADJUST_DECLINED", "debts": 1, "outstanding": "8.12"}
    ]
    assert again["sections"]["debts_moved"] == [{"kind": "OPENED", "times": 1, "change": "8.12"}]
    assert later["sections"]["debts_open"] == []
    assert later["sections"]["debts_moved"] == [
        {"kind": "BROUGHT_FORWARD", "times": 1, "change": "8.12"}, {"kind": "PAID", "times": 1, "change": "-8.12"},
    ]  # fmt: skip
    assert later["sections"]["payoffs"] == [{"kind": "PAID", "times": 1, "amount": "8.12"}]
    assert {row["account"]: row["debit"] for row in later["sections"]["posted"]} == {
        "bad_debt_receivable": "0.00", "payoff_receipts": "8.12",
    }  # fmt: skip
    assert (_off(before), _off(again), _off(later)) == ({}, {}, {})


def test_a_day_ends_where_the_stores_day_ends_and_a_debt_is_as_old_as_it_was_then(books: Books) -> None:
    trip = books.trip(state="IN_DEBT", captured="0", debt="8.12", order="CANCELLED")
    midnight = datetime(2026, 3, 21, 4, tzinfo=UTC)  # in New York, in summer time
    _pay_off(books, trip, at=midnight - timedelta(seconds=1))
    assert _of(books, LATER)["sections"]["payoffs"] != []
    assert _of(books, LATER + timedelta(days=1))["sections"]["payoffs"] == []
    old = books.trip(state="IN_DEBT", captured="0", debt="8.12", order="CANCELLED", ended=ENDED - timedelta(days=40))
    assert _of(books, DAY)["sections"]["debts_open"] == [
        {"bucket": "0-30", "cause": "ADJUST_DECLINED", "debts": 1, "outstanding": "8.12"},
        {"bucket": "31-60", "cause": "ADJUST_DECLINED", "debts": 1, "outstanding": "8.12"},
    ], old


def test_a_month_tells_all_that_happened_in_it_also_on_days_without_trips(books: Books) -> None:
    paid, given_up, recovered = (
        books.trip(state="IN_DEBT", captured="0", debt="8.12", order="CANCELLED") for _ in range(3)
    )
    _pay_off(books, paid)
    for trip in (given_up, recovered):
        books.change("debt", trip, written_off=Decimal("8.12"), state="WRITTEN_OFF", closed_at=ON_IT)
        books.debt_event(trip, "WRITTEN_OFF", "8.12", ON_IT, to_book=True)
    books.change("debt", recovered, written_off=0, paid=Decimal("8.12"), state="PAID")
    books.debt_event(recovered, "RECOVERED", "8.12", ON_IT + timedelta(hours=1), to_book=True)
    post_new(books.connection, now=ON_IT)
    books.reconcile(now=APRIL)
    month = periods.of_store(books.connection, store_id=books.store_id, first=MARCH, last=LAST)
    sections = month.figures["sections"]
    assert sections["debts_moved"] == [
        {"kind": "OPENED", "times": 3, "change": "24.36"},
        {"kind": "PAID", "times": 1, "change": "-8.12"},
        {"kind": "WRITTEN_OFF", "times": 2, "change": "-16.24"},
    ]
    assert sections["write_offs"] == [
        {"of": "DEBT", "what": "RECOVERED", "times": 1, "amount": "-8.12"},
        {"of": "DEBT", "what": "WRITTEN_OFF", "times": 2, "amount": "16.24"},
    ]
    assert sections["debts_open"] == []
    assert month.untied == []
    first_half = periods.of_store(books.connection, store_id=books.store_id, first=MARCH, last=DAY)
    assert first_half.figures["sections"]["write_offs"] == []
    assert [row["outstanding"] for row in first_half.figures["sections"]["debts_open"]] == ["24.36"]
    assert first_half.untied == []


def test_a_refund_is_told_when_it_begins_when_it_is_final_and_when_it_fails(books: Books) -> None:
    trips = [books.trip() for _ in range(3)]
    told = [
        [("INITIATED", ENDED), ("FINAL", ON_IT), ("INITIATED", ON_IT)],  # late news of the beginning moves nothing
        [("INITIATED", ON_IT), ("REVERSED", ON_IT)],
        [("FINAL", ENDED), ("FINAL", ON_IT)],
    ]
    for trip, events in zip(trips, told, strict=True):
        refund = books.refund(trip, "2.00", state="FINAL")
        for kind, at in events:
            books.refund_event(refund, trip, kind, "2.00", at, to_book=True)
    post_new(books.connection, now=ON_IT)
    first, later = _of(books, DAY), _of(books, LATER)
    of = ("refunds", "begun", "final", "reversed")
    assert [tuple(row[name] for name in of) for row in first["sections"]["refunds_made"]] == [
        (2, "4.00", "2.00", "0.00")
    ]
    assert [tuple(row[name] for name in of) for row in later["sections"]["refunds_made"]] == [
        (1, "2.00", "2.00", "2.00")
    ]
    assert {name for name in (*_off(first), *_off(later)) if name.startswith("In this time")} == set()


def test_what_is_booked_after_its_month_was_closed_is_in_the_month_of_its_posting(books: Books) -> None:
    trip = books.trip(state="IN_DEBT", captured="0", debt="8.12", order="CANCELLED")
    books.insert(
        "closed_month", store_id=books.store_id, month=MARCH, closed_at=APRIL, closed_by="fay", reason="all seen",
        figures={},
    )  # fmt: skip
    _pay_off(books, trip)  # dated 20 March, and heard of now
    in_march, in_april = (
        happened.of_day(
            books.connection, store_id=books.store_id, business_date=day, zone="America/New_York", currency="USD"
        ).sections
        for day in (LATER, date(2026, 4, 1))
    )
    assert (in_march["payoffs"], in_april["payoffs"]) == ([], [{"kind": "PAID", "times": 1, "amount": "8.12"}])
    assert [row["outstanding"] for row in in_march["debts_open"]] == ["8.12"]
    assert in_april["debts_open"] == []
    assert (_off(_of(books, LATER)), _off(_of(books, date(2026, 4, 1)))) == ({}, {})


def test_a_day_on_which_something_was_posted_since_is_run_again_whatever_trip_that_is_about(books: Books) -> None:
    books.trip()
    books.reconcile()
    before = {"store_id": books.store_id, "before": DAY + timedelta(days=9)}
    assert unsettled_days(books.connection, **before) == []  # type: ignore[arg-type]
    books.post("of another day", bad_debt_receivable="1", shopper_receivable="-1")
    assert unsettled_days(books.connection, **before) == [DAY]  # type: ignore[arg-type]
    books.reconcile()
    assert unsettled_days(books.connection, **before) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("posted", "named"),
    [
        ({"bad_debt_receivable": "1", "sales": "-1"}, {"debts, change of what is owed": "1.00"}),
        ({"payoff_receipts": "1", "sales": "-1"}, {"payoffs received": "1.00"}),
        ({"write_off": "1", "recovery": "-1"}, {"written off": "1.00", "recovered after a write-off": "1.00"}),
        ({"card_clearing_written_off": "-1", "sales": "1"}, {"given up with breaks": "1.00"}),
        ({"owed_to_shoppers": "-1", "sales": "1"}, {"owed to shoppers, change": "1.00"}),
        ({"refunds": "1", "refund_clearing": "-1"}, {"refunds of sales": "1.00", "paid back": "1.00"}),
    ],
)
def test_what_only_the_ledger_says_does_not_tie(books: Books, posted: dict[str, str], named: dict[str, str]) -> None:
    books.post("of another day", day=LATER, **posted)
    assert _off(_of(books, LATER)) == {f"In this time: {what}": gap for what, gap in named.items()}


@pytest.mark.parametrize(
    ("posted", "named"),
    [
        ({"shopper_receivable": "1", "settled_otherwise": "-1"}, {
            "Parked, or not charged yet": "1.00", "Settled without a card": "-1.00"}),
        ({"unbilled": "1", "unbilled_offset": "-1"}, {}),  # no line of this day
    ],
)  # fmt: skip
def test_what_only_the_ledger_says_of_the_days_trips_does_not_tie(
    books: Books, posted: dict[str, str], named: dict[str, str]
) -> None:
    trip = books.trip()
    books.reconcile()
    books.post(trip, **posted)
    assert _off(_of(books, DAY)) == named


def test_tax_ties_per_jurisdiction_and_what_refunds_gave_back_of_it_is_left_out(books: Books) -> None:
    trip = books.trip()
    books.reconcile()
    books.post(trip, kind="REFUND_FINAL", tax_payable="0.10", refund_clearing="-0.10")
    assert not any(what.startswith("Tax of") for what in _off(_of(books, DAY)))
    books.connection.exec_driver_sql(
        "update purchase_line set tax_jurisdiction = 'US-NJ' where shopping_trip_id = %s", (trip,)
    )
    off = _off(_of(books, DAY))
    assert {what: gap for what, gap in off.items() if what.startswith("Tax of")} == {
        "Tax of US-NJ": "-0.62", "Tax of US-NY": "0.62",
    }  # fmt: skip
