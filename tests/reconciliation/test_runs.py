"""A run can be repeated; breaks open once, close by later data, and are never deleted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from backroom.errors import BackroomError
from backroom.reconciliation.days import released_as_complete
from backroom.reconciliation.runs import reconcile_day
from tests.reconciliation.conftest import DAY, NEXT_MORNING, Books


def _kept(books: Books) -> list[tuple[object, ...]]:
    rows = books.connection.exec_driver_sql(
        "select kind, opened_at, last_seen_at, closed_at, times_opened from reconciliation_break where store_id = %s",
        (books.store_id,),
    )
    return [tuple(row) for row in rows]


def test_a_second_run_over_the_same_data_opens_nothing_and_changes_no_outcome(books: Books) -> None:
    books.trip()
    books.change("amazon_order", books.trip(), order_total=Decimal("1.00"))
    first = books.reconcile()
    second = books.reconcile(now=NEXT_MORNING + timedelta(hours=1))
    assert (first.revision, second.revision) == (1, 2)
    assert (first.breaks_opened, second.breaks_opened, second.breaks_open) == (1, 0, 1)
    assert (first.trips, first.matched) == (second.trips, second.matched) == (2, 1)
    assert _kept(books) == [("TOTAL", NEXT_MORNING, NEXT_MORNING + timedelta(hours=1), None, 1)]


def test_later_data_closes_a_break_and_a_relapse_opens_the_same_row_again(books: Books) -> None:
    trip = books.trip()
    books.change("amazon_order", trip, captured=Decimal("9.00"))
    books.reconcile()
    books.change("amazon_order", trip, captured=Decimal("8.12"))
    second = books.reconcile(now=NEXT_MORNING + timedelta(hours=1))
    assert (second.breaks_open, second.breaks_closed, second.matched) == (0, 1, 1)
    assert _kept(books) == [("OVER_CAPTURED", NEXT_MORNING, NEXT_MORNING, NEXT_MORNING + timedelta(hours=1), 1)]
    books.change("amazon_order", trip, captured=Decimal("9.00"))
    third = books.reconcile(now=NEXT_MORNING + timedelta(hours=2))
    assert (third.breaks_open, third.breaks_opened) == (1, 1)
    assert _kept(books) == [("OVER_CAPTURED", NEXT_MORNING, NEXT_MORNING + timedelta(hours=2), None, 2)]


def test_an_order_is_counted_on_the_day_of_its_purchase_only(books: Books) -> None:
    trip = books.trip()
    books.change("amazon_order", trip, business_date=DAY + timedelta(days=1))
    assert books.reconcile().matched == 1
    after = reconcile_day(
        books.connection,
        store_id=books.store_id,
        business_date=DAY + timedelta(days=1),
        complete=True,
        now=NEXT_MORNING,
    )
    assert after.trips == 0


def test_a_store_that_does_not_exist_is_one_clear_line(books: Books) -> None:
    with pytest.raises(BackroomError, match="there is no store NOWHERE"):
        reconcile_day(books.connection, store_id="NOWHERE", business_date=DAY, complete=True, now=NEXT_MORNING)


def test_a_day_is_complete_by_its_newest_release(books: Books) -> None:
    assert not released_as_complete(books.connection, store_id=books.store_id, business_date=DAY)
    for revision, complete in ((1, False), (2, True)):
        books.insert(
            "day_release", store_id=books.store_id, business_date=DAY, revision=revision, complete=complete,
            released_at=NEXT_MORNING,
        )  # fmt: skip
    assert released_as_complete(books.connection, store_id=books.store_id, business_date=DAY)
