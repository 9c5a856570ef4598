"""What is stored of a price: the columns of a purchase and of its lines."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from backroom.purchases.pricing import PricedCart, PricedLine, Problem

_LINE_COLUMNS = (
    "list_price", "price_unit", "list_amount", "promotion_id", "promotion_percentage", "promotion_amount",
    "product_tax_code", "tax_rate", "tax_jurisdiction", "tax_amount", "total",
)  # fmt: skip


def totals(priced: PricedCart | list[Problem]) -> dict[str, Decimal]:
    """The columns of a purchase; zeros where the cart has no price."""
    if isinstance(priced, list):
        return dict.fromkeys(("list_total", "promotion_total", "tax_total", "total"), Decimal(0))
    return {
        "list_total": priced.list_total.amount,
        "promotion_total": priced.promotion_total.amount,
        "tax_total": priced.tax_total.amount,
        "total": priced.total.amount,
    }


def line_amounts(line: PricedLine | None) -> dict[str, Any]:
    """The columns of a line; nulls where it has no price."""
    if line is None:
        return dict.fromkeys(_LINE_COLUMNS)
    return {
        "list_price": line.list_price,
        "price_unit": line.product.sold_by,
        "list_amount": line.list_amount.amount,
        "promotion_id": line.promotion.promotion_id if line.promotion else None,
        "promotion_percentage": line.promotion.percentage if line.promotion else None,
        "promotion_amount": line.promotion_amount.amount,
        "product_tax_code": line.product.product_tax_code,
        "tax_rate": line.product.tax_rate,
        "tax_jurisdiction": line.product.tax_jurisdiction,
        "tax_amount": line.tax_amount.amount,
        "total": line.total.amount,
    }
