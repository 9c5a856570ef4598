"""The queue of charges that are due: claimed by state, under a lease and a fencing number.

`next_attempt_at` is business time, which may stand still; the lease runs on the database's own clock, which does not.
A claim judges leases as of its transaction's start: one that this very transaction has renewed still runs, however long
the transaction stood still in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import Connection, Engine, RowMapping, text

_STORES: Final = text(
    "select distinct store_id from charge where next_attempt_at <= :now"
    " and (lease_until is null or lease_until < clock_timestamp()) order by store_id"
)
_CLAIM: Final = text(
    """
    with due as (
        select shopping_trip_id from charge
        where store_id = :store_id and next_attempt_at <= :now
          and (lease_until is null or lease_until < transaction_timestamp())
        order by next_attempt_at, shopping_trip_id
        limit :most
        for update skip locked
    )
    update charge c
    set lease_until = clock_timestamp() + make_interval(secs => :lease), fencing = c.fencing + 1
    from due, store s where c.shopping_trip_id = due.shopping_trip_id and s.store_id = c.store_id
    returning c.*, s.after_decline, s.preauthorization_amount, s.trust_capture_answer
    """
)
_RENEW: Final = text(
    "update charge set lease_until = clock_timestamp() + make_interval(secs => :lease), attempts = attempts + 1"
    " where shopping_trip_id = any(:trips)"
)
_RELEASE: Final = text(
    """
    update charge c set lease_until = null, next_attempt_at = mine.due
    from json_to_recordset(:mine) as mine (trip text, fencing bigint, due timestamptz)
    where c.shopping_trip_id = mine.trip and c.fencing = mine.fencing
    """
)
_SHARES: Final = text(
    """
    select store_id, count(*) as trips from charge
    where next_attempt_at <= :now and (lease_until is null or lease_until < clock_timestamp())
    group by store_id order by store_id
    """
)
_BY_KEYS: Final = text(
    "select set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),"
    " set_config('enable_mergejoin', 'off', false)"
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


@dataclass(frozen=True)
class Release:
    """A lease that is given back, and when the trip is due again."""

    claim: Claim
    next_attempt_at: datetime | None


@dataclass(frozen=True)
class Share:
    """One of several workers' part of a store's queue. They take from the one queue, so that none waits for another."""

    store_id: str
    number: int


@contextmanager
def session(engine: Engine) -> Iterator[Connection]:
    """A batch's connection: it finds its few trips by their keys, however few rows a table held when that was planned.

    A session keeps its plans, and one made for the first trips of a day would read whole tables by its end. This one
    ends with the batch, so that nobody else is planned for in this way.
    """
    with engine.connect() as connection:
        try:
            with connection.begin():
                connection.execute(_BY_KEYS)
            yield connection
        finally:
            connection.invalidate()


def stores_with_due(connection: Connection, *, now: datetime) -> list[str]:
    """Stores that have a charge due at `now` (business time) and not being worked on."""
    return list(connection.execute(_STORES, {"now": now}).scalars())


def shares_due(connection: Connection, *, now: datetime, trips: int, most: int) -> list[Share]:
    """The due charges of each store as shares of about so many `trips`, at most `most` of a store."""
    due = connection.execute(_SHARES, {"now": now}).all()
    return [Share(row.store_id, number) for row in due for number in range(1, min(-(-row.trips // trips), most) + 1)]


def claim(
    connection: Connection, *, store_id: str, now: datetime, lease_seconds: int, most: int
) -> Sequence[RowMapping]:
    """The store's longest-due charges that nobody works on, as `history.charges_of` reads them.

    Their rows are locked until the transaction ends.
    """
    asked = {"store_id": store_id, "now": now, "lease": lease_seconds, "most": most}
    return connection.execute(_CLAIM, asked).mappings().all()


def renew(connection: Connection, trips: Sequence[str], *, lease_seconds: int) -> None:
    """A full lease again, for the calls whose intents this transaction writes."""
    if trips:
        connection.execute(_RENEW, {"trips": list(trips), "lease": lease_seconds})


def release(connection: Connection, released: Sequence[Release]) -> None:
    """Ends the leases; has no effect on one that was lost already."""
    if not released:
        return
    mine = [
        {"trip": one.claim.shopping_trip_id, "fencing": one.claim.fencing, "due": one.next_attempt_at}
        for one in released
    ]
    connection.execute(_RELEASE, {"mine": orjson.dumps(mine).decode()})


def hold_store(connection: Connection, *, store_id: str, until: datetime) -> None:
    """Nothing of the store is due before then (business time)."""
    connection.execute(_HOLD, {"store_id": store_id, "until": until})
