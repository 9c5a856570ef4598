"""The queue of refunds that are due: claimed by state under a lease and a fencing number, one of a trip at a time.

`next_attempt_at` is business time; the lease runs on the database's own clock.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping, text

# While one refund of a trip is on its way or its outcome is unknown, no other of that trip is tried. What a capture is
# to give back is asked for only while that capture stands; what a worker has left behind is looked at in any case.
_MAY_BE_TRIED: Final = """
    r.state in ('DUE', 'UNKNOWN') and r.next_attempt_at <= :now
    and (r.lease_until is null or r.lease_until < clock_timestamp())
    and (r.instrument <> 'CAPTURE' or c.state = 'CAPTURED' or r.state = 'UNKNOWN' or r.lease_until is not null)
    and not exists (
        select from refund other
        where other.shopping_trip_id = r.shopping_trip_id and other.refund_id <> r.refund_id
          and (other.state = 'UNKNOWN' or other.lease_until is not null and other.state = 'DUE'))
    and not exists (
        select from api_hold h where h.held_until > :now and r.instrument = 'CAPTURE'
          and h.api in ('PAYMENTS', 'PAYMENTS ' || r.store_id)
          and exists (select from store s where s.store_id = r.store_id and s.payment_processor = 'AMAZON'))
"""
_STORES: Final = text(
    f"""
    select distinct r.store_id from refund r join charge c using (shopping_trip_id)
    where {_MAY_BE_TRIED} order by r.store_id
    """  # noqa: S608 - constants of this file only
)
# The charge's row is locked before the refund's, as everywhere.
_CANDIDATE: Final = text(
    f"""
    select r.refund_id from refund r join charge c using (shopping_trip_id)
    where (cast(:store_id as text) is null or r.store_id = :store_id) and {_MAY_BE_TRIED}
    order by r.next_attempt_at, r.refund_id limit 1
    for update of c skip locked
    """  # noqa: S608 - constants of this file only
)
# Looked at again now that the trip is locked: another worker may have been faster.
_CLAIM: Final = text(
    f"""
    update refund r
    set lease_until = clock_timestamp() + make_interval(secs => :lease), fencing = r.fencing + 1
    from charge c
    where c.shopping_trip_id = r.shopping_trip_id and r.refund_id = :refund and {_MAY_BE_TRIED}
    returning r.*, c.state as charge_state, c.captured
    """  # noqa: S608 - constants of this file only
)
_LOCK: Final = text("select 1 from charge where shopping_trip_id = :trip for update")
_LOCKED: Final = text(
    """
    select r.*, c.state as charge_state, c.captured from refund r join charge c using (shopping_trip_id)
    where r.refund_id = :refund for update of r
    """
)
TRIES: Final = 5


def stores_with_due(connection: Connection, *, now: datetime) -> list[str]:
    """Stores that have a refund due at `now` (business time) that nobody works on and no hold keeps back."""
    return list(connection.execute(_STORES, {"now": now}).scalars())


def claim(connection: Connection, *, store_id: str | None, now: datetime, lease_seconds: int) -> RowMapping | None:
    """The refund that is due the longest, with its charge's state; its charge and its row are locked."""
    for _ in range(TRIES):
        refund_id = connection.execute(_CANDIDATE, {"store_id": store_id, "now": now}).scalar_one_or_none()
        if refund_id is None:
            return None
        values = {"refund": refund_id, "now": now, "lease": lease_seconds}
        row = connection.execute(_CLAIM, values).mappings().one_or_none()
        if row is not None:
            return row
    return None


def lock(connection: Connection, shopping_trip_id: str, refund_id: int) -> RowMapping:
    """The refund with its charge's state, both locked until the transaction ends."""
    connection.execute(_LOCK, {"trip": shopping_trip_id})
    return connection.execute(_LOCKED, {"refund": refund_id}).mappings().one()
