"""A line's price in words: every figure that the total is made of, in the order of the sum."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from backroom.money import round_amount
from backroom.purchases.promotions import Promotion

if TYPE_CHECKING:
    from backroom.purchases.pricing import PricedLine


def line_in_words(line: PricedLine) -> str:
    """Such as `2 x 4.99 = 9.98 USD; SPRING 12.5 % off: -1.25 USD; tax US-NY 8.25 %: 0.72 USD; total 9.45 USD`."""
    item, product, currency = line.item, line.product, line.currency
    per = "" if product.sold_by == "unit" else f" per {product.sold_by}"
    unit = "" if item.unit == "unit" else f" {item.unit}"
    parts = [f"{_number(item.quantity)}{unit} x {_price(line.list_price, currency)}{per} = {line.list_amount}"]
    for applied in line.promotions:
        parts.append(f"{applied.promotion.promotion_id} {_terms(applied.promotion, line)}: -{applied.amount}")
    if product.tax_jurisdiction is not None:
        held = "of it tax" if line.tax_included else "tax"
        parts.append(f"{held} {product.tax_jurisdiction} {_percent(product.tax_rate)}: {line.tax_amount}")
    return "; ".join([*parts, f"total {line.total}"])


def _terms(promotion: Promotion, line: PricedLine) -> str:
    percent = "" if promotion.percentage is None else f"{_percent(promotion.percentage)} off"
    amount = "" if promotion.amount is None else f"{_price(promotion.amount, line.currency)} off"
    match promotion.kind:
        case "LINE_AMOUNT":
            return f"{amount} each {line.product.sold_by}"
        case "BUY_X_GET_Y":
            return f"buy {promotion.buy_quantity} get {promotion.get_quantity} at {percent}"
        case "BASKET_PERCENTAGE":
            return f"{percent} the basket"
        case "BASKET_AMOUNT":
            return f"{amount} the basket, this line's share"
        case _:
            return percent


def _price(amount: Decimal, currency: str) -> str:
    """With the currency's places, or with more where the price has them."""
    rounded = round_amount(amount, currency)
    return f"{rounded:f}" if rounded == amount else _number(amount)


def _percent(fraction: Decimal) -> str:
    return f"{_number(fraction * 100)} %"


def _number(value: Decimal) -> str:
    return f"{value.normalize():f}"
