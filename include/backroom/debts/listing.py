"""Debts as a person looks through them, and one in detail."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.db.keyset import Order, Page, page
from backroom.debts.account import NoSuchDebt

_DEBTS: Final = """
    select shopping_trip_id, store_id, shopper_id, shopper_identity, cause, currency, amount, paid, reduced,
           written_off, returned, outstanding, state, opened_at, closed_at, forgiven_at, age_days, bucket
    from debt
    where amount > 0
      and (cast(:store_id as text) is null or store_id = :store_id)
      and (cast(:state as text) is null or state = :state)
      and (cast(:bucket as text) is null or bucket = :bucket)
      and (cast(:who as text) is null or shopper_id = :who or shopper_identity = :who or shopping_trip_id = :who)
"""
_OLDEST: Final = Order({"opened_at": "timestamptz", "shopping_trip_id": "text"})
_ONE: Final = text("select * from debt where shopping_trip_id = :trip")
_EVENTS: Final = text(
    "select kind, amount, happened_at, actor, source, details from debt_event where shopping_trip_id = :trip"
    " order by event_id"
)
_PAYOFFS: Final = text(
    "select payoff_id, method, state, amount, currency, intended_at from payoff where shopping_trip_id = :trip"
    " order by payoff_id"
)


def debts(
    connection: Connection,
    *,
    store_id: str | None = None,
    state: str | None = None,
    bucket: str | None = None,
    who: str | None = None,
    after: str = "",
    size: int = 50,
) -> Page:
    """Debts, the oldest first; `who` is a shopper's id, a card's token or a trip."""
    values = {"store_id": store_id, "state": state, "bucket": bucket, "who": who}
    return page(connection, _DEBTS, values, _OLDEST, after=after, size=size)


def one(connection: Connection, trip: str) -> dict[str, Any]:
    """The debt, what happened to it, and every payoff. Raises NoSuchDebt."""
    debt = connection.execute(_ONE, {"trip": trip}).mappings().one_or_none()
    if debt is None:
        raise NoSuchDebt(trip)
    events = [dict(row) for row in connection.execute(_EVENTS, {"trip": trip}).mappings()]
    payoffs = [dict(row) for row in connection.execute(_PAYOFFS, {"trip": trip}).mappings()]
    return {**debt, "events": events, "payoffs": payoffs}
