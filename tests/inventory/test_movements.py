"""Sales, cancelled lines, returns and deliveries: nothing is lost, nothing happens twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from backroom.inventory import movements
from backroom.inventory.movements import SaleRow, StockConflict, in_sold_by_unit, sale_rows
from tests.inventory.conftest import NOON, Shop, after

QUANTITIES = st.decimals("0.00000001", "9999999999", places=8)


def test_a_cart_has_one_row_for_each_sku_below_zero_and_in_order() -> None:
    lines = [("B", Decimal(1), "unit"), ("A", Decimal(2), "unit"), ("B", Decimal(3), "unit")]
    assert sale_rows(lines) == [SaleRow("A", Decimal(-2), "unit"), SaleRow("B", Decimal(-4), "unit")]


def test_one_sku_in_two_selling_units_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="'A' is sold by the unit and by the kg"):
        sale_rows([("A", Decimal(1), "unit"), ("A", Decimal(1), "kg")])


@pytest.mark.parametrize(
    ("quantity", "unit", "sold_by", "expected"),
    [
        ("2", "unit", "unit", "2"),
        ("250", "g", "kg", "0.25"),
        ("1", "lb", "kg", "0.45359237"),
        ("1", "g", "lb", "0.00220462"),
        ("2", "unit", "kg", None),
        ("2", "kg", "unit", None),
    ],
)
def test_a_weight_is_told_in_the_unit_that_the_product_is_sold_by(
    quantity: str, unit: str, sold_by: str, expected: str | None
) -> None:
    assert in_sold_by_unit(Decimal(quantity), unit, sold_by) == (None if expected is None else Decimal(expected))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from("ABC"), QUANTITIES), max_size=20), st.randoms())
def test_the_rows_add_up_to_the_lines_in_any_order(lines: list[tuple[str, Decimal]], random: object) -> None:
    cart = [(sku, quantity, "unit") for sku, quantity in lines]
    shuffled = cart.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    rows = sale_rows(cart)
    assert rows == sale_rows(shuffled)
    assert sum((row.quantity for row in rows), Decimal(0)) == -sum((quantity for _, quantity in lines), Decimal(0))
    assert len({row.item_sku for row in rows}) == len(rows)


def test_a_level_is_the_sum_of_its_movements(shop: Shop) -> None:
    shop.deliver("A", "10")
    shop.sell("1", ("A", "2"), ("NUTS", "0.125"), ("A", "1"))
    assert (shop.level("A"), shop.level("NUTS")) == (Decimal(7), Decimal("-0.125"))
    assert shop.summed("A") == Decimal(7)


def test_a_cart_posts_once(shop: Shop) -> None:
    assert shop.sell("1", ("A", "2"), ("B", "1")) == 2
    assert shop.sell("1", ("A", "2"), ("B", "1")) == 0
    assert shop.sell("1", ("A", "5"), at=after(1)) == 0
    assert shop.level("A") == -2


def test_an_empty_cart_moves_nothing(shop: Shop) -> None:
    assert shop.sell("1") == 0
    assert shop.levels() == []


def test_two_shoppers_take_the_last_item_within_a_second_and_both_sales_stand(shop: Shop) -> None:
    shop.deliver("A", "1")
    start = Barrier(2)

    def take(trip: str) -> int:
        with shop.engine.begin() as connection:
            connection.execute(text("select 1"))
            start.wait(timeout=10)
            posted = movements.post_sale(
                connection,
                store_id=shop.store_id,
                shopping_trip_id=shop.trip(trip),
                lines=[("A", Decimal(1), "unit")],
                happened_at=NOON,
                now=NOON,
            )
            start.wait(timeout=10)  # neither has committed when both have posted: neither waited for the other
            return posted

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(take, ["1", "2"])) == [1, 1]
    (level,) = shop.levels("A")
    assert level.quantity == -1
    assert level.below_zero


def test_many_carts_and_their_copies_at_once_are_each_counted_once(shop: Shop) -> None:
    shop.deliver("A", "50")
    carts = [str(number) for number in range(20)] * 3
    with ThreadPoolExecutor(8) as threads:
        posted = list(threads.map(lambda trip: shop.sell(trip, ("B", "2"), ("A", "3")), carts))
    assert sum(posted) == 40
    assert (shop.level("A"), shop.level("B")) == (Decimal(-10), Decimal(-40))


def test_the_statement_for_the_hot_path_can_be_part_of_another_statement(shop: Shop) -> None:
    rows = sale_rows([("A", Decimal(2), "unit"), ("NUTS", Decimal("0.5"), "kg")])
    query = f"with posted as ({movements.POST_SALE} returning item_sku) select count(*) from posted"
    values = {
        "store_id": shop.store_id, "shopping_trip_id": "t", "trip_ended_at": NOON, "now": NOON,
        **movements.sale_arrays(rows),
    }  # fmt: skip
    with shop.engine.begin() as connection:
        assert connection.execute(text(query), values).scalar_one() == 2
        assert connection.execute(text(query), values).scalar_one() == 0
    assert shop.level("A") == -2


def test_the_connectors_role_may_post_a_sale_and_change_none(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        connection.execute(text("set local role backroom_connector"))
        assert movements.post_sale(
            connection, store_id=shop.store_id, shopping_trip_id="t", lines=[("A", Decimal(1), "unit")],
            happened_at=NOON, now=NOON,
        )  # fmt: skip
        for verb in ("update", "delete"):
            assert not connection.execute(
                text("select has_table_privilege('stock_movement', :verb)"), {"verb": verb}
            ).scalar_one()


def test_the_largest_cart_that_can_be_said_is_recorded(shop: Shop) -> None:
    kilograms = in_sold_by_unit(Decimal("9999999999"), "kg", "g")
    assert kilograms is not None
    with shop.engine.begin() as connection:
        movements.post_sale(
            connection, store_id=shop.store_id, shopping_trip_id="t", lines=[("A", kilograms, "g")] * 1000,
            happened_at=NOON, now=NOON,
        )  # fmt: skip
    assert shop.level("A") == Decimal("-9999999999000000")


def test_a_cancelled_line_goes_back_once(shop: Shop) -> None:
    shop.sell("1", ("A", "2"), ("A", "1"), ("B", "1"))
    assert shop.undo("1", 1, "A", "2", now=after(60))
    assert not shop.undo("1", 1, "A", "2", now=after(61))
    assert shop.level("A") == -1
    assert shop.undo("1", 2, "A", "1")
    assert (shop.level("A"), shop.level("B")) == (Decimal(0), Decimal(-1))


def test_a_line_that_was_never_posted_has_nothing_to_undo(shop: Shop) -> None:
    shop.sell("1", ("A", "2"))
    assert not shop.undo("1", 2, "B", "1")
    assert not shop.undo("other", 1, "A", "2")
    assert shop.level("A") == -2


def test_no_more_is_undone_than_was_sold_even_at_once(shop: Shop) -> None:
    shop.sell("1", ("A", "3"))

    def undo(line_number: int) -> bool:
        try:
            return shop.undo("1", line_number, "A", "1")
        except StockConflict:
            return False

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(undo, range(1, 7))) == 3
    assert shop.level("A") == 0


def test_undoing_a_line_with_another_quantity_is_a_conflict_that_changes_nothing(shop: Shop) -> None:
    shop.sell("1", ("A", "3"))
    shop.undo("1", 1, "A", "2")
    with pytest.raises(StockConflict, match="recorded with 2 unit, not 1 unit; nothing was changed"):
        shop.undo("1", 1, "A", "1")
    assert shop.level("A") == -1


def test_a_line_whose_product_becomes_known_later_is_added_to_its_carts_sale(shop: Shop) -> None:
    shop.sell("1", ("A", "1"))
    for expected in (True, False):
        with shop.engine.begin() as connection:
            assert expected is movements.post_sale_line(
                connection, store_id=shop.store_id, shopping_trip_id=shop.trip("1"), line_number=2,
                line=("A", Decimal(2), "unit"), happened_at=NOON, now=after(90),
            )  # fmt: skip
    assert shop.level("A") == -3
    assert shop.undo("1", 2, "A", "2")
    assert shop.level("A") == -1


def test_a_return_and_a_delivery_count_once_for_their_source(shop: Shop) -> None:
    for _ in range(2):
        shop.deliver("A", "5", note="note-7")
        with shop.engine.begin() as connection:
            movements.return_goods(
                connection, source="refund-1", store_id=shop.store_id, item_sku="A", quantity=Decimal(1), unit="unit",
                happened_at=NOON, now=NOON,
            )  # fmt: skip
    assert shop.level("A") == 6
    with pytest.raises(StockConflict, match="DELIVERY note-7 of A is recorded with 5 unit, not 6 unit"):
        shop.deliver("A", "6", note="note-7")


def test_the_same_note_in_parallel_is_one_delivery(shop: Shop) -> None:
    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(lambda _: shop.deliver("A", "5"), range(12))) == 1
    assert shop.level("A") == 5


def test_products_of_two_stores_do_not_mix(shop: Shop, database: Engine) -> None:
    shop.sell("1", ("A", "1"))
    other = Shop(database, f"{shop.store_id}-other")
    other.deliver("A", "4")
    assert (shop.level("A"), other.level("A")) == (Decimal(-1), Decimal(4))
