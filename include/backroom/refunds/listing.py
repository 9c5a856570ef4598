"""Refund requests as a person looks through them, and one in detail."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.db.keyset import Order, Page, page
from backroom.refunds.eligibility import RefundRefused

_REQUESTS: Final = """
    select q.request_id, q.shopping_trip_id, q.store_id, q.currency, q.amount, q.reason, q.note, q.requested_by,
           q.requested_at, q.state, q.decided_by, q.is_return, q.needs_approval
    from refund_request q
    where (cast(:store_id as text) is null or q.store_id = :store_id)
      and (cast(:state as text) is null or q.state = :state)
      and (cast(:trip as text) is null or q.shopping_trip_id = :trip)
"""
_NEWEST: Final = Order({"request_id": "bigint"}, descending=True)
_ONE: Final = text("select * from refund_request where request_id = :request")
_LINES: Final = text("""
    select r.line_number, r.quantity, r.amount, l.item_sku, l.unit
    from refund_request_line r
    join refund_request q using (request_id)
    left join purchase_line l on l.shopping_trip_id = q.shopping_trip_id and l.line_number = r.line_number
    where r.request_id = :request order by r.line_number
""")
_REFUNDS: Final = text("""
    select r.refund_id, r.instrument, r.amount, r.currency, r.state, r.attempts, r.initiated_at, r.final_at,
           (select case_id from review_case c where c.subject = 'refund' || chr(58) || r.refund_id
              and c.decision is null order by case_id limit 1) as case_id
    from refund r where r.request_id = :request order by r.refund_id
""")
_TRIP: Final = text("""
    select c.shopping_trip_id, c.store_id, c.state, c.currency, c.total, c.captured, p.trip_ended_at
    from charge c left join purchase p using (shopping_trip_id) where c.shopping_trip_id = :trip
""")
_SOLD: Final = text("""
    select l.line_number, l.item_sku, l.item_id, l.quantity, l.unit, l.total,
           coalesce(g.quantity, 0) as given_quantity, coalesce(g.amount, 0) as given
    from purchase_line l
    left join lateral (
        select sum(r.quantity) as quantity, sum(r.amount) as amount
        from refund_request_line r join refund_request q using (request_id)
        where q.shopping_trip_id = l.shopping_trip_id and r.line_number = l.line_number
          and q.state not in ('REJECTED', 'FAILED')) g on true
    where l.shopping_trip_id = :trip and l.dropped_at is null and l.total is not null
    order by l.line_number
""")
_EVENTS: Final = text("""
    select e.kind, e.amount, e.currency, e.happened_at, e.source
    from refund_event e join refund r using (refund_id) where r.request_id = :request order by e.event_id
""")


def requests(
    connection: Connection,
    *,
    store_id: str | None = None,
    state: str | None = None,
    trip: str | None = None,
    after: str = "",
    size: int = 50,
) -> Page:
    """Requests, the newest first."""
    values = {"store_id": store_id, "state": state, "trip": trip}
    return page(connection, _REQUESTS, values, _NEWEST, after=after, size=size)


def to_ask(connection: Connection, trip: str) -> dict[str, Any]:
    """What a refund of the trip is asked about: its charge, its lines, and what of each is given back already.

    Raises RefundRefused for a trip without a charge. Locks nothing: whether it may be is judged when it is asked.
    """
    row = connection.execute(_TRIP, {"trip": trip}).mappings().one_or_none()
    if row is None:
        raise RefundRefused(f"trip {trip!r} has no charge, so there is nothing to give back")
    return {**row, "lines": [dict(line) for line in connection.execute(_SOLD, {"trip": trip}).mappings()]}


def one(connection: Connection, request_id: int) -> dict[str, Any]:
    """The request, its lines, its parts by instrument, and what happened. Raises RefundRefused."""
    values = {"request": request_id}
    row = connection.execute(_ONE, values).mappings().one_or_none()
    if row is None:
        raise RefundRefused(f"there is no refund request {request_id}; the list of refunds shows them")
    parts = {"lines": _LINES, "refunds": _REFUNDS, "events": _EVENTS}
    return {
        **row,
        **{name: [dict(one) for one in connection.execute(query, values).mappings()] for name, query in parts.items()},
    }
