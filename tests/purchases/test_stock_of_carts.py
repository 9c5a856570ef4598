"""What carts take out of the stock: counted from when they are stored, posted once, by whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from backroom.inventory.levels import last_movements, levels
from backroom.inventory.movements import in_sold_by_unit
from backroom.inventory.posting import post_due
from tests.purchases.bad_cart_world import Shop


@pytest.fixture
def shop(database: Engine) -> Shop:
    return Shop.opened(database)


def level(shop: Shop, sku: str) -> Decimal:
    with shop.engine.connect() as connection:
        return sum((one.quantity for one in levels(connection, store_id=shop.store_id, item_sku=sku)), Decimal(0))


def posted(shop: Shop) -> list[tuple[object, ...]]:
    return shop.rows(
        "select item_sku, kind, line_number, quantity, unit from stock_movement where store_id = :store order by 1"
    )


def test_a_cart_lowers_the_level_at_once_and_its_movements_are_written_later(shop: Shop) -> None:
    shop.cart(("MILK", "2"), ("HAM", "500", "g"), ("MILK", "1"))
    assert (level(shop, "MILK"), level(shop, "HAM")) == (-3, Decimal("-0.5"))
    assert posted(shop) == []
    with shop.engine.begin() as connection:
        assert post_due(connection, store_id=shop.store_id) == 1
        assert post_due(connection, store_id=shop.store_id) == 0
    assert posted(shop) == [("HAM", "SALE", 0, Decimal("-0.5"), "kg"), ("MILK", "SALE", 0, -3, "unit")]
    assert (level(shop, "MILK"), level(shop, "HAM")) == (-3, Decimal("-0.5"))


def test_what_is_listed_is_among_the_last_movements(shop: Shop) -> None:
    trip = shop.cart(("MILK", "2"))
    with shop.engine.connect() as connection:
        (moved,) = last_movements(connection, item_sku="MILK", store_id=shop.store_id)
    assert (moved.kind, moved.source, moved.quantity, moved.export_id) == ("SALE", trip, -2, None)


def test_many_who_post_at_once_post_each_cart_once(shop: Shop) -> None:
    for _ in range(20):
        shop.cart(("MILK", "1"), ("SOAP", "2"))

    def post(_number: int) -> int:
        with shop.engine.begin() as connection:
            return post_due(connection, store_id=shop.store_id)

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(post, range(6))) == 20
    assert len(posted(shop)) == 40
    assert (level(shop, "MILK"), level(shop, "SOAP")) == (-20, -40)


def test_pieces_of_what_is_sold_by_weight_move_nothing(shop: Shop) -> None:
    shop.cart(("HAM", "2"), ("MILK", "1"))
    with shop.engine.begin() as connection:
        post_due(connection, store_id=shop.store_id)
    assert [row[0] for row in posted(shop)] == ["MILK"]


@settings(deadline=None, max_examples=40)
@given(
    quantity=st.decimals(min_value=Decimal("0.000001"), max_value=9_999_999, places=6),
    unit=st.sampled_from(["g", "kg", "lb", "oz"]),
    sold_by=st.sampled_from(["g", "kg", "lb", "oz"]),
)
def test_a_weight_is_converted_as_everywhere_else(database: Engine, quantity: Decimal, unit: str, sold_by: str) -> None:
    with database.connect() as connection:
        transaction = connection.begin()
        for statement in (
            "set local session_replication_role = replica",
            "insert into stock_due values ('weigh', 'W')",
            "insert into purchase (purchase_id, shopping_trip_id, request_id, store_id, business_date, entry_method,"
            " trip_started_at, trip_ended_at, state, currency, list_total, promotion_total, tax_total, total,"
            " body_hash, raw_body, response_body, received_at) values ('weigh', 'weigh', 'r', 'W', '2026-01-01', 'APP',"
            " now(), now(), 'BAD_CART', 'USD', 0, 0, 0, 0, '', '{}', '', now())",
        ):
            connection.execute(text(statement))
        connection.execute(
            text(
                "insert into purchase_line (shopping_trip_id, line_number, item_id, item_type, item_sku, quantity,"
                " unit, price_unit, promotions) values ('weigh', 1, 'A', 'SKU', 'A', :quantity, :unit, :sold_by, '[]')"
            ),
            {"quantity": quantity, "unit": unit, "sold_by": sold_by},
        )
        told = connection.scalar(text("select -quantity from stock_sale_due where source = 'weigh'"))
        transaction.rollback()
    assert told == (in_sold_by_unit(quantity, unit, sold_by) or None)
