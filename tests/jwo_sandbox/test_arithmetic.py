"""What carts cost, by examples computed by hand."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from jwo_sandbox import instants
from jwo_sandbox.arithmetic import Line, half_up, price_cart, to_decimal, to_minor
from jwo_sandbox.retailer_files import Dated, Product, RetailerFiles, Store

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


def amounts(line: Line) -> tuple[int, int, int, int]:
    return (line.list_amount, line.promotion_amount, line.tax_amount, line.total)


def test_tax_comes_on_top_and_is_rounded_half_up(shop: RetailerFiles) -> None:
    # 3 x 3.33 = 9.99; x 0.0825 = 0.824175 -> 0.82
    assert amounts(priced(shop, "good", "3")) == (999, 0, 82, 1081)


def test_the_largest_percentage_wins_whether_of_the_line_or_of_the_basket(shop: RetailerFiles) -> None:
    shop.line_promotions["S", "good"] = [Dated(Decimal("0.125000"), *ALWAYS, "L1")]
    shop.basket_promotions["S", "trip"] = [Dated(Decimal("0.100000"), *ALWAYS, "B1")]
    # 3.33 x 0.125 = 0.41625 -> 0.42; (3.33 - 0.42) x 0.0825 = 0.240075 -> 0.24
    assert amounts(priced(shop, "good")) == (333, 42, 24, 315)
    shop.basket_promotions["S", ""] = [Dated(Decimal("0.500000"), *ALWAYS, "B2")]
    # 3.33 x 0.5 = 1.665 -> 1.67; 1.66 x 0.0825 = 0.13695 -> 0.14
    assert amounts(priced(shop, "good")) == (333, 167, 14, 180)


def test_a_promotion_of_another_trip_or_time_does_not_apply(shop: RetailerFiles) -> None:
    shop.basket_promotions["S", "another"] = [Dated(Decimal("0.500000"), *ALWAYS)]
    shop.line_promotions["S", "good"] = [Dated(Decimal("0.500000"), MORNING, EVENING)]
    assert priced(shop, "good", at=EVENING).promotion_amount == 0
    assert priced(shop, "good", at=EVENING - 1).promotion_amount == 167


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
    assert (str(to_decimal(1590, "USD")), str(to_decimal(15, "JPY"))) == ("15.90", "15")
    with pytest.raises(ValueError, match="decimal places"):
        to_minor(Decimal("1.5"), "JPY")


def test_a_worlds_files_are_read_from_csv_and_parquet(small_world: Path) -> None:
    from jwo_sandbox.retailer_files import read

    files = read(small_world)
    assert {store_id for store_id, _ in files.products} == {"STORE-001", "STORE-002"}
    assert files.stores["STORE-002"].feeds == ("FILES",)
    assert files.products.keys() <= files.prices.keys()
