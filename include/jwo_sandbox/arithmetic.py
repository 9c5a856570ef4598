"""What a cart costs, reckoned plainly with whole numbers and fractions.

The retailer prices the same carts by its own code; the two must agree to the cent. Per line, as of the trip's end:
list amount = price x quantity; the largest single percentage takes its part off; tax comes on top of what is left.
Each of the three is rounded half up to the currency's places, and totals are sums of lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from jwo_sandbox.retailer_files import EVERY_BASKET, RetailerFiles

PLACES = {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3}
"""Decimal places of currencies that do not have two."""
GRAMS = {
    "g": Fraction(1),
    "kg": Fraction(1000),
    "lb": Fraction(45359237, 100000),
    "oz": Fraction(45359237, 1600000),
}


@dataclass(frozen=True)
class Line:
    """One priced line; amounts in minor units of the currency (cents). Unpriced: no list price, amounts zero."""

    line_number: int
    item_id: str
    item_sku: str
    quantity: str
    unit: str
    list_price: Decimal | None
    list_amount: int = 0
    promotion_amount: int = 0
    tax_amount: int = 0

    @property
    def total(self) -> int:
        """What the shopper pays for the line."""
        return self.list_amount - self.promotion_amount + self.tax_amount


def price_cart(
    files: RetailerFiles, store_id: str, trip_id: str, ended_at: int, cart: list[dict[str, Any]]
) -> list[Line]:
    """The cart's lines, priced as of `ended_at`, the trip's end."""
    return [
        _line(files, store_id, trip_id, ended_at, number=number, item=item) for number, item in enumerate(cart, start=1)
    ]


def places(currency: str) -> int:
    """Decimal places of a currency."""
    return PLACES.get(currency, 2)


def to_minor(amount: Decimal, currency: str) -> int:
    """Minor units of an amount. Raises ValueError when it has more places than the currency."""
    scaled = Fraction(amount) * 10 ** places(currency)
    if scaled.denominator != 1:
        raise ValueError(f"{amount} has more decimal places than {currency}")
    return int(scaled)


def to_decimal(minor: int, currency: str) -> Decimal:
    """The amount with the currency's own number of places."""
    return Decimal(minor).scaleb(-places(currency))


def half_up(value: Fraction) -> int:
    """The nearest whole number; a half goes up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def _line(files: RetailerFiles, store_id: str, trip_id: str, moment: int, *, number: int, item: dict[str, Any]) -> Line:
    sku = item["id"] if item["type"] == "SKU" else files.barcodes.get((store_id, item["id"]), "")
    product = files.products.get((store_id, sku))
    prices = [price for price in files.prices.get((store_id, sku), []) if price.in_force(moment)]
    quantity = _in_unit(item["quantity"], item["unit"], product.unit) if product else None
    if product is None or not prices or quantity is None:
        return Line(number, item["id"], sku or item["id"], item["quantity"], item["unit"], None)
    minor = 10 ** places(files.stores[store_id].currency)
    list_amount = half_up(Fraction(prices[-1].value) * quantity * minor)
    promotion_amount = half_up(list_amount * _percentage(files, store_id, sku, trip_id, moment))
    rates = [tax for tax in files.taxes.get((store_id, product.tax_code), []) if tax.in_force(moment)]
    rate = Fraction(rates[-1].value) if rates else Fraction(0)
    tax_amount = half_up((list_amount - promotion_amount) * rate)
    return Line(
        number,
        item["id"],
        sku,
        item["quantity"],
        item["unit"],
        prices[-1].value,
        list_amount,
        promotion_amount,
        tax_amount,
    )


def _percentage(files: RetailerFiles, store_id: str, sku: str, trip_id: str, moment: int) -> Fraction:
    """The largest percentage in force; which promotion gave it does not matter to the amount."""
    found = (
        *files.line_promotions.get((store_id, sku), []),
        *files.basket_promotions.get((store_id, trip_id), []),
        *files.basket_promotions.get((store_id, EVERY_BASKET), []),
    )
    return max((Fraction(promotion.value) for promotion in found if promotion.in_force(moment)), default=Fraction(0))


def _in_unit(quantity: str, unit: str, sold_by: str) -> Fraction | None:
    """The quantity in the unit that the product is sold by; None where one is a weight and the other is not."""
    if unit == sold_by:
        return Fraction(quantity)
    if unit in GRAMS and sold_by in GRAMS:
        return Fraction(quantity) * GRAMS[unit] / GRAMS[sold_by]
    return None
