"""Charges as a person looks through them, and one in detail."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.charges.attempts import of_trip
from backroom.db.keyset import Order, Page, page
from backroom.errors import BackroomError

_CHARGES: Final = """
    select shopping_trip_id, store_id, state, currency, total, authorized, capture_initiated, captured, created_at,
           updated_at, expires_at, next_attempt_at
    from charge
    where (cast(:store_id as text) is null or store_id = :store_id)
      and (cast(:state as text) is null or state = :state)
      and (cast(:trip as text) is null or shopping_trip_id = :trip)
"""
_ASKED: Final = text("""
    select distinct on (subject) subject, case_id, kind from review_case
    where subject = any(cast(:trips as text[])) and asked_by = 'charges' and decision is null order by subject, case_id
""")
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
    """Charges, the oldest first; each with the open case about it (`case_id`, `waits_for`), if there is one."""
    values = {"store_id": store_id, "state": state, "trip": trip}
    found = page(connection, _CHARGES, values, _OLDEST, after=after, size=size)
    asked = {
        row.subject: row
        for row in connection.execute(_ASKED, {"trips": [row["shopping_trip_id"] for row in found.rows]})
    }
    for row in found.rows:
        case = asked.get(row["shopping_trip_id"])
        row["case_id"], row["waits_for"] = (case.case_id, case.kind) if case else (None, None)
    return found


def one(connection: Connection, trip: str) -> dict[str, Any]:
    """The charge's row, every event and every call. Raises BackroomError for a trip without a charge."""
    charge = connection.execute(_ONE, {"trip": trip}).mappings().one_or_none()
    if charge is None:
        raise BackroomError(f"trip {trip!r} has no charge; the list of charges shows those that have")
    events = [dict(row) for row in connection.execute(_EVENTS, {"trip": trip}).mappings()]
    return {**charge, "events": events, "attempts": of_trip(connection, trip)}
