"""What Amazon's figure of a trip's refunds proves about each of ours: a pure rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

ZERO: Final = Decimal(0)
CLOCKS_APART: Final = timedelta(minutes=5)
"""How far Amazon's clock may be behind ours (ours): what was asked for so long after a row may be in it."""


@dataclass(frozen=True)
class Begun:
    """A refund that Amazon was, or may have been, asked for; `asked_at`: by the first attempt that may have worked.

    `elsewhere`: final by a person's word alone. Amazon's figure may hold it, as its own page can give it, or not.
    `others`: what Amazon's figure held beyond ours when it was asked for, such as what its own staff gave back.
    """

    refund_id: int
    amount: Decimal
    asked_at: datetime
    final: bool
    elsewhere: bool = False
    others: Decimal = ZERO


@dataclass(frozen=True)
class Proof:
    """`made`: took place. `beyond`: Amazon gave back so much more than asked; `short`: so much less than was final."""

    made: tuple[int, ...] = ()
    beyond: Decimal = ZERO
    short: Decimal = ZERO


def proof(begun: Iterable[Begun], *, refunded: Decimal, told_at: datetime) -> Proof:
    """What an order row that was changed at `told_at` proves by its refunded amount.

    A refund is proven by a row that is newer than its attempt and gives at least the sum of all that it may hold: what
    was begun by then, as clocks may differ, and what others had given before. A lesser sum proves none of them: which
    of them it holds can't be told.
    """
    begun = tuple(begun)
    before = [one for one in begun if one.asked_at < told_at]
    may_hold = sum((one.amount for one in begun if one.final or one.asked_at <= told_at + CLOCKS_APART), ZERO)
    may_hold += max((one.others for one in begun), default=ZERO)
    settled = sum((one.amount for one in before if one.final and not one.elsewhere), ZERO)
    made = tuple(one.refund_id for one in before if not one.final) if refunded >= may_hold else ()
    everything = sum((one.amount for one in begun), ZERO)
    return Proof(made, max(refunded - everything, ZERO), max(settled - refunded, ZERO))
