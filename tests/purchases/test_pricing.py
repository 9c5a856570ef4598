"""What a cart costs: cases worked out by hand, and laws that hold for every cart."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.money import Money, places
from backroom.purchases.minor_units import GRAMS
from backroom.purchases.pricing import (
    CartItem,
    PricedCart,
    Problem,
    Product,
    price_cart,
)
from backroom.purchases.promotions import Promotion


def item(sku: str = "A", quantity: str = "1", unit: str = "unit", number: int = 1) -> CartItem:
    return CartItem(number, sku, "SKU", Decimal(quantity), unit)


def product(
    price: str | None, sku: str = "A", sold_by: str = "unit", rate: str = "0", jurisdiction: str | None = None
) -> Product:
    return Product(sku, sold_by, None if price is None else Decimal(price), "CODE", Decimal(rate), jurisdiction)


def percentage(promotion_id: str, share: str, sku: str | None = None) -> Promotion:
    """Off one product, or off the basket."""
    if sku is None:
        return Promotion(promotion_id, "BASKET_PERCENTAGE", Decimal(share))
    return Promotion(promotion_id, "LINE_PERCENTAGE", Decimal(share), item_skus=frozenset({sku}))


def price(one: CartItem, known: Product, *promotions: Promotion, currency: str = "USD") -> PricedCart:
    cart = price_cart([one], {("SKU", one.item_id): known}, promotions, currency)
    assert isinstance(cart, PricedCart), cart
    return cart


@pytest.mark.parametrize(
    ("quantity", "unit", "known", "share", "currency", "expected"),
    [
        # list amount, promotion, tax, total: each worked out by hand
        ("3", "unit", product("1.99"), None, "USD", ("5.97", "0.00", "0.00", "5.97")),
        ("1", "unit", product("0.99", rate="0.0825"), None, "USD", ("0.99", "0.00", "0.08", "1.07")),
        ("2", "unit", product("4.99", rate="0.0825"), "0.125", "USD", ("9.98", "1.25", "0.72", "9.45")),
        ("1", "unit", product("0.10"), "0.25", "USD", ("0.10", "0.03", "0.00", "0.07")),  # 0.025 goes up
        ("1", "unit", product("10", rate="0.0005"), None, "USD", ("10.00", "0.00", "0.01", "10.01")),  # 0.005 too
        ("0.5", "unit", product("0.0099"), None, "USD", ("0.00", "0.00", "0.00", "0.00")),
        ("1", "unit", product("5.00", rate="0.1"), "1", "USD", ("5.00", "5.00", "0.00", "0.00")),
        ("1.234", "kg", product("2.50", sold_by="kg"), None, "USD", ("3.09", "0.00", "0.00", "3.09")),  # 3.085
        ("500", "g", product("2.50", sold_by="kg"), None, "USD", ("1.25", "0.00", "0.00", "1.25")),
        ("1", "lb", product("10.00", sold_by="kg"), None, "USD", ("4.54", "0.00", "0.00", "4.54")),  # 4.5359237
        ("1", "kg", product("1.00", sold_by="lb"), None, "USD", ("2.20", "0.00", "0.00", "2.20")),  # 2.2046…
        ("16", "oz", product("3.33", sold_by="lb"), None, "USD", ("3.33", "0.00", "0.00", "3.33")),
        ("3", "unit", product("99", rate="0.08"), "0.15", "JPY", ("297", "45", "20", "272")),  # 44.55, 20.16
        ("1", "unit", product("1.2345"), None, "BHD", ("1.235", "0.000", "0.000", "1.235")),  # three places
    ],
)
def test_worked_by_hand(
    quantity: str, unit: str, known: Product, share: str | None, currency: str, expected: tuple[str, str, str, str]
) -> None:
    promotions = [] if share is None else [percentage("P", share, "A")]
    (line,) = price(item("A", quantity, unit), known, *promotions, currency=currency).lines
    found = (line.list_amount, line.promotion_amount, line.tax_amount, line.total)
    assert tuple(str(amount.amount) for amount in found) == expected


@pytest.mark.parametrize(
    ("promotions", "counts"),
    [
        ([], None),
        ([percentage("LINE", "0.1", "A"), percentage("BASKET", "0.2")], "BASKET"),
        ([percentage("LINE", "0.3", "A"), percentage("BASKET", "0.2")], "LINE"),
        ([percentage("B", "0.2", "A"), percentage("A", "0.2")], "A"),
        ([percentage("OTHERS", "0.9", "B"), percentage("OURS", "0.1", "A")], "OURS"),
    ],
)
def test_of_all_promotions_the_largest_counts_once(promotions: list[Promotion], counts: str | None) -> None:
    (line,) = price(item(), product("10.00"), *promotions).lines
    assert [applied.promotion.promotion_id for applied in line.promotions] == ([] if counts is None else [counts])


@pytest.mark.parametrize(
    ("one", "known", "reason"),
    [
        (item("B"), None, "no product of this store has the SKU 'B'"),
        (item("A"), product(None), "'A' has no shelf price at the trip's end"),
        (item("A", "1", "kg"), product("1"), "'A' is sold by the unit, the cart counts by the kg"),
        (item("A"), product("1", sold_by="lb"), "'A' is sold by the lb, the cart counts by the unit"),
        (item("A", "9999999999"), product("2"), "the amount of 'A' is not below 10000000000 USD"),
    ],
)
def test_a_line_without_a_price_is_a_problem_with_a_reason(one: CartItem, known: Product | None, reason: str) -> None:
    good = item("GOOD", number=2)
    products = {("SKU", "GOOD"): product("1", "GOOD")} | ({("SKU", "A"): known} if known else {})
    assert price_cart([one, good], products, [], "USD") == [Problem(one, reason)]


def test_amounts_that_only_together_are_too_large_are_a_problem() -> None:
    items = [item("A", "9999999999", number=number) for number in (1, 2)]
    problems = price_cart(items, {("SKU", "A"): product("1")}, [], "USD")
    assert isinstance(problems, list)
    assert "the cart's amount" in problems[0].reason


def test_an_empty_cart_costs_nothing() -> None:
    cart = price_cart([], {}, [percentage("P", "0.5")], "USD")
    assert isinstance(cart, PricedCart)
    assert (cart.lines, cart.total) == ((), Money.zero("USD"))


def test_a_line_explains_itself() -> None:
    known = product("19.9000", sold_by="kg", rate="0.088750", jurisdiction="US-NY")
    (line,) = price(item("A", "0.50", "lb"), known, percentage("SPRING", "0.250000", "A")).lines
    assert line.explain() == (
        "0.5 lb x 19.90 per kg = 4.51 USD; SPRING 25 % off: -1.13 USD; tax US-NY 8.875 %: 0.30 USD; total 3.68 USD"
    )


amounts = st.decimals("0", "9999", places=4)
weights = st.sampled_from(sorted(GRAMS))
quantities = st.decimals("0.001", "999", places=3)
shares = st.decimals("0.000001", "1", places=6)
currencies = st.sampled_from(["USD", "JPY", "BHD"])


@st.composite
def carts(draw: st.DrawFn) -> tuple[list[CartItem], dict[tuple[str, str], Product], list[Promotion], str]:
    skus = draw(st.lists(st.sampled_from("ABCDEFGH"), min_size=1, unique=True))
    products = {}
    for sku in skus:
        sold_by = draw(st.one_of(st.just("unit"), weights))
        rate = draw(st.decimals("0", "0.999999", places=6))
        products["SKU", sku] = Product(sku, sold_by, draw(amounts), "CODE", rate, "X")
    items = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        sku = draw(st.sampled_from(skus))
        unit = "unit" if products["SKU", sku].sold_by == "unit" else draw(weights)
        items.append(CartItem(number, sku, "SKU", draw(quantities), unit))
    promotions = [
        percentage(f"P{number}", str(draw(shares)), draw(st.one_of(st.none(), st.sampled_from(skus))))
        for number in range(draw(st.integers(0, 4)))
    ]
    return items, products, promotions, draw(currencies)


@given(carts())
def test_totals_are_the_sums_of_the_lines(cart: tuple) -> None:  # type: ignore[type-arg]
    *inputs, currency = cart
    priced = price_cart(*inputs, currency)
    assert isinstance(priced, PricedCart)
    for total, part in (
        ("list_total", "list_amount"),
        ("promotion_total", "promotion_amount"),
        ("tax_total", "tax_amount"),
        ("total", "total"),
    ):
        assert getattr(priced, total).amount == sum(getattr(line, part).amount for line in priced.lines)
    assert priced.total == priced.list_total - priced.promotion_total + priced.tax_total


@given(carts(), st.randoms())
def test_the_order_of_lines_and_promotions_does_not_matter(cart: tuple, random: st.DataObject) -> None:  # type: ignore[type-arg]
    items, products, promotions, currency = cart
    priced = price_cart(items, products, promotions, currency)
    random.shuffle(items)  # type: ignore[attr-defined]
    random.shuffle(promotions)  # type: ignore[attr-defined]
    again = price_cart(items, products, promotions, currency)
    assert isinstance(priced, PricedCart)
    assert isinstance(again, PricedCart)
    assert again.total == priced.total
    assert sorted(again.lines, key=lambda line: line.item.line_number) == list(priced.lines)


@given(carts())
def test_nothing_is_negative_and_every_amount_exists_in_its_currency(cart: tuple) -> None:  # type: ignore[type-arg]
    *inputs, currency = cart
    priced = price_cart(*inputs, currency)
    assert isinstance(priced, PricedCart)
    for line in priced.lines:
        for amount in (line.list_amount, line.promotion_amount, line.tax_amount, line.total):
            assert amount.amount >= 0
            assert -amount.amount.as_tuple().exponent == places(currency)
        assert line.promotion_amount <= line.list_amount


@given(quantities, weights, amounts)
def test_the_same_weight_in_grams_costs_the_same(quantity: Decimal, unit: str, list_price: Decimal) -> None:
    known = Product("A", "kg", list_price)
    first = price(CartItem(1, "A", "SKU", quantity, unit), known)
    second = price(CartItem(1, "A", "SKU", quantity * GRAMS[unit], "g"), known)
    assert first.total == second.total
