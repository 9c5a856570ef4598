"""What carts cost, by examples computed by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from jwo_sandbox import instants
from jwo_sandbox.arithmetic import Line, price_cart
from jwo_sandbox.minor_amounts import half_up, places, to_decimal, to_minor
from jwo_sandbox.retailer_files import Dated, LoyaltyAccount, Product, Promotion, RetailerFiles, Store

MORNING, NOON, EVENING = (instants.parse(f"2026-11-23T{hour}:00:00Z") for hour in ("08", "12", "20"))
ALWAYS = (0, 2**62)


@pytest.fixture
def shop() -> RetailerFiles:
    """One store: a good at 3.33, cheese at 12.99 a pound, milk whose price changed at noon; tax on goods 8.25 %."""
    store = Store("S", "m", "UTC", "USD", "NONE", Decimal("75.00"), ("FILES",))
    return RetailerFiles(
        stores={"S": store},
        products={
            ("S", "good"): Product("good", "unit", "GENERAL", "700000000014"),
            ("S", "cheese"): Product("cheese", "lb", "FOOD", "700000000021"),
            ("S", "milk"): Product("milk", "unit", "FOOD", "700000000038"),
        },
        barcodes={("S", "700000000014"): "good"},
        prices={
            ("S", "good"): [Dated(Decimal("3.33"), *ALWAYS)],
            ("S", "cheese"): [Dated(Decimal("12.99"), *ALWAYS)],
            ("S", "milk"): [Dated(Decimal("2.00"), 0, NOON), Dated(Decimal("1.50"), NOON, 2**62)],
        },
        taxes={("S", "GENERAL"): [Dated(Decimal("0.082500"), *ALWAYS)]},
    )


def priced(shop: RetailerFiles, item: str, quantity: str = "1", unit: str = "unit", at: int = EVENING) -> Line:
    kind = "SCANCODE" if item.isdecimal() else "SKU"
    return price_cart(shop, "S", "trip", at, [{"id": item, "type": kind, "quantity": quantity, "unit": unit}])[0]


def cart_of(shop: RetailerFiles, *items: tuple[str, str], **who: Any) -> list[Line]:
    """A cart of (SKU, how many pieces)."""
    cart = [{"id": sku, "type": "SKU", "quantity": quantity, "unit": "unit"} for sku, quantity in items]
    return price_cart(shop, "S", "trip", EVENING, cart, **who)


def amounts(line: Line) -> tuple[int, int, int, int]:
    return (line.list_amount, line.promotion_amount, line.tax_amount, line.total)


def test_tax_comes_on_top_and_is_rounded_half_up(shop: RetailerFiles) -> None:
    # 3 x 3.33 = 9.99; x 0.0825 = 0.824175 -> 0.82
    assert amounts(priced(shop, "good", "3")) == (999, 0, 82, 1081)


def promotion(promotion_id: str, kind: str, **terms: Any) -> Promotion:
    skus = frozenset(terms.pop("skus", ("good",)))
    figures = {name: Fraction(terms.pop(name)) for name in ("percentage", "amount", "minimum_amount") if name in terms}
    valid_from, valid_to = terms.pop("valid", ALWAYS)
    return Promotion(promotion_id, kind, valid_from, valid_to, skus, **figures, **terms)


def test_the_largest_percentage_wins_whether_of_the_line_or_of_the_basket(shop: RetailerFiles) -> None:
    tenth = promotion("B1", "BASKET_PERCENTAGE", percentage="0.1", shopping_trip_id="trip")
    shop.promotions["S"] = [promotion("L1", "LINE_PERCENTAGE", percentage="0.125"), tenth]
    # 3.33 x 0.125 = 0.41625 -> 0.42; (3.33 - 0.42) x 0.0825 = 0.240075 -> 0.24
    assert amounts(priced(shop, "good")) == (333, 42, 24, 315)
    shop.promotions["S"].append(promotion("B2", "BASKET_PERCENTAGE", percentage="0.5"))
    # 3.33 x 0.5 = 1.665 -> 1.67; 1.66 x 0.0825 = 0.13695 -> 0.14
    line = priced(shop, "good")
    assert (amounts(line), line.promotions) == ((333, 167, 14, 180), (("B2", 167),))


def test_a_promotion_of_another_trip_or_time_does_not_apply(shop: RetailerFiles) -> None:
    shop.promotions["S"] = [
        promotion("B", "BASKET_PERCENTAGE", percentage="0.5", shopping_trip_id="another"),
        promotion("L", "LINE_PERCENTAGE", percentage="0.5", valid=(MORNING, EVENING)),
    ]
    assert priced(shop, "good", at=EVENING).promotion_amount == 0
    assert priced(shop, "good", at=EVENING - 1).promotion_amount == 167


def test_the_dearest_are_bought_and_the_cheapest_are_got(shop: RetailerFiles) -> None:
    half = promotion("H", "BUY_X_GET_Y", percentage="0.5", buy_quantity=1, get_quantity=1, skus=("good", "milk"))
    shop.promotions["S"] = [half]
    # in a row: 3.33, 3.33 | 3.33, 1.50 | 1.50: got are one good (1.665 -> 1.67) and one milk (0.75)
    lines = cart_of(shop, ("milk", "2"), ("good", "3"))
    assert [line.promotion_amount for line in lines] == [75, 167]


def test_an_amount_off_each_stacks_on_a_percentage_and_takes_no_more_than_is_left(shop: RetailerFiles) -> None:
    shop.promotions["S"] = [
        promotion("H", "LINE_PERCENTAGE", percentage="0.5"),
        promotion("A", "LINE_AMOUNT", amount="1", stacks=True),
        promotion("Z", "LINE_AMOUNT", amount="1", stacks=True, stacking_order=1),
    ]
    assert priced(shop, "good").promotions == (("H", 167), ("A", 100), ("Z", 66))


def test_an_amount_off_the_basket_is_shared_from_its_minimum_on(shop: RetailerFiles) -> None:
    shop.promotions["S"] = [promotion("D", "BASKET_AMOUNT", amount="1.00", minimum_amount="4.83", stacks=True)]
    # 1.00 over 3.33 and 1.50: in proportion 0.689 and 0.311; 69/333 comes before 32/150
    assert [line.promotion_amount for line in cart_of(shop, ("good", "1"), ("milk", "1"))] == [69, 31]
    assert [line.promotion_amount for line in cart_of(shop, ("milk", "3"))] == [0]


def test_a_members_promotion_is_for_accounts_that_were_given_it(shop: RetailerFiles) -> None:
    shop.promotions["S"] = [promotion("M", "LINE_PERCENTAGE", percentage="0.5", loyalty=True)]
    shop.accounts = [
        LoyaltyAccount("scanned", None, True, frozenset({"M"})),
        LoyaltyAccount("hers", "shopper-1", True, frozenset({"M"})),
        LoyaltyAccount("closed", "shopper-2", False, frozenset({"M"})),
        LoyaltyAccount("other", "shopper-3", True, frozenset({"another"})),
    ]

    def taken(**who: Any) -> int:
        return cart_of(shop, ("good", "1"), **who)[0].promotion_amount

    assert (taken(loyalty_ids=["scanned"]), taken(shopper_id="shopper-1")) == (167, 167)
    assert (taken(), taken(loyalty_ids=["closed", "other"]), taken(shopper_id="shopper-2")) == (0, 0, 0)


def test_tax_that_prices_include_is_inside_the_total(shop: RetailerFiles) -> None:
    shop.stores["S"] = replace(shop.stores["S"], prices_include_tax=True)
    # 3 x 3.33 = 9.99; of it 9.99 x 0.0825 / 1.0825 = 0.7613... -> 0.76
    assert amounts(priced(shop, "good", "3")) == (999, 0, 76, 999)


def test_a_cart_of_ten_thousand_millions_has_no_price(shop: RetailerFiles) -> None:
    shop.prices["S", "milk"] = [Dated(Decimal("9999999999.99"), *ALWAYS)]
    assert priced(shop, "milk").list_amount == 999_999_999_999
    assert [line.list_price for line in cart_of(shop, ("milk", "1"), ("good", "1"))] == [None, None]


def test_the_price_is_the_one_in_force_at_the_end_of_the_trip(shop: RetailerFiles) -> None:
    assert [priced(shop, "milk", at=at).list_amount for at in (NOON - 1, NOON)] == [200, 150]


@pytest.mark.parametrize(
    ("quantity", "unit", "cents"),
    [
        ("1.335", "lb", 1734),  # 12.99 x 1.335 = 17.341650
        ("8", "oz", 650),  # half a pound: 6.495 -> 6.50
        ("1", "kg", 2864),  # 12.99 / 0.45359237 = 28.6380...
        ("453.59237", "g", 1299),
    ],
)
def test_weights_are_converted_exactly(shop: RetailerFiles, quantity: str, unit: str, cents: int) -> None:
    assert priced(shop, "cheese", quantity, unit).list_amount == cents


@pytest.mark.parametrize(("item", "unit"), [("nothing", "unit"), ("cheese", "unit"), ("good", "kg"), ("123", "unit")])
def test_what_is_unknown_or_in_the_wrong_unit_has_no_price(shop: RetailerFiles, item: str, unit: str) -> None:
    line = priced(shop, item, "1", unit)
    assert (line.list_price, amounts(line)) == (None, (0, 0, 0, 0))


def test_a_barcode_is_its_product(shop: RetailerFiles) -> None:
    line = priced(shop, "700000000014")
    assert (line.item_id, line.item_sku, line.list_amount) == ("700000000014", "good", 333)


def test_halves_go_up() -> None:
    assert [half_up(Fraction(n, 2)) for n in (0, 1, 2, 3, 5)] == [0, 1, 1, 2, 3]


def test_amounts_have_their_currencys_places() -> None:
    assert (to_minor(Decimal("15.90"), "USD"), to_minor(Decimal("15"), "JPY")) == (1590, 15)
    assert (places("KWD"), places("ISK")) == (3, 0)
    assert (str(to_decimal(1590, "USD")), str(to_decimal(15, "JPY"))) == ("15.90", "15")
    with pytest.raises(ValueError, match="decimal places"):
        to_minor(Decimal("1.5"), "JPY")


def test_a_worlds_files_are_read_from_csv_and_parquet(small_world: Path) -> None:
    from jwo_sandbox.retailer_files import read

    files = read(small_world)
    assert {store_id for store_id, _ in files.products} == {"STORE-001", "STORE-002"}
    assert files.stores["STORE-002"].feeds == ("FILES",)
    assert files.products.keys() <= files.prices.keys()
