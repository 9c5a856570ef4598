"""Lines go to the database as JSON that is put together from parts: it must be sound whatever an id is made of."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from backroom.purchases.amounts import line_amounts
from backroom.purchases.cart import AuthEvent, Cart, Owner
from backroom.purchases.line_rows import LINE, lines_json
from backroom.purchases.pricing import CartItem, PricedCart, Product, price_cart
from backroom.purchases.promotions import Promotion
from backroom.purchases.storing import Purchase

AT = datetime(2026, 3, 22, 17, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=6)
ITEMS = st.lists(
    st.builds(
        CartItem,
        st.integers(1, 1000),
        TEXTS,
        st.sampled_from(["SKU", "SCANCODE"]),
        st.sampled_from([Decimal("1"), Decimal("2.50"), Decimal("0.001")]),
        st.sampled_from(["unit", "kg", "g", "lb", "oz"]),
        st.none() | st.text(max_size=4).filter(lambda name: name.isprintable()),
    ),
    min_size=1,
    max_size=4,
)


def purchase(items: list[CartItem], products: dict[tuple[str, str], Product], priced: Any, trip_id: str) -> Purchase:
    cart = Cart("request", trip_id, "STORE", AT, AT, (AuthEvent("event", False),), tuple(items))
    return Purchase(cart, Owner("CREDIT_CARD"), products, priced, "PRICE_BOOK", "USD", "UTC", "PRICED", "id", "{}", AT)


@settings(deadline=None, max_examples=60)
@given(ITEMS, TEXTS, TEXTS, st.booleans())
def test_a_priced_line_says_what_its_amounts_are(items: list[CartItem], trip_id: str, code: str, within: bool) -> None:
    products = {
        (item.item_type, item.item_id): Product(
            f"sku {item.item_id}",
            "unit" if item.unit == "unit" else "kg",
            Decimal("4.99"),
            code,
            Decimal("0.08875"),
            code,
        )
        for item in items
    }
    items = [
        item
        for item in items
        if products[item.item_type, item.item_id].sold_by == ("unit" if item.unit == "unit" else "kg")
    ]
    spring = Promotion("SPRING", "BASKET_PERCENTAGE", percentage=Decimal("0.1"), description=code)
    priced = price_cart(items, products, [spring], "USD", prices_include_tax=within)
    assert isinstance(priced, PricedCart)
    written = orjson.loads(lines_json([purchase(items, products, priced, trip_id)] * 2))
    assert len(written) == 2 * len(items)
    for row, line in zip(written, [*priced.lines, *priced.lines], strict=True):
        wanted = line_amounts(line)
        assert row["x"] == trip_id
        assert (row["i"], row["t"], row["n"], row.get("li")) == (
            line.item.item_id, line.item.item_type, line.item.line_number, line.item.line_item_id,
        )  # fmt: skip
        assert (Decimal(row["q"]), row["u"]) == (line.item.quantity, line.item.unit)
        assert (row["s"], row["pu"], row["c"], row["j"]) == (line.product.item_sku, wanted["price_unit"], code, code)
        assert row.get("ti", False) is within
        for short, name in {
            "p": "list_price",
            "la": "list_amount",
            "ta": "tax_amount",
            "z": "total",
            "r": "tax_rate",
        }.items():
            assert Decimal(row[short]) == wanted[name]
        assert Decimal(row.get("pa", 0)) == wanted["promotion_amount"]
        assert row.get("ps", []) == wanted["promotions"]
        assert set(row) <= {member.split()[0] for member in LINE.split(",")}


@settings(deadline=None, max_examples=30)
@given(ITEMS, TEXTS)
def test_a_line_without_a_price_has_no_amounts(items: list[CartItem], trip_id: str) -> None:
    known = items[0]
    products = {(known.item_type, known.item_id): Product("sku", "unit", None)}
    written = orjson.loads(lines_json([purchase(items, products, [], trip_id)]))
    assert [(row["i"], row.get("s")) for row in written] == [
        (item.item_id, "sku" if (item.item_type, item.item_id) in products else None) for item in items
    ]
    assert all(not {"p", "la", "pa", "ta", "z", "ps"} & set(row) for row in written)


def test_a_product_is_written_once_per_item_that_stands_for_it() -> None:
    product = Product("MILK", "unit", Decimal(2), "A_GEN", Decimal(0))
    items = [
        CartItem(1, "MILK", "SKU", Decimal(1), "unit"),
        CartItem(2, "036000291452", "SCANCODE", Decimal(1), "unit"),
    ]
    products = {(item.item_type, item.item_id): product for item in items}
    priced = price_cart(items, products, [], "USD")
    written = orjson.loads(lines_json([purchase(items, products, priced, "trip")] * 2))
    assert [row["i"] for row in written] == ["MILK", "036000291452"] * 2
    assert len(product.written) == 2
