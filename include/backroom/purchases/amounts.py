"""What is stored of a price: the columns of a purchase and of its lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backroom.money import places
from backroom.purchases.minor_units import decimal, text
from backroom.purchases.pricing import PricedCart, PricedLine, Problem

_TOTALS = ("list_total", "promotion_total", "tax_total", "tax_included_total", "total")
_LINE_COLUMNS = (
    "list_price", "price_unit", "list_amount", "promotion_amount", "product_tax_code", "tax_rate", "tax_jurisdiction",
    "tax_amount", "total",
)  # fmt: skip


def totals(priced: PricedCart | list[Problem], write: Callable[[int, int], Any] = decimal) -> dict[str, Any]:
    """The columns of a purchase; zeros where the cart has no price. `write` as for `line_amounts`."""
    if isinstance(priced, list):
        return dict.fromkeys(_TOTALS, write(0, 0))
    digits = places(priced.currency)
    tax = write(priced.tax_minor, digits)
    return {
        "list_total": write(priced.list_minor, digits),
        "promotion_total": write(priced.promotion_minor, digits),
        "tax_total": tax,
        "tax_included_total": tax if priced.tax_included else write(0, digits),
        "total": write(priced.total_minor, digits),
    }


def line_amounts(line: PricedLine | None, write: Callable[[int, int], Any] = decimal) -> dict[str, Any]:
    """The columns of a line; nulls (and no promotions) where it has no price.

    `write` makes an amount of minor units and the currency's places.
    """
    if line is None:
        return {**dict.fromkeys(_LINE_COLUMNS), "promotions": [], "tax_included": False}
    digits = places(line.currency)
    return {
        "list_price": line.list_price,
        "price_unit": line.product.sold_by,
        "list_amount": write(line.list_minor, digits),
        "promotions": promotions_taken(line, digits),
        "promotion_amount": write(line.promotion_minor, digits),
        "product_tax_code": line.product.product_tax_code,
        "tax_rate": line.product.tax_rate,
        "tax_jurisdiction": line.product.tax_jurisdiction,
        "tax_amount": write(line.tax_minor, digits),
        "tax_included": line.tax_included,
        "total": write(line.total_minor, digits),
    }


def promotions_taken(line: PricedLine, digits: int) -> list[dict[str, str]]:
    """What each promotion took off the line, in the order applied; amounts as text with `digits` places."""
    return [
        {
            "promotion_id": promotion.promotion_id,
            "kind": promotion.kind,
            "description": promotion.description,
            "amount": text(amount, digits),
        }
        for promotion, amount in line.taken
    ]
