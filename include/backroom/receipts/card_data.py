"""The card of each charged or unpaid trip, by Get Transactional Data. Asked for once; what is missing stays so.

A question is harmless to repeat, so that only what was not answered is asked again: a few times, then the receipt goes
without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, text, update

from backroom.amazon import holds
from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.amazon.payments import MalformedRequest
from backroom.amazon.receipt_data_client import ReceiptDataClient, TransactionalData
from backroom.receipts.tables import trip_card

TRIES: Final = 4
AT_ONCE: Final = 40
CONCURRENT: Final = 4
LEASE: Final = timedelta(minutes=5)
NOT_ALLOWED_FOR: Final = timedelta(hours=1)
LOOKED_BACK: Final = timedelta(days=30)

_FIND: Final = text(
    """
    insert into trip_card (shopping_trip_id, store_id, next_attempt_at)
    select c.shopping_trip_id, c.store_id, :now
    from charge c join store s using (store_id)
    where c.state in ('CAPTURED', 'IN_DEBT') and c.total > 0 and c.updated_at > :since
      and s.payment_processor = 'AMAZON'
      and not exists (select from trip_card t where t.shopping_trip_id = c.shopping_trip_id)
    on conflict do nothing
    """
)
_STORES: Final = text(
    "select distinct store_id from trip_card where state = 'DUE' and next_attempt_at <= :now order by store_id"
)
_TAKE: Final = text(
    """
    update trip_card set attempts = attempts + 1, next_attempt_at = :lease
    where shopping_trip_id in (
        select shopping_trip_id from trip_card
        where state = 'DUE' and store_id = :store_id and next_attempt_at <= :now
        order by next_attempt_at, shopping_trip_id limit :some for update skip locked
    )
    returning shopping_trip_id, attempts
    """
)


def find_due(connection: Connection, *, now: datetime) -> int:
    """Makes the card's data due for each trip that was captured, or is a debt; how many are new."""
    return connection.execute(_FIND, {"now": now, "since": now - LOOKED_BACK}).rowcount


def stores_with_due(connection: Connection, *, now: datetime) -> Sequence[str]:
    """The stores that have some."""
    return connection.execute(_STORES, {"now": now}).scalars().all()


def fetch_due(
    engine: Engine, client: ReceiptDataClient, *, store_id: str, now: datetime, most: int = 5_000
) -> Counter[str]:
    """Asks for what is due in a store; counts by outcome. Ends at Amazon's 429, which holds everyone."""
    counts: Counter[str] = Counter()
    clock = holds.moved_on(now)
    with ThreadPoolExecutor(CONCURRENT) as together:
        while sum(counts.values()) < most:
            with engine.begin() as connection:
                if _held(connection, store_id, clock()):
                    return counts
                values = {"store_id": store_id, "now": now, "lease": now + LEASE, "some": AT_ONCE}
                taken = connection.execute(_TAKE, values).all()
            if not taken:
                return counts
            for trip, attempts, (answer, told) in together.map(
                lambda row: (row.shopping_trip_id, row.attempts, _ask(client, store_id, row.shopping_trip_id)), taken
            ):
                with engine.begin() as connection:
                    counts[_keep(connection, store_id, trip, attempts, answer, told, clock())] += 1
    return counts


def _held(connection: Connection, store_id: str, now: datetime) -> bool:
    names = (holds.PAYMENTS, holds.of_store(holds.PAYMENTS, store_id))
    return any(holds.held_until(connection, name, now=now) is not None for name in names)


def _ask(client: ReceiptDataClient, store_id: str, trip: str) -> tuple[Answer | None, TransactionalData | None]:
    try:
        return client.transactional_data(store_id=store_id, shopping_trip_id=trip)
    except MalformedRequest:
        return None, None  # an id that payments would refuse: there is nothing to ask


def _keep(
    connection: Connection,
    store_id: str,
    trip: str,
    attempts: int,
    answer: Answer | None,
    told: TransactionalData | None,
    now: datetime,
) -> str:
    if told is not None:
        _set(connection, trip, state="KNOWN", next_attempt_at=None, fetched_at=now, **asdict(told))
        return "KNOWN"
    if answer is not None and answer.problem is Problem.THROTTLED:
        until = now + timedelta(seconds=answer.retry_after or 600)
        holds.hold(connection, holds.PAYMENTS, until=until, reason="429 to transactional data", now=now)
        _set(connection, trip, attempts=attempts - 1, next_attempt_at=until)
        return "HELD"
    if answer is not None and answer.problem is Problem.NOT_ALLOWED:
        until = now + NOT_ALLOWED_FOR
        name = holds.of_store(holds.PAYMENTS, store_id)
        holds.hold(connection, name, until=until, reason="403 to transactional data", now=now)
        _set(connection, trip, attempts=attempts - 1, next_attempt_at=until)
        return "HELD"
    definite = answer is None or answer.outcome is Outcome.REFUSED
    if definite or attempts >= TRIES:
        _set(connection, trip, state="NOT_TOLD", next_attempt_at=None)
        return "NOT_TOLD"
    _set(connection, trip, next_attempt_at=now + timedelta(minutes=5 * 2**attempts))
    return "AGAIN"


def _set(connection: Connection, trip: str, **values: object) -> None:
    connection.execute(update(trip_card).where(trip_card.c.shopping_trip_id == trip).values(**values))
