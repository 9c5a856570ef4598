"""The portal's sessions: who is signed in, and what they may see. A cookie is kept as a hash only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, insert, select, update

from backroom.shoppers.contacts import Holders, holders_of
from backroom.shoppers.sign_in import token_hash
from backroom.shoppers.sign_in_tables import portal_session

Scope = Literal["SHOPPER", "RECEIPT", "PAYMENT"]


@dataclass(frozen=True)
class Lives:
    """A session ends after `idle` without a call, and `longest` after it began."""

    idle: timedelta
    longest: timedelta


@dataclass(frozen=True)
class Visitor:
    """Who is signed in. RECEIPT: one trip, whole; PAYMENT: one trip's amount and its payment, no more."""

    session_hash: str
    scope: Scope
    holders: Holders = field(default_factory=Holders)
    address_index: str | None = None
    shopping_trip_id: str | None = None

    @property
    def name(self) -> str:
        """For the audit, beside the trip's id: that its shopper decided it. No id, so that an erasure is one."""
        return "portal: the shopper" if self.scope == "SHOPPER" else "portal: who knows the card"


def begin(
    connection: Connection,
    cookie: str,
    scope: Scope,
    *,
    now: datetime,
    address_index: str | None = None,
    shopping_trip_id: str | None = None,
) -> None:
    """Signs somebody in under a new cookie."""
    connection.execute(
        insert(portal_session).values(
            session_hash=token_hash(cookie),
            scope=scope,
            address_index=address_index,
            shopping_trip_id=shopping_trip_id,
            began_at=now,
            seen_at=now,
        )
    )


def of_cookie(connection: Connection, cookie: str, lives: Lives, *, now: datetime) -> Visitor | None:
    """Whose cookie it is, and that they were here; None for one that is unknown or has ended."""
    hashed = token_hash(cookie)
    row = connection.execute(
        select(portal_session).where(
            portal_session.c.session_hash == hashed,
            portal_session.c.ended_at.is_(None),
            portal_session.c.seen_at > now - lives.idle,
            portal_session.c.began_at > now - lives.longest,
        )
    ).one_or_none()
    if row is None:
        return None
    holders = holders_of(connection, row.address_index) if row.address_index is not None else Holders()
    if row.scope == "SHOPPER" and not holders.anyone:
        return None  # erased meanwhile
    if now - row.seen_at > lives.idle / 20:
        connection.execute(update(portal_session).where(portal_session.c.session_hash == hashed).values(seen_at=now))
    return Visitor(hashed, row.scope, holders, row.address_index, row.shopping_trip_id)


def end(connection: Connection, session_hash: str, *, now: datetime) -> None:
    """Signs out."""
    connection.execute(update(portal_session).where(portal_session.c.session_hash == session_hash).values(ended_at=now))
