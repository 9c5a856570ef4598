"""Whole minor units of a currency (cents), and the one rounding."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

NO_PLACES = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
THREE_PLACES = "BHD IQD JOD KWD LYD OMR TND"
PLACES = {**dict.fromkeys(NO_PLACES.split(" "), 0), **dict.fromkeys(THREE_PLACES.split(" "), 3), "CLF": 4, "UYW": 4}
"""Decimal places of currencies that do not have two, by ISO 4217."""


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
