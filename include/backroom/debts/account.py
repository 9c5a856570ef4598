"""A trip's debt in the database: its row under lock, and its history, which is only ever added to.

Everything that changes a debt passes through `keep`. Locks are always taken in this order: charge, debt, payoff.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, func, insert, select, text, update

from backroom.debts.standing import DebtState, Entry, Happened, Standing
from backroom.debts.tables import debt, debt_event
from backroom.errors import BackroomError
from backroom.reviews.cases import settle

OLD_DEBT: Final = "OLD_DEBT"
"""Kind of the case that asks a person about an open debt (escalation.py)."""


class NoSuchDebt(BackroomError):
    """The trip has no debt."""

    def __init__(self, shopping_trip_id: str) -> None:
        super().__init__(f"trip {shopping_trip_id!r} has no debt; `backroom debts list --all` shows those that have")


@dataclass(frozen=True)
class Debt:
    """A debt's row, locked by this transaction."""

    shopping_trip_id: str
    store_id: str
    currency: str
    cause: str
    opened_at: datetime
    forgiven_at: datetime | None
    standing: Standing


_LOCK_CHARGE: Final = text("select 1 from charge where shopping_trip_id = :trip for update")


def lock(connection: Connection, shopping_trip_id: str, *, charge_first: bool = True) -> Debt | None:
    """The trip's debt, locked until the transaction ends; None where it has none.

    The charge's row is locked before it, unless the caller has done so (`charge_first=False`).
    """
    if charge_first:
        connection.execute(_LOCK_CHARGE, {"trip": shopping_trip_id})
    row = (
        connection.execute(select(debt).where(debt.c.shopping_trip_id == shopping_trip_id).with_for_update())
        .mappings()
        .one_or_none()
    )
    return None if row is None else of_row(row)


def of_row(row: RowMapping) -> Debt:
    """A row of `debt` as the rules read it."""
    amounts = {name: row[name] for name in ("amount", "paid", "reduced", "written_off", "returned")}
    return Debt(
        row["shopping_trip_id"],
        row["store_id"],
        row["currency"],
        row["cause"],
        row["opened_at"],
        row["forgiven_at"],
        Standing(**amounts),
    )


def keep(
    connection: Connection,
    before: Debt,
    after: Standing,
    entries: Sequence[Entry],
    *,
    source: str,
    actor: str,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> Debt:
    """Writes the amounts and their history, in the transaction that holds the lock. `source` is one thing's own name:
    the same kind from the same source is refused by the database.
    """
    connection.execute(
        update(debt)
        .where(debt.c.shopping_trip_id == before.shopping_trip_id)
        .values(
            amount=after.amount,
            paid=after.paid,
            reduced=after.reduced,
            written_off=after.written_off,
            returned=after.returned,
            state=after.state,
            closed_at=None if after.state is DebtState.OPEN else func.coalesce(debt.c.closed_at, now),
        )
    )
    for entry in entries:
        _tell(connection, before, entry, source, actor, now, details)
    if after.state is not DebtState.OPEN and before.standing.state is DebtState.OPEN:
        settle(
            connection,
            kind=OLD_DEBT,
            subject=before.shopping_trip_id,
            by="debts",
            reason=f"the debt is {after.state}",
            now=now,
        )
    return replace(before, standing=after)


def forgive(connection: Connection, one: Debt, *, source: str, actor: str, now: datetime) -> None:
    """The debtor of a debt that was written off may enter again."""
    connection.execute(
        update(debt).where(debt.c.shopping_trip_id == one.shopping_trip_id).values(forgiven_at=now),
    )
    _tell(connection, one, Entry(Happened.FORGIVEN, Decimal(0)), source, actor, now, None)


def told(connection: Connection, shopping_trip_id: str, source: str) -> list[Entry]:
    """What this source has already brought about."""
    rows = connection.execute(
        select(debt_event.c.kind, debt_event.c.amount).where(
            debt_event.c.shopping_trip_id == shopping_trip_id, debt_event.c.source == source
        )
    )
    return [Entry(Happened(kind), amount) for kind, amount in rows]


def numbered(connection: Connection, shopping_trip_id: str, who: str) -> str:
    """A source that can speak more than once about a debt: `who` and a number of its own. Needs the debt's lock."""
    events = connection.execute(
        select(func.count()).select_from(debt_event).where(debt_event.c.shopping_trip_id == shopping_trip_id)
    ).scalar_one()
    return f"{who}#{events + 1}"


def _tell(
    connection: Connection,
    one: Debt,
    entry: Entry,
    source: str,
    actor: str,
    now: datetime,
    details: Mapping[str, Any] | None,
) -> None:
    connection.execute(
        insert(debt_event).values(
            shopping_trip_id=one.shopping_trip_id,
            kind=entry.kind,
            amount=entry.amount,
            currency=one.currency,
            happened_at=now,
            actor=actor,
            source=source,
            details=dict(details or {}),
        )
    )
