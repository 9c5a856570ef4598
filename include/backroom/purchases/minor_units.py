"""Amounts as whole minor units (cents, yen, fils), and the one rounding: half up, to a whole unit.

Between two roundings everything is exact. docs/pricing.md says which amounts are rounded.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

GRAMS: Final = {"g": Decimal(1), "kg": Decimal(1000), "lb": Decimal("453.59237"), "oz": Decimal("28.349523125")}
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_UP)  # wider than any product of a price, a quantity and a rate
_multiply, _scale = _EXACT.multiply, _EXACT.scaleb
_round_half_up = _EXACT.to_integral_value


def for_quantity(price: Decimal, quantity: Decimal, unit: str, sold_by: str, places: int) -> int | None:
    """price per `sold_by` × quantity in `unit`, rounded; None where one is a weight and the other is not."""
    if unit == sold_by:
        return int(_round_half_up(_scale(_multiply(price, quantity), places)))
    if unit not in GRAMS or sold_by not in GRAMS:
        return None
    grams = _multiply(quantity, GRAMS[unit])
    return int(_round_half_up(_scale(_EXACT.divide(_multiply(price, grams), GRAMS[sold_by]), places)))


def part_of(amount: int, fraction: Decimal) -> int:
    """amount × fraction, rounded."""
    return int(_round_half_up(_multiply(amount, fraction)))


def part_within(amount: int, rate: Decimal) -> int:
    """What of `amount` is a surcharge of `rate` that it holds already: amount × rate / (1 + rate), rounded."""
    numerator, denominator = rate.as_integer_ratio()
    return half_up(amount * numerator, denominator + numerator)


def whole(amount: Decimal, places: int) -> int:
    """An amount of the currency in minor units, rounded."""
    return int(_round_half_up(_scale(amount, places)))


def times(price: Decimal, units: int, fraction: Decimal, places: int) -> int:
    """price × units × fraction in minor units, rounded once."""
    return int(_round_half_up(_scale(_multiply(_multiply(price, units), fraction), places)))


def half_up(numerator: int, denominator: int) -> int:
    """The quotient of two whole numbers, not below zero, rounded."""
    return (2 * numerator + denominator) // (2 * denominator)


def text(minor: int, places: int) -> str:
    """The same as plain decimal text; for an amount not below zero."""
    if places == 2:  # nearly every currency: the one that must be quick
        return f"{minor // 100}.{minor % 100:02d}"
    if not places:
        return str(minor)
    digits = str(minor).zfill(places + 1)
    return f"{digits[:-places]}.{digits[-places:]}"


def decimal(minor: int, places: int) -> Decimal:
    """Back as an amount of the currency, with exactly its places."""
    return _scale(Decimal(minor), -places)
