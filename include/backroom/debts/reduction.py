"""A refund of a trip that is not paid makes its debt smaller: no money moves."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from backroom.debts import account
from backroom.debts.standing import ZERO, Happened, reduce_by


def reduce(
    connection: Connection, *, shopping_trip_id: str, amount: Decimal, source: str, actor: str, now: datetime
) -> Decimal:
    """Takes at most `amount` (in the debt's currency) off what is outstanding; returns by how much.

    0 where the trip has no debt, or nothing is outstanding. The same `source` reduces once: asked again, it is told
    what it took the first time. Raises ValueError for an amount that is not above zero. Whoever holds the charge's lock
    asks; the debt's is taken here.
    """
    if amount <= 0:
        raise ValueError(f"a debt is reduced by an amount above zero, not by {amount}")
    one = account.lock(connection, shopping_trip_id, charge_first=False)
    if one is None:
        return ZERO
    earlier = [entry.amount for entry in account.told(connection, shopping_trip_id, source)]
    if earlier:
        return sum(earlier, ZERO)
    after, entries = reduce_by(one.standing, amount)
    if entries:
        account.keep(connection, one, after, entries, source=source, actor=actor, now=now)
    return sum((entry.amount for entry in entries if entry.kind is Happened.REDUCED), ZERO)
