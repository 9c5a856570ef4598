"""A debtor's statement: each trip that was not paid, why, what has come since, and what is still owed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.errors import BackroomError

CAUSES: Final = {
    "ADJUST_DECLINED": "the card was declined",
    "PARTIAL_APPROVAL": "the card covered a part only",
    "CAPTURE_DECLINED": "the payment was taken back by the card's bank",
    "TOKEN_EXPIRED": "the card could not be charged in time",
}
"""The four causes in words for the debtor."""

_LINES: Final = text(
    """
    select d.shopping_trip_id, d.store_id, s.name as store, coalesce(p.trip_ended_at, d.opened_at) as shopped_at,
           d.opened_at, d.cause, c.total, d.amount, d.paid, d.reduced, d.written_off, d.returned, d.outstanding,
           d.currency, d.state, d.forgiven_at, d.age_days, d.bucket
    from debt d join store s using (store_id)
    left join charge c using (shopping_trip_id) left join purchase p using (shopping_trip_id)
    where (d.shopper_id = :who or (d.shopper_id is null and d.shopper_identity = :who)) and d.amount > 0
    order by d.opened_at, d.shopping_trip_id
    """
)


@dataclass(frozen=True)
class Total:
    """Sums of one currency. `owed` is what a payoff of everything would take: written-off debts are in it."""

    amount: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)
    reduced: Decimal = Decimal(0)
    written_off: Decimal = Decimal(0)
    outstanding: Decimal = Decimal(0)

    @property
    def owed(self) -> Decimal:
        """Outstanding, and given up in the books."""
        return self.outstanding + self.written_off


@dataclass(frozen=True)
class Statement:
    """The debts of one shopper or card, the oldest first, and their sums by currency."""

    who: str
    made_at: datetime
    lines: Sequence[RowMapping]
    totals: dict[str, Total]


def statement(connection: Connection, who: str, *, now: datetime) -> Statement:
    """The statement of a shopper's id or a card's token, as of `now` (UTC). Raises BackroomError where they owe nothing
    and never did.
    """
    lines = connection.execute(_LINES, {"who": who}).mappings().all()
    if not lines:
        raise BackroomError(f"{who!r} has no debts, as a shopper or as a card's token")
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for line in lines:
        for name in ("amount", "paid", "reduced", "written_off", "outstanding"):
            sums[line["currency"]][name] += line[name]
    return Statement(who, now, lines, {currency: Total(**parts) for currency, parts in sorted(sums.items())})
