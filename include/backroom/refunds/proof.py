"""What Amazon's figure of a trip's refunds proves about each of ours: a pure rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

ZERO: Final = Decimal(0)


@dataclass(frozen=True)
class Begun:
    """A refund that Amazon was, or may have been, asked for; `asked_at`: by the first attempt that may have worked."""

    refund_id: int
    amount: Decimal
    asked_at: datetime
    final: bool


@dataclass(frozen=True)
class Proof:
    """`made`: took place. `beyond`: Amazon gave back so much more than asked; `short`: so much less than was final."""

    made: tuple[int, ...] = ()
    beyond: Decimal = ZERO
    short: Decimal = ZERO


def proof(begun: Iterable[Begun], *, refunded: Decimal, told_at: datetime) -> Proof:
    """What an order row that was changed at `told_at` proves by its refunded amount.

    A refund is proven by a row that is newer than its attempt and gives at least the sum of all that was begun by then.
    A lesser sum proves none of them: which of them it holds can't be told.
    """
    by_then = [one for one in begun if one.final or one.asked_at < told_at]
    asked = sum((one.amount for one in by_then), ZERO)
    settled = sum((one.amount for one in by_then if one.final and one.asked_at < told_at), ZERO)
    made = tuple(one.refund_id for one in by_then if not one.final) if refunded >= asked else ()
    everything = sum((one.amount for one in begun), ZERO)
    return Proof(made, max(refunded - everything, ZERO), max(settled - refunded, ZERO))
