"""A stock take: sales at the same time are neither lost nor doubled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from backroom.errors import BackroomError
from backroom.inventory.movements import StockConflict
from tests.inventory.conftest import NOON, Shop, after


def test_a_count_sets_the_level_as_of_its_instant(shop: Shop) -> None:
    shop.deliver("A", "10", at=after(-60))
    shop.sell("1", ("A", "2"), at=after(-30))
    shop.sell("2", ("A", "1"), at=after(5))
    shop.count("A", "7", at=NOON, now=after(10))
    assert shop.level("A") == 6
    assert shop.summed("A") == 6
    told = "select quantity from stock_movement where kind = 'COUNT' and store_id = :store and item_sku = :sku"
    assert shop.value(told) == -1, "the difference to what the books said then"


def test_a_product_that_never_moved_can_be_counted(shop: Shop) -> None:
    shop.count("A", "0")
    assert shop.level("A") == 0
    shop.count("A", "3", at=after(1))
    assert (shop.level("A"), shop.summed("A")) == (Decimal(3), Decimal(3))


def test_a_sale_of_before_the_count_that_is_recorded_after_it_is_not_subtracted_again(shop: Shop) -> None:
    shop.deliver("A", "10", at=after(-60))
    shop.count("A", "8", at=NOON)
    shop.sell("1", ("A", "2"), at=after(-1), now=after(3))
    assert shop.level("A") == 8, "the two were gone when it was counted"
    assert shop.settle("A", now=after(4)) == 1
    assert shop.settle("A", now=after(5)) == 0, "settled once"
    assert (shop.level("A"), shop.summed("A")) == (Decimal(8), Decimal(8))


def test_a_line_of_before_the_count_that_is_cancelled_after_it_was_counted_on_the_shelf(shop: Shop) -> None:
    shop.deliver("A", "10", at=after(-60))
    shop.sell("1", ("A", "2"), at=after(-30))
    shop.count("A", "10", at=NOON)
    shop.undo("1", 1, "A", "2", now=after(60))
    shop.settle("A", now=after(61))
    assert (shop.level("A"), shop.summed("A")) == (Decimal(10), Decimal(10))


def test_counts_can_be_entered_in_any_order(shop: Shop) -> None:
    shop.deliver("A", "10", at=after(-60))
    shop.count("A", "6", at=after(10))
    shop.sell("1", ("A", "1"), at=after(11))
    shop.count("A", "9", at=NOON, now=after(20))
    assert (shop.level("A"), shop.summed("A")) == (Decimal(5), Decimal(5))


def test_the_same_count_again_changes_nothing_and_another_at_that_instant_is_refused(shop: Shop) -> None:
    assert shop.count("A", "5")
    assert not shop.count("A", "5", now=after(9))
    with pytest.raises(StockConflict, match="counted as 5 unit at that instant"):
        shop.count("A", "6", now=after(9))
    assert shop.level("A") == 5


def test_nothing_is_counted_in_the_future(shop: Shop) -> None:
    with pytest.raises(BackroomError, match="can't have been counted at 2026-11-23 17:05:00Z yet"):
        shop.count("A", "5", at=after(5), now=NOON)


def test_sales_do_not_wait_for_a_count_and_a_sale_under_way_is_not_lost(shop: Shop) -> None:
    shop.deliver("A", "10", at=after(-60))
    with shop.engine.begin() as counting:
        counting.execute(text("select pg_advisory_xact_lock(hashtextextended('stock counts of ' || :store, 0))"),
                         {"store": shop.store_id})  # fmt: skip
        counter = Thread(target=shop.count, args=("A", "9"))
        counter.start()
        assert shop.sell("1", ("A", "1"), at=after(-1)) == 1
        assert shop.sell("2", ("A", "2"), at=after(1)) == 1
    counter.join(timeout=10)
    assert not counter.is_alive()
    assert (shop.level("A"), shop.summed("A")) == (Decimal(7), Decimal(7))


def test_with_sales_and_counts_at_once_the_last_count_and_what_followed_it_is_the_level(shop: Shop) -> None:
    def act(number: int) -> object:
        if number % 4 == 0:
            return shop.count("A", str(100 + number), at=after(number), now=after(60))
        return shop.sell(str(number), ("A", "1"), at=after(number + 0.5), now=after(60))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(act, range(40)))
    assert shop.level("A") == 136 - 3
    shop.settle("A", now=after(61))
    assert shop.summed("A") == 133


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["sell", "deliver", "count"]), st.integers(0, 9), st.integers(1, 60)),
                min_size=1, max_size=8), st.randoms())  # fmt: skip
def test_in_whatever_order_they_are_recorded_the_level_is_the_same(
    shop: Shop, events: list[tuple[str, int, int]], random: object
) -> None:
    events = [(kind, quantity, minute * 100 + place) for place, (kind, quantity, minute) in enumerate(events)]
    expected = Decimal(0)
    for kind, quantity, _ in sorted(events, key=lambda event: event[2]):
        expected = Decimal(quantity) if kind == "count" else expected + (quantity if kind == "deliver" else -quantity)
    random.shuffle(events)  # type: ignore[attr-defined]
    with shop.engine.begin() as connection:
        connection.execute(text("delete from stock_movement where store_id = :store"), {"store": shop.store_id})
    for kind, quantity, second in events:
        at = NOON + timedelta(seconds=second)
        if kind == "count":
            shop.count("A", str(quantity), at=at, now=after(600))
        elif kind == "deliver":
            shop.deliver("A", str(quantity), note=f"note-{second}", at=at)
        else:
            shop.sell(str(second), ("A", str(quantity)), at=at)
    shop.settle("A", now=after(601))
    assert sum((level.quantity for level in shop.levels("A")), Decimal(0)) == expected
    assert (shop.summed("A") or 0) == expected
