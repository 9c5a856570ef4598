"""Breaks as work: owners, history, and decisions that hold for what they were taken about."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from backroom.reconciliation import breaks
from backroom.reconciliation.breaks import BreakRefused, Filter
from tests.reconciliation.conftest import DAY, NEXT_MORNING, Books

LATER = NEXT_MORNING + timedelta(days=2)


def _bent(books: Books, captured: str = "9.00") -> int:
    books.change("amazon_order", books.trip(), captured=Decimal(captured))
    books.reconcile()
    return int(breaks.listed(books.connection, Filter(store_id=books.store_id), now=LATER)[-1]["break_id"])


def _kinds(books: Books, break_id: int) -> list[str]:
    return [row["kind"] for row in breaks.history(books.connection, break_id)]


@pytest.mark.parametrize("decide", [breaks.force_match, breaks.write_off])
def test_a_decision_closes_the_break_and_no_later_run_opens_it_again(books: Books, decide: object) -> None:
    number = _bent(books)
    decide(books.connection, number, by="fay", reason="agreed with Amazon, ticket 12", now=NEXT_MORNING)  # type: ignore[operator]
    summary = books.reconcile(now=LATER)
    assert (summary.breaks_open, summary.breaks_opened, summary.matched) == (0, 0, 1)
    assert "by fay" in books.outcome(books.trips[-1])[1]
    row = breaks.one(books.connection, number, now=LATER)
    assert (row["resolved_by"], row["resolved_reason"]) == ("fay", "agreed with Amazon, ticket 12")
    assert row["state"] in ("FORCE_MATCHED", "WRITTEN_OFF")
    assert _kinds(books, number) == ["OPENED", row["state"]]


def test_a_decision_does_not_hold_for_another_difference(books: Books) -> None:
    number = _bent(books)
    assert breaks.write_off(books.connection, number, by="fay", reason="88 cents", now=LATER) == Decimal("0.88")
    books.change("amazon_order", books.trips[-1], captured=Decimal("90.00"))
    summary = books.reconcile(now=LATER)
    assert (summary.breaks_open, summary.breaks_opened) == (1, 1)
    assert _kinds(books, number) == ["OPENED", "WRITTEN_OFF", "OPENED_AGAIN"]
    assert breaks.one(books.connection, number, now=LATER)["resolved_by"] is None


def test_a_break_has_an_owner_an_age_and_a_history_and_filters_find_it(books: Books) -> None:
    number = _bent(books)
    mine = Filter(store_id=books.store_id, owner="fay")
    assert breaks.listed(books.connection, mine, now=LATER) == []
    breaks.assign(books.connection, number, owner="fay", by="olga", reason="her store", now=NEXT_MORNING)
    breaks.note(books.connection, number, by="fay", reason="asked Amazon", now=LATER)
    (row,) = breaks.listed(books.connection, mine, now=LATER)
    assert (row["break_id"], row["age_days"], row["state"]) == (number, 2, "OPEN")
    assert [row["reason"] for row in breaks.history(books.connection, number)] == [
        "", "to fay: her store", "asked Amazon",
    ]  # fmt: skip
    for narrow in (
        Filter(store_id=books.store_id, kinds=["TAX"]),
        Filter(store_id=books.store_id, state="WRITTEN_OFF"),
        Filter(store_id=books.store_id, first_day=DAY + timedelta(days=1)),
        Filter(store_id=books.store_id, older_than_days=3),
        Filter(store_id=books.store_id, shopping_trip_id="another"),
    ):
        assert breaks.listed(books.connection, narrow, now=LATER) == []
    (count,) = breaks.counted(books.connection, Filter(store_id=books.store_id, state="OPEN"), now=LATER)
    assert (count["kind"], count["breaks"], count["difference"]) == ("OVER_CAPTURED", 1, Decimal("0.88"))


def test_what_is_closed_or_unknown_or_without_a_reason_is_refused(books: Books) -> None:
    number = _bent(books)
    with pytest.raises(BreakRefused, match="the reason says nothing"):
        breaks.force_match(books.connection, number, by="fay", reason="  ", now=LATER)
    breaks.force_match(books.connection, number, by="fay", reason="same", now=LATER)
    with pytest.raises(BreakRefused, match="was closed on"):
        breaks.write_off(books.connection, number, by="fay", reason="again", now=LATER)
    with pytest.raises(BreakRefused, match="there is no break 999999"):
        breaks.note(books.connection, 999_999, by="fay", reason="?", now=LATER)


def test_later_data_that_changes_a_difference_is_in_its_history(books: Books) -> None:
    number = _bent(books)
    books.change("amazon_order", books.trips[-1], captured=Decimal("9.50"))
    books.reconcile(now=LATER)
    books.change("amazon_order", books.trips[-1], captured=Decimal("8.12"))
    books.reconcile(now=LATER)
    assert [(row["kind"], row["theirs"]) for row in breaks.history(books.connection, number)] == [
        ("OPENED", "9.00"), ("CHANGED", "9.50"), ("CLOSED_BY_LATER_DATA", "9.50"),
    ]  # fmt: skip
