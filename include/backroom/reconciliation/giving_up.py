"""What of a break's difference stands in the books and will not come, so that giving it up has to be booked.

Only money that the books hold for certain can be given up: what was captured and is not paid out, be it because more of
it went back than we asked for, and what was sold and is neither captured nor owed. What came too much, or was told
differently of a cart, stands in no account.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, text

from backroom.ledger.accounts import Account
from backroom.reconciliation.verdict import Kind

_OF_CLEARING: Final = frozenset({Kind.UNDER_CAPTURED, Kind.PAYOUT, Kind.MISSING_PAYOUT})


@dataclass(frozen=True)
class GivenUp:
    """How much, in the break's currency, and of which asset."""

    amount: Decimal
    of: Account


def given_up(kind: str, difference: Decimal | None, *, uncovered: bool = False) -> GivenUp | None:
    """What a write-off of such a break gives up of the books; None: nothing stands there. Pure.

    `difference` is theirs minus ours. `uncovered`: the charge has ended with less captured and owed than its total, so
    that the rest stands as the shopper's receivable.
    """
    if difference is None:
        return None
    if kind == Kind.REFUND:  # what went back, and no refund of ours, begun or final, takes off what is to be paid out
        return GivenUp(difference, Account.CARD_CLEARING) if difference > 0 else None
    if kind not in _OF_CLEARING or difference >= 0:
        return None
    of_receivable = kind == Kind.UNDER_CAPTURED and uncovered
    return GivenUp(-difference, Account.SHOPPER_RECEIVABLE if of_receivable else Account.CARD_CLEARING)


# As matching.judge names it: a charge that has ended, and is not covered, is told before its order is looked at.
_STANDS: Final = text("""
    select s.test, c.state in ('CAPTURED', 'CANCELLED', 'IN_DEBT') and c.captured + coalesce(d.amount, 0) < c.total
           as uncovered
    from charge c join store s using (store_id) left join debt d using (shopping_trip_id)
    where c.store_id = :store_id and c.shopping_trip_id = :trip
""")


def of_break(
    connection: Connection, *, store_id: str, shopping_trip_id: str, kind: str, difference: Decimal | None
) -> GivenUp | None:
    """As `given_up`, of a break as it stands; None for a trip without a charge, and in a test store."""
    found = connection.execute(_STANDS, {"store_id": store_id, "trip": shopping_trip_id}).one_or_none()
    if found is None or found.test:
        return None
    return given_up(kind, difference, uncovered=found.uncovered)


def stands(connection: Connection, break_id: int) -> bool:
    """Whether a write-off of that break is in the books, or on its way there, and was not taken back."""
    query = text("select coalesce(sum(given_up), 0) <> 0 from reconciliation_break_event where break_id = :break_id")
    return bool(connection.execute(query, {"break_id": break_id}).scalar_one())
