"""The queue of charges that are due: claimed by state, under a lease and a fencing number.

`next_attempt_at` is business time, which may stand still; the lease runs on the database's own clock, which does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

_STORES: Final = text(
    "select distinct store_id from charge where next_attempt_at <= :now"
    " and (lease_until is null or lease_until < clock_timestamp()) order by store_id"
)
_CLAIM: Final = text(
    """
    with due as (
        select shopping_trip_id from charge
        where store_id = :store_id and next_attempt_at <= :now
          and (lease_until is null or lease_until < clock_timestamp())
        order by next_attempt_at, shopping_trip_id
        limit 1
        for update skip locked
    )
    update charge c
    set lease_until = clock_timestamp() + make_interval(secs => :lease), fencing = c.fencing + 1
    from due where c.shopping_trip_id = due.shopping_trip_id
    returning c.shopping_trip_id, c.fencing
    """
)
_RENEW: Final = text(
    "update charge set lease_until = clock_timestamp() + make_interval(secs => :lease), attempts = attempts + 1"
    " where shopping_trip_id = :trip"
)
_RELEASE: Final = text(
    "update charge set lease_until = null, next_attempt_at = :next"
    " where shopping_trip_id = :trip and fencing = :fencing"
)
_HOLD: Final = text(
    """
    with waiting as (
        select shopping_trip_id from charge
        where store_id = :store_id and next_attempt_at < :until
          and (lease_until is null or lease_until < clock_timestamp())
        for update skip locked
    )
    update charge c set next_attempt_at = :until
    from waiting where c.shopping_trip_id = waiting.shopping_trip_id
    """
)


@dataclass(frozen=True)
class Claim:
    """One trip, ours until the lease ends; `fencing` tells whether it still is."""

    shopping_trip_id: str
    fencing: int


def stores_with_due(connection: Connection, *, now: datetime) -> list[str]:
    """Stores that have a charge due at `now` (business time) and not being worked on."""
    return list(connection.execute(_STORES, {"now": now}).scalars())


def claim(connection: Connection, *, store_id: str, now: datetime, lease_seconds: int) -> Claim | None:
    """The store's longest-due charge that nobody works on; its row is locked until the transaction ends."""
    row = connection.execute(_CLAIM, {"store_id": store_id, "now": now, "lease": lease_seconds}).one_or_none()
    return None if row is None else Claim(row.shopping_trip_id, row.fencing)


def renew(connection: Connection, shopping_trip_id: str, *, lease_seconds: int) -> None:
    """A full lease again, for the call whose intent this transaction writes."""
    connection.execute(_RENEW, {"trip": shopping_trip_id, "lease": lease_seconds})


def release(connection: Connection, mine: Claim, *, next_attempt_at: datetime | None) -> None:
    """Ends the lease; has no effect where it was lost already."""
    connection.execute(_RELEASE, {"trip": mine.shopping_trip_id, "fencing": mine.fencing, "next": next_attempt_at})


def hold_store(connection: Connection, *, store_id: str, now: datetime, seconds: int) -> datetime:
    """Nothing of the store is due before that many seconds from `now` (business time). Returns until when."""
    until = now + timedelta(seconds=seconds)
    connection.execute(_HOLD, {"store_id": store_id, "until": until})
    return until
