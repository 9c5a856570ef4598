"""What a line costs before promotions: cases worked out by hand, taxes on top and inside, what can't be priced."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings

from backroom.money import Money
from backroom.purchases.amounts import line_amounts, totals
from backroom.purchases.minor_units import GRAMS
from backroom.purchases.pricing import CartItem, PricedCart, Problem, Product, price_cart
from tests.purchases.carts import Till, amounts, item, product, quantities, weights


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
        ("1", "unit", product("1.2345", rate="0.05"), "0.1", "KWD", ("1.235", "0.124", "0.056", "1.167")),
    ],
)
def test_worked_by_hand(
    quantity: str, unit: str, known: Product, share: str | None, currency: str, expected: tuple[str, str, str, str]
) -> None:
    till = Till(currency, items=[item("A", quantity, unit)], products={("SKU", "A"): known})
    if share is not None:
        till.offer("P", "LINE_PERCENTAGE", "A", percentage=share)
    (line,) = till.cart().lines
    found = (line.list_amount, line.promotion_amount, line.tax_amount, line.total)
    assert tuple(str(amount.amount) for amount in found) == expected


@pytest.mark.parametrize(
    ("price", "quantity", "rate", "currency", "tax"),
    [
        ("1.19", "3", "0.19", "USD", "0.57"),
        ("1.00", "1", "0.07", "USD", "0.07"),  # 0.0654…
        ("1.00", "1", "0", "USD", "0.00"),
        ("0.21", "1", "0.05", "USD", "0.01"),
        ("2.10", "0.05", "0.05", "USD", "0.01"),  # 0.105 is 0.11, of which 0.00523… is tax
        ("150", "2", "0.08", "JPY", "22"),  # 22.22…
        ("1.050", "1", "0.05", "KWD", "0.050"),
    ],
)
def test_tax_inside_the_price_is_told_and_not_added(
    price: str, quantity: str, rate: str, currency: str, tax: str
) -> None:
    cart = Till(currency, prices_include_tax=True).line("A", price, quantity, rate=rate).cart()
    (line,) = cart.lines
    assert (str(line.tax_amount.amount), line.total) == (tax, line.list_amount)
    assert (cart.tax_total, cart.tax_included_total, cart.total) == (line.tax_amount, line.tax_amount, line.total)


def test_tax_inside_the_price_is_that_of_what_promotions_leave() -> None:
    till = Till(prices_include_tax=True).line("A", "2.38", rate="0.19").offer(
        "HALF", "LINE_PERCENTAGE", "A", percentage="0.5"
    )  # fmt: skip
    (line,) = till.cart().lines
    assert (str(line.tax_amount), str(line.total)) == ("0.19 USD", "1.19 USD")


@pytest.mark.parametrize(
    ("one", "known", "reason"),
    [
        (item("B"), None, "no product of this store has the SKU 'B'"),
        (CartItem(1, "40", "SCANCODE", Decimal(1), "unit"), None, "no product of this store has the barcode '40'"),
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
    cart = Till().offer("P", "BASKET_AMOUNT", amount="5.00").offer("Q", "BASKET_PERCENTAGE", percentage="0.5").cart()
    assert (cart.lines, cart.total, cart.promotion_total) == ((), Money.zero("USD"), Money.zero("USD"))


def test_what_is_stored_of_a_line_and_of_a_cart_is_what_it_says() -> None:
    till = Till(prices_include_tax=True).line("A", "2.38", rate="0.19")
    till.offer("HALF", "LINE_PERCENTAGE", "A", percentage="0.5", description="half price")
    cart = till.cart()
    assert totals(cart) == {
        "list_total": Decimal("2.38"),
        "promotion_total": Decimal("1.19"),
        "tax_total": Decimal("0.19"),
        "tax_included_total": Decimal("0.19"),
        "total": Decimal("1.19"),
    }
    stored = line_amounts(cart.lines[0])
    assert stored["promotions"] == [
        {"promotion_id": "HALF", "kind": "LINE_PERCENTAGE", "description": "half price", "amount": "1.19"}
    ]
    assert (stored["promotion_amount"], stored["tax_included"], stored["total"]) == (
        Decimal("1.19"), True, Decimal("1.19"),
    )  # fmt: skip
    unpriced = line_amounts(None)
    assert unpriced.keys() == stored.keys()
    assert (unpriced.pop("promotions"), unpriced.pop("tax_included")) == ([], False)
    assert set(unpriced.values()) == {None}
    assert set(totals([Problem(item(), "why")])) == set(totals(cart))


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("LINE_PERCENTAGE", {"percentage": "0.250000"}, "SPRING 25 % off: -2.49 USD"),
        ("LINE_AMOUNT", {"amount": "1.5000"}, "SPRING 1.50 off each kg: -0.75 USD"),
        ("BASKET_PERCENTAGE", {"percentage": "0.125"}, "SPRING 12.5 % off the basket: -1.24 USD"),
        ("BASKET_AMOUNT", {"amount": "2"}, "SPRING 2.00 off the basket, this line's share: -2.00 USD"),
    ],
)
def test_a_line_explains_itself(kind: str, values: dict[str, str], words: str) -> None:
    skus = ["A"] if kind.startswith("LINE") else []
    till = Till().line("A", "19.9000", "0.50", unit="kg", rate="0.088750").offer("SPRING", kind, *skus, **values)
    (line,) = till.cart().lines
    assert line.explain() == (
        f"0.5 kg x 19.90 per kg = 9.95 USD; {words}; tax X 8.875 %: {line.tax_amount}; total {line.total}"
    )


def test_a_line_names_every_promotion_in_the_order_applied_and_the_tax_that_it_holds() -> None:
    till = Till(prices_include_tax=True).line("A", "4.00", "3", rate="0.19")
    till.offer("B2G1", "BUY_X_GET_Y", "A", percentage="1", buy_quantity=2, get_quantity=1)
    till.offer("CLUB", "BASKET_PERCENTAGE", percentage="0.1", stacks=True)
    (line,) = till.cart().lines
    assert line.explain() == (
        "3 x 4.00 = 12.00 USD; B2G1 buy 2 get 1 at 100 % off: -4.00 USD; CLUB 10 % off the basket: -0.80 USD; "
        "of it tax X 19 %: 1.15 USD; total 7.20 USD"
    )


@given(quantities, weights, amounts)
@settings(deadline=None)
def test_the_same_weight_in_grams_costs_the_same(quantity: Decimal, unit: str, list_price: Decimal) -> None:
    known = {("SKU", "A"): Product("A", "kg", list_price)}
    first = price_cart([CartItem(1, "A", "SKU", quantity, unit)], known, [], "USD")
    second = price_cart([CartItem(1, "A", "SKU", quantity * GRAMS[unit], "g")], known, [], "USD")
    assert isinstance(first, PricedCart)
    assert isinstance(second, PricedCart)
    assert first.total == second.total
