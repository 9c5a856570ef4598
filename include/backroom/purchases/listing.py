"""Bad carts, refused carts and unbilled lines as a person looks through them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from backroom.db.keyset import Order, Page, page
from backroom.settings import settings

_BAD: Final = """
    select p.shopping_trip_id, p.store_id, p.trip_started_at, p.trip_ended_at,
           p.trip_started_at + cast(:until_charged as interval) as charged_in_part_at,
           latest.case_id, latest.decision, latest.known -> 'problems' as problems
    from purchase p
    left join lateral (
        select case_id, decision, known from review_case
        where kind = 'BAD_CART' and subject = p.shopping_trip_id order by case_id desc limit 1
    ) latest on true
    where p.state = 'BAD_CART' and (cast(:store_id as text) is null or p.store_id = :store_id)
"""
_REFUSED: Final = """
    select refused_id, received_at, status, reason, shopping_trip_id, length(body) as bytes, settled_at, settled_by,
           outcome
    from refused_cart where (settled_at is null) = :waiting
"""
_UNBILLED: Final = """
    select u.shopping_trip_id, u.line_number, u.store_id, u.item_id, u.quantity, u.unit, u.reason, u.recorded_at
    from unbilled_line u where (cast(:store_id as text) is null or u.store_id = :store_id)
"""
_OLDEST_TRIP: Final = Order({"trip_started_at": "timestamptz", "shopping_trip_id": "text"})
_OLDEST_REFUSED: Final = Order({"received_at": "timestamptz", "refused_id": "bigint"})
_NEWEST_UNBILLED: Final = Order(
    {"recorded_at": "timestamptz", "shopping_trip_id": "text", "line_number": "bigint"}, descending=True
)


def bad_carts(
    connection: Connection, *, now: datetime, store_id: str | None = None, after: str = "", size: int = 50
) -> Page:
    """Carts without a price, the most urgent first. `hours_left`: until the known lines alone are charged."""
    config = settings()
    until = timedelta(hours=config.token_life_hours - config.bad_cart_margin_hours)
    values = {"store_id": store_id, "until_charged": until}
    found = page(connection, _BAD, values, _OLDEST_TRIP, after=after, size=size)
    for row in found.rows:
        row["hours_left"] = round((row["charged_in_part_at"] - now) / timedelta(hours=1), 1)
        row["problems"] = row["problems"] or []
    return found


def refused_carts(connection: Connection, *, settled: bool = False, after: str = "", size: int = 50) -> Page:
    """Carts that the connector turned away, the oldest first, without their bodies."""
    return page(connection, _REFUSED, {"waiting": not settled}, _OLDEST_REFUSED, after=after, size=size)


def unbilled_lines(connection: Connection, *, store_id: str | None = None, after: str = "", size: int = 50) -> Page:
    """Lines that left the store and were never charged, the newest first."""
    return page(connection, _UNBILLED, {"store_id": store_id}, _NEWEST_UNBILLED, after=after, size=size)
