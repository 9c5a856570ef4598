"""Whether the books are right: every balance and every state, recomputed from the events, against what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.ledger.charge_verification import verify_charges
from backroom.ledger.discrepancy import Discrepancy
from backroom.ledger.verification_queries import QUERIES

_BALANCES: Final = text(
    """
    select t.store_id, p.account, p.detail, p.currency, sum(p.amount) as amount
    from ledger_posting p join ledger_transaction t using (transaction_id)
    where cast(:store_id as text) is null or t.store_id = :store_id
    group by 1, 2, 3, 4 order by 1, 2, 3, 4
    """
)
_WAITING: Final = text(
    """
    select (select count(*) from charge where to_book) + (select count(*) from debt_event where to_book)
         + (select count(*) from refund_event where to_book)
         + (select count(*) from reconciliation_break_event where to_book)
    """
)


def verify(connection: Connection) -> list[Discrepancy]:
    """Everything that is wrong; empty when the books are right. As `discrepancies`, all at once."""
    return list(discrepancies(connection))


def discrepancies(connection: Connection, on_step: Callable[[], None] = lambda: None) -> Iterator[Discrepancy]:
    """What is wrong, as it is found; read as a stream. `on_step` is called `steps` times.

    Give it a connection whose transaction sees one state throughout (REPEATABLE READ), where others are at work. What
    still has news to book is left out of the comparison with the ledger: `waiting` counts it.
    """
    for query in QUERIES:
        for row in connection.execute(query, execution_options={"stream_results": True, "yield_per": 1000}):
            yield Discrepancy(row.subject, row.what, row.expected, row.found)
        on_step()
    yield from verify_charges(connection, on_step)


def steps(connection: Connection) -> int:
    """How many steps `discrepancies` has: one for each question to the database and each charge."""
    charges = connection.execute(text("select count(*) from charge")).scalar_one()
    return len(QUERIES) + int(charges)


def waiting(connection: Connection) -> int:
    """How many charges and events have news that is not booked yet."""
    return int(connection.execute(_WAITING).scalar_one())


def balances(connection: Connection, *, store_id: str | None = None) -> Sequence[RowMapping]:
    """Balances by store, account and sub-account: debits positive, credits negative."""
    return connection.execute(_BALANCES, {"store_id": store_id}).mappings().all()
