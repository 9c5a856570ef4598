"""What a run looks at: the trips of which something has changed. None is left untold, whenever who dies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from sqlalchemy import text

from backroom.debts import payment_status
from tests.amazon.scripted_amazon import Reply
from tests.charges.conftest import hours, minutes
from tests.debts.conftest import NOON, Debts
from tests.debts.test_payment_status import Feedback, claim, expire_leases, feedback, refund

__all__ = ["feedback"]

LOST = Reply(drop=True)
READ = text(
    "select coalesce(sum(seq_tup_read + idx_tup_fetch), 0) from pg_stat_xact_user_tables"
    " where relname in ('charge', 'debt', 'refund', 'refund_request', 'payment_status_report')"
)
PAID: dict[str, Any] = {"owed": "0", "total": "12.30", "captured": "12.30", "state": "CAPTURED"}
OWED: dict[str, Any] = {"owed": "2.30", "total": "12.30", "captured": "10", "state": "CAPTURED"}
OF_IT = "where shopping_trip_id = :trip"

# what is there, what is done to it, what Amazon is told then
CHANGES: dict[str, tuple[dict[str, Any], str, tuple[str, str]]] = {
    "captured": (PAID | {"captured": "0", "state": "DUE"}, f"update charge set captured = 12.30 {OF_IT}",
                 ("12.30", "12.30")),
    "initiated": (PAID | {"initiated": True}, f"update charge set capture_initiated = 0 {OF_IT}", ("12.30", "12.30")),
    "total": (PAID, f"update charge set total = 11 {OF_IT}", ("11.00", "11.00")),
    "currency": (PAID, f"update charge set currency = 'CAD' {OF_IT}", ("12.30", "12.30")),
    "amount": (OWED, f"update debt set amount = 2.50 {OF_IT}", ("12.30", "9.80")),
    "paid": (OWED, f"update debt set paid = 1 {OF_IT}", ("12.30", "11.00")),
    "reduced": (OWED, f"update debt set reduced = 1 {OF_IT}", ("11.30", "10.00")),
    "returned": (OWED, f"update debt set paid = 2, returned = 1 {OF_IT}", ("12.30", "11.00")),
    "forgiven": (OWED | {"written_off": True}, f"update debt set forgiven_at = opened_at {OF_IT}", ("10.00", "10.00")),
    "refund begun": (PAID | {"refund": "DUE"}, f"update refund set state = 'INITIATED' {OF_IT}", ("10.30", "10.30")),
    "refund undone": (PAID | {"refund": "FINAL"}, f"update refund set state = 'REFUSED' {OF_IT}", ("12.30", "12.30")),
    "refund of a debt": (PAID | {"refund": "FINAL"}, f"update refund set instrument = 'DEBT' {OF_IT}",
                         ("12.30", "12.30")),
    "refund less": (PAID | {"refund": "FINAL"}, f"update refund set amount = 1 {OF_IT}", ("11.30", "11.30")),
}  # fmt: skip


def test_a_run_reads_no_more_than_what_has_changed(feedback: Feedback) -> None:
    _thousands_of_told_trips(feedback)
    trip = feedback.debts.owe()
    with feedback.debts.engine.begin() as connection:
        before = connection.execute(READ).scalar_one()
        assert payment_status.find_due(connection, now=NOON) == 1
        assert connection.execute(READ).scalar_one() - before < 50
    feedback.run()
    assert feedback.told(trip) == [("12.30", "0.00")]


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_the_figures_are_made_of_is_told_when_it_changes(feedback: Feedback, what: str) -> None:
    first, change, told = CHANGES[what]
    trip = _trip(feedback.debts, **first)
    _until_all_is_told(feedback)
    before = len(feedback.told(trip))
    feedback.debts.run(change, trip=trip)
    feedback.run(NOON + hours(1))
    assert feedback.told(trip)[before:] == [told]


def test_a_refund_that_is_there_from_the_first_is_told(feedback: Feedback) -> None:
    trip = _trip(feedback.debts, **PAID)
    _until_all_is_told(feedback)
    refund(feedback.debts, trip, "2")
    feedback.run(NOON + hours(1))
    assert feedback.told(trip)[-1] == ("10.30", "10.30")


@pytest.mark.parametrize("feedback", ["RETAILER_MANAGED"], indirect=True)
def test_where_amazon_begins_to_keep_the_balance_it_is_told_of_the_trips_that_are_there(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    _until_all_is_told(feedback)
    assert feedback.told(trip) == []
    feedback.debts.run(
        "update store set risk_strategy = 'AMAZON_MANAGED' where store_id = :store", store=feedback.debts.store_id
    )
    feedback.run(NOON + hours(1))
    assert feedback.told(trip) == [("12.30", "0.00")]


@pytest.mark.parametrize("feedback", ["RETAILER_MANAGED"], indirect=True)
def test_a_trip_that_comes_while_amazon_begins_to_keep_the_balance_is_told(feedback: Feedback) -> None:
    """A run that does not see the store's change yet must not take the trip's news out."""
    with ThreadPoolExecutor(1) as aside, feedback.debts.engine.connect() as changing:
        changing.execute(
            text("update store set risk_strategy = 'AMAZON_MANAGED' where store_id = :store"),
            {"store": feedback.debts.store_id},
        )
        trip = feedback.debts.owe()
        run = aside.submit(feedback.run, NOON + minutes(5))
        wait([run], timeout=0.5)
        changing.commit()
        run.result()
    feedback.run(NOON + minutes(6))
    assert feedback.told(trip) == [("12.30", "0.00")]


def test_a_change_that_commits_while_a_run_looks_is_told_by_the_next(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    _until_all_is_told(feedback)
    with feedback.debts.engine.connect() as changing:
        changing.execute(text("update debt set paid = 12.30 where shopping_trip_id = :trip"), {"trip": trip})
        feedback.run(NOON + minutes(5))
        assert feedback.told(trip) == [("12.30", "0.00")]
        changing.commit()
    feedback.run(NOON + minutes(6))
    assert feedback.told(trip) == [("12.30", "0.00"), ("12.30", "12.30")]


def test_a_change_is_told_though_who_looks_for_it_dies(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    with feedback.debts.engine.connect() as dying:
        assert payment_status.find_due(dying, now=NOON) == 1
        dying.rollback()
    feedback.run()
    assert feedback.told(trip) == [("12.30", "0.00")]


def test_a_change_is_told_though_who_tells_it_dies_and_the_truth_moves_on(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    assert claim(feedback, NOON) is not None  # its worker is heard of no more
    feedback.debts.pay(trip)
    feedback.run(NOON + minutes(1))
    expire_leases(feedback)
    feedback.answers = [LOST]
    for hour in (1, 2, 3):
        feedback.run(NOON + hours(hour))
    assert feedback.told(trip) == [("12.30", "0.00"), ("12.30", "0.00"), ("12.30", "12.30")]
    assert feedback.states(trip) == ["ACCEPTED", "ACCEPTED"]


def test_a_trip_is_looked_at_until_amazon_has_taken_what_is_true(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    feedback.answers = [LOST]
    feedback.run()
    assert _looked_at(feedback, trip)
    feedback.run(NOON + hours(1))
    feedback.run(NOON + hours(1))
    assert feedback.states(trip) == ["ACCEPTED"]
    assert not _looked_at(feedback, trip)


def test_what_the_portal_takes_is_news_though_its_role_may_not_write_any(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    _until_all_is_told(feedback)
    with feedback.debts.engine.begin() as connection:
        connection.execute(text("set local role backroom_portal"))
        connection.execute(text("update debt set paid = 12.30 where shopping_trip_id = :trip"), {"trip": trip})
    feedback.run(NOON + hours(1))
    assert feedback.told(trip)[-1] == ("12.30", "12.30")


def _trip(
    debts: Debts, *, initiated: bool = False, written_off: bool = False, refund: str | None = None, **owe: Any
) -> str:
    trip = debts.owe(**owe)
    if initiated:
        debts.run(f"update charge set capture_initiated = 1 {OF_IT}", trip=trip)
    if written_off:
        debts.run(f"update debt set written_off = 2.30, state = 'WRITTEN_OFF' {OF_IT}", trip=trip)
    if refund:
        _refund(debts, trip, refund)
    return trip


def _refund(debts: Debts, trip: str, state: str) -> None:
    refund(debts, trip, "2")
    debts.run(f"update refund set state = :state {OF_IT}", trip=trip, state=state)


def _until_all_is_told(feedback: Feedback) -> None:
    """What is accepted in one run is seen to be so by the next."""
    feedback.run()
    feedback.run()


def _looked_at(feedback: Feedback, trip: str) -> bool:
    return bool(feedback.debts.rows(f"select from payment_status_news {OF_IT}", trip=trip))


def _thousands_of_told_trips(feedback: Feedback) -> None:
    debts = feedback.debts
    debts.run(
        "insert into charge (shopping_trip_id, store_id, currency, total, state, captured, expires_at, created_at,"
        " updated_at, to_book) select 'told-' || n, :store, 'USD', 5, 'CAPTURED', 5, :now, :now, :now, false"
        " from generate_series(1, 5000) n",
        store=debts.store_id, now=NOON,
    )  # fmt: skip
    debts.run(
        "insert into payment_status_report (shopping_trip_id, store_id, currency, total, settled, status_time, state,"
        " created_at) select shopping_trip_id, store_id, 'USD', 5, 5, :now, 'ACCEPTED', :now from charge"
        " where store_id = :store",
        store=debts.store_id, now=NOON,
    )  # fmt: skip
    feedback.run()
    assert feedback.amazon.calls == []
    debts.run("analyze charge, debt, refund, refund_request, payment_status_report")
