"""Booking what happened to debts after they were opened: payoffs, write-offs, recoveries, what came too much.

What a refund takes off a debt (REDUCED) is booked from the refund's own event, which knows its tax; here it moves
nothing. So it is booked once.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from backroom.ledger.accounts import Account, Booking
from backroom.ledger.writing import Posting, Transaction, write

AT_ONCE: Final = 2000  # events booked by one round

_TAKE: Final = text(
    """
    with marked as (
        select event_id from debt_event where to_book order by event_id limit :at_once for update skip locked
    )
    update debt_event e set to_book = false from marked where e.event_id = marked.event_id
    returning e.event_id
    """
)
_FACTS: Final = text(
    """
    select e.event_id, e.kind, e.amount, e.currency, e.happened_at, e.shopping_trip_id, s.store_id,
           coalesce(p.method, e.details ->> 'method', '') as method,
           (select max(t.transaction_id) from ledger_transaction t
            where t.shopping_trip_id = e.shopping_trip_id and t.kind = :written_off) as written_off
    from debt_event e
    left join debt d using (shopping_trip_id) left join charge c using (shopping_trip_id)
    join store s on s.store_id = coalesce(d.store_id, c.store_id)
    left join payoff p on e.source = 'payoff' || chr(58) || p.payoff_id
    where e.event_id = any(:events) and not s.test
    order by e.event_id
    """
)


def post_debts(connection: Connection) -> int:
    """Books the marked events; returns how many transactions that made."""
    posted = 0
    while events := list(connection.execute(_TAKE, {"at_once": AT_ONCE}).scalars()):
        values = {"events": events, "written_off": Booking.DEBT_WRITTEN_OFF}
        facts = connection.execute(_FACTS, values).mappings().all()
        first = [row for row in facts if row["kind"] != "WRITE_OFF_UNDONE"]
        posted += write(connection, [_transaction(row) for row in first])
        undone = [row["event_id"] for row in facts if row["kind"] == "WRITE_OFF_UNDONE"]
        if undone:  # what they reverse may have been booked just now
            facts = connection.execute(_FACTS, {**values, "events": undone}).mappings().all()
            posted += write(connection, [_transaction(row) for row in facts])
    return posted


def debt_postings(kind: str, amount: Decimal, method: str) -> tuple[Booking | None, list[Posting]]:
    """What one kind of `debt_event` moves; (None, []) for what moves nothing. Raises KeyError for an unknown kind."""
    booking, debit, credit = _MOVES[kind]
    if booking is None:
        return None, []
    details: Mapping[Account, str] = {Account.PAYOFF_RECEIPTS: method}
    return booking, [Posting(debit, amount, details.get(debit, "")), Posting(credit, -amount, details.get(credit, ""))]


_NOTHING: Final[tuple[None, Account, Account]] = (None, Account.BAD_DEBT_RECEIVABLE, Account.BAD_DEBT_RECEIVABLE)
_MOVES: Final[dict[str, tuple[Booking | None, Account, Account]]] = {
    "PAID": (Booking.DEBT_PAID, Account.PAYOFF_RECEIPTS, Account.BAD_DEBT_RECEIVABLE),
    "REDUCED": _NOTHING,
    "WRITTEN_OFF": (Booking.DEBT_WRITTEN_OFF, Account.WRITE_OFF, Account.BAD_DEBT_RECEIVABLE),
    "WRITE_OFF_UNDONE": (Booking.WRITE_OFF_UNDONE, Account.BAD_DEBT_RECEIVABLE, Account.WRITE_OFF),
    "RECOVERED": (Booking.DEBT_RECOVERED, Account.PAYOFF_RECEIPTS, Account.RECOVERY),
    "PAYOFF_RETURNED": (Booking.PAYOFF_RETURNED, Account.BAD_DEBT_RECEIVABLE, Account.OWED_TO_SHOPPERS),
    "FORGIVEN": _NOTHING,
}


def _transaction(row: RowMapping | Mapping[str, Any]) -> Transaction:
    booking, postings = debt_postings(row["kind"], row["amount"], row["method"])
    return Transaction(
        source=f"debt_event:{row['event_id']}",
        kind=booking or Booking.DEBT_REDUCED,
        store_id=row["store_id"],
        shopping_trip_id=row["shopping_trip_id"],
        happened_at=row["happened_at"],
        currency=row["currency"],
        postings=postings,
        reverses=row["written_off"] if booking is Booking.WRITE_OFF_UNDONE else None,
    )
