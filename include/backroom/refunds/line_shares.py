"""What giving back a part of a line is worth: pure arithmetic. Refunded piece by piece, a line comes to its total."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from backroom.money import places


def share_of_line(
    total: Decimal,
    of_quantity: Decimal,
    currency: str,
    *,
    quantity: Decimal,
    given_quantity: Decimal = Decimal(0),
    given: Decimal = Decimal(0),
) -> Decimal:
    """What `quantity` of a line is worth, tax included, after `given_quantity` of it went back for `given`.

    A whole unit is worth total / of_quantity, rounded down to the currency's smallest coin; whatever completes the
    line gets all that is left of it, the remainder included. A weight gets its share of the total, rounded down. Raises
    ValueError for a quantity that is not above zero, or more than is left.
    """
    left = of_quantity - given_quantity
    if not 0 < quantity <= left:
        raise ValueError(f"{quantity} of a line can't go back: {left} are left")
    if quantity == left:
        return max(total - given, Decimal(0))
    coin = Decimal(1).scaleb(-places(currency))
    if quantity == quantity.to_integral_value() and of_quantity == of_quantity.to_integral_value():
        share = (total / of_quantity).quantize(coin, ROUND_DOWN) * quantity
    else:
        share = (total * quantity / of_quantity).quantize(coin, ROUND_DOWN)
    return min(share, max(total - given, Decimal(0)))
