"""Booking what a person gave up with a break: money that stands in the books and will not come.

The asset's own account goes on saying what the charge says; an account of its own beside it takes off what was given
up. Where later data opens the break again, or shows that nothing is missing after all, that is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from backroom.ledger.accounts import Account, Booking
from backroom.ledger.writing import Posting, Transaction, write

AT_ONCE: Final = 1000  # events booked by one round
BESIDE: Final = {
    Account.CARD_CLEARING: Account.CARD_CLEARING_WRITTEN_OFF,
    Account.SHOPPER_RECEIVABLE: Account.RECEIVABLE_WRITTEN_OFF,
}
"""The account that takes off what of the asset was given up."""

# One event of a break at a time: what is taken back has been booked before.
_TAKE: Final = text(
    """
    with marked as (
        select e.event_id from reconciliation_break_event e
        where e.to_book
          and not exists (select from reconciliation_break_event earlier where earlier.break_id = e.break_id
                            and earlier.to_book and earlier.event_id < e.event_id)
        order by e.event_id limit :at_once
        for update of e skip locked
    )
    update reconciliation_break_event e set to_book = false from marked where e.event_id = marked.event_id
    returning e.event_id
    """
)
_FACTS: Final = text(
    """
    select e.event_id, e.break_id, e.at, e.given_up, e.given_up_of, b.store_id, b.shopping_trip_id, b.currency,
           coalesce((select max(p.detail) from ledger_transaction t join ledger_posting p using (transaction_id)
                     where t.shopping_trip_id = b.shopping_trip_id and p.account = :clearing),
                    case s.payment_processor when 'AMAZON' then '' else s.payment_processor end) as processor,
           (select max(t.transaction_id) from ledger_transaction t
            where t.shopping_trip_id = b.shopping_trip_id and t.kind = :written_off
              and starts_with(t.source, 'break' || chr(58) || b.break_id || chr(58))) as written_off
    from reconciliation_break_event e join reconciliation_break b using (break_id) join store s using (store_id)
    where e.event_id = any(:events) and e.given_up is not null and not s.test
    order by e.event_id
    """
)


def post_breaks(connection: Connection) -> int:
    """Books the marked events; returns how many transactions that made."""
    posted = 0
    given = {"clearing": Account.CARD_CLEARING, "written_off": Booking.BREAK_WRITTEN_OFF}
    while events := list(connection.execute(_TAKE, {"at_once": AT_ONCE}).scalars()):
        facts = connection.execute(_FACTS, {**given, "events": events}).mappings().all()
        posted += write(connection, [_transaction(row) for row in facts])
    return posted


def _transaction(row: RowMapping | Mapping[str, Any]) -> Transaction:
    asset = Account(row["given_up_of"])
    undone = row["given_up"] < 0
    return Transaction(
        source=f"break:{row['break_id']}:{row['event_id']}",
        kind=Booking.BREAK_WRITE_OFF_UNDONE if undone else Booking.BREAK_WRITTEN_OFF,
        store_id=row["store_id"],
        shopping_trip_id=row["shopping_trip_id"],
        happened_at=row["at"],
        currency=row["currency"],
        postings=[
            Posting(Account.WRITE_OFF, row["given_up"]),
            Posting(BESIDE[asset], -row["given_up"], row["processor"] if asset is Account.CARD_CLEARING else ""),
        ],
        reverses=row["written_off"] if undone else None,
    )
