"""What a cart costs, reckoned plainly with whole numbers and fractions, as `docs/pricing.md` says.

The retailer prices the same carts by its own code, written apart from this; the two must agree to the cent, line by
line. Here everything is done the slow way, step by step as on the page: its numbers are the sections' below and in
`promotion_arithmetic.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from jwo_sandbox import promotion_arithmetic
from jwo_sandbox.minor_amounts import half_up, places
from jwo_sandbox.promotion_arithmetic import Priced, tax_of
from jwo_sandbox.retailer_files import Promotion, RetailerFiles

GRAMS = {
    "g": Fraction(1),
    "kg": Fraction(1000),
    "lb": Fraction(45359237, 100000),
    "oz": Fraction(45359237, 1600000),
}
TOO_MUCH = 10_000_000_000
"""A cart whose list amounts (with their taxes, where those are on top) reach this has no price."""


@dataclass(frozen=True)
class Line:
    """One priced line; amounts in minor units of the currency (cents). Unpriced: no list price, amounts zero.

    `promotions` are (promotion id, what it took off) in the order applied, without those that took nothing.
    """

    line_number: int
    item_id: str
    item_sku: str
    quantity: str
    unit: str
    list_price: Decimal | None
    list_amount: int = 0
    promotion_amount: int = 0
    tax_amount: int = 0
    tax_included: bool = False
    promotions: tuple[tuple[str, int], ...] = ()

    @property
    def total(self) -> int:
        """What the shopper pays for the line."""
        return self.list_amount - self.promotion_amount + (0 if self.tax_included else self.tax_amount)


def price_cart(
    files: RetailerFiles,
    store_id: str,
    trip_id: str,
    ended_at: int,
    cart: list[dict[str, Any]],
    *,
    loyalty_ids: Iterable[str] = (),
    shopper_id: str | None = None,
) -> list[Line]:
    """The cart's lines, priced as of `ended_at`, the trip's end.

    `loyalty_ids` are the accounts scanned during the trip, `shopper_id` is whose trip it is, where the retailer knows.
    Where some lines have no price, the others are priced as if they were alone.
    """
    store = files.stores[store_id]
    minor = 10 ** places(store.currency)
    unpriced = [_line_as_it_came(files, store_id, number, item) for number, item in enumerate(cart, start=1)]
    priced: list[Priced] = []
    list_prices: dict[int, Decimal] = {}
    for place, item in enumerate(cart):
        if found := _on_the_shelf(files, store_id, ended_at, place, item, minor=minor):
            list_prices[place], one = found
            priced.append(one)
    most = sum(one.list_amount + (0 if store.prices_include_tax else tax_of(one, included=False)) for one in priced)
    if most >= TOO_MUCH * minor:
        return unpriced
    valid = [
        promotion
        for promotion in files.promotions.get(store_id, [])
        if promotion.in_force(ended_at)
        and promotion.shopping_trip_id in ("", trip_id)
        and (not promotion.loyalty or _given(files, promotion, loyalty_ids, shopper_id))
    ]
    promotion_arithmetic.apply(priced, valid, minor=minor, tax_included=store.prices_include_tax)
    lines = list(unpriced)
    for one in priced:
        line = unpriced[one.place]
        lines[one.place] = Line(
            line.line_number,
            line.item_id,
            line.item_sku,
            line.quantity,
            line.unit,
            list_prices[one.place],
            one.list_amount,
            one.list_amount - one.left,
            tax_of(one, included=store.prices_include_tax),
            store.prices_include_tax,
            tuple(one.taken),
        )
    return lines


def _line_as_it_came(files: RetailerFiles, store_id: str, number: int, item: dict[str, Any]) -> Line:
    sku = _sku(files, store_id, item)
    return Line(number, item["id"], sku or item["id"], item["quantity"], item["unit"], None)


def _sku(files: RetailerFiles, store_id: str, item: dict[str, Any]) -> str:
    return str(item["id"]) if item["type"] == "SKU" else files.barcodes.get((store_id, item["id"]), "")


def _on_the_shelf(
    files: RetailerFiles, store_id: str, moment: int, place: int, item: dict[str, Any], *, minor: int
) -> tuple[Decimal, Priced] | None:
    """The line with its list amount (1), or None where it has no product, no price or a unit that does not fit."""
    product = files.products.get((store_id, _sku(files, store_id, item)))
    if product is None:
        return None
    prices = [price for price in files.prices.get((store_id, product.item_sku), []) if price.in_force(moment)]
    quantity = _in_unit(item["quantity"], item["unit"], product.unit)
    if not prices or quantity is None:
        return None
    rates = [tax for tax in files.taxes.get((store_id, product.tax_code), []) if tax.in_force(moment)]
    list_price = prices[-1].value
    amount = half_up(Fraction(list_price) * quantity * minor)
    return list_price, Priced(
        place=place,
        item_sku=product.item_sku,
        quantity_as_it_came=Fraction(item["quantity"]),
        unit=item["unit"],
        sold_by=product.unit,
        quantity=quantity,
        list_price=Fraction(list_price),
        rate=Fraction(rates[-1].value) if rates else Fraction(0),
        list_amount=amount,
        left=amount,
    )


def _given(files: RetailerFiles, promotion: Promotion, loyalty_ids: Iterable[str], shopper_id: str | None) -> bool:
    """Whether an active account that was scanned, or that is the shopper's own, has been given the promotion."""
    scanned = set(loyalty_ids)
    return any(
        account.active
        and promotion.promotion_id in account.promotion_ids
        and (account.loyalty_id in scanned or (shopper_id is not None and account.shopper_id == shopper_id))
        for account in files.accounts
    )


def _in_unit(quantity: str, unit: str, sold_by: str) -> Fraction | None:
    """The quantity in the unit that the product is sold by; None where one is a weight and the other is not."""
    if unit == sold_by:
        return Fraction(quantity)
    if unit in GRAMS and sold_by in GRAMS:
        return Fraction(quantity) * GRAMS[unit] / GRAMS[sold_by]
    return None
