"""Charges as a person looks through them, and one in detail."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.charges.attempts import of_trip
from backroom.db.keyset import Order, Page, page
from backroom.errors import BackroomError

_CHARGES: Final = """
    select c.shopping_trip_id, c.store_id, c.state, c.currency, c.total, c.authorized, c.capture_initiated, c.captured,
           c.created_at, c.updated_at, c.expires_at, c.next_attempt_at, asked.case_id, asked.kind as waits_for
    from charge c
    left join lateral (
        select case_id, kind from review_case r
        where r.subject = c.shopping_trip_id and r.asked_by = 'charges' and r.decision is null
        order by case_id limit 1
    ) asked on true
    where (cast(:store_id as text) is null or c.store_id = :store_id)
      and (cast(:state as text) is null or c.state = :state)
      and (cast(:trip as text) is null or c.shopping_trip_id = :trip)
"""
_OLDEST: Final = Order({"created_at": "timestamptz", "shopping_trip_id": "text"})
_ONE: Final = text("select * from charge where shopping_trip_id = :trip")
_EVENTS: Final = text("""
    select kind, amount, currency, happened_at, heard_at, source, source_id, details
    from charge_event where shopping_trip_id = :trip order by event_id
""")


def charges(
    connection: Connection,
    *,
    store_id: str | None = None,
    state: str | None = None,
    trip: str | None = None,
    after: str = "",
    size: int = 50,
) -> Page:
    """Charges, the oldest first; each with the open case about it, if there is one."""
    return page(
        connection, _CHARGES, {"store_id": store_id, "state": state, "trip": trip}, _OLDEST, after=after, size=size
    )


def one(connection: Connection, trip: str) -> dict[str, Any]:
    """The charge's row, every event and every call. Raises BackroomError for a trip without a charge."""
    charge = connection.execute(_ONE, {"trip": trip}).mappings().one_or_none()
    if charge is None:
        raise BackroomError(f"trip {trip!r} has no charge; the list of charges shows those that have")
    events = [dict(row) for row in connection.execute(_EVENTS, {"trip": trip}).mappings()]
    return {**charge, "events": events, "attempts": of_trip(connection, trip)}
