"""What a person sees of bad carts: those that wait, one in detail, and the lines that stayed unbilled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from backroom.purchases import stored_cart
from backroom.purchases.cart_resolution import CartError
from backroom.purchases.cart_settlement import price_stored
from backroom.purchases.pricing import PricedCart
from backroom.settings import settings

_WAITING = text("""
    select purchase.shopping_trip_id, purchase.store_id, purchase.trip_started_at, purchase.trip_ended_at,
           latest.case_id, latest.decision, latest.known -> 'problems' as problems
    from purchase
    left join lateral (
        select case_id, decision, known from review_case
        where kind = 'BAD_CART' and subject = purchase.shopping_trip_id order by case_id desc limit 1
    ) as latest on true
    where purchase.state = 'BAD_CART' and (cast(:store_id as text) is null or purchase.store_id = :store_id)
    order by purchase.trip_started_at, purchase.shopping_trip_id limit :limit
""")
_CART = text(f"""
    select {stored_cart.COLUMNS}, purchase.purchase_id, purchase.total, charge.state as charge_state
    from purchase join store using (store_id) left join charge using (shopping_trip_id)
    where purchase.shopping_trip_id = :trip
""")  # noqa: S608 - constants only
_LINES = text("""
    select line.line_number, line.item_id, line.item_type, line.quantity, line.unit, line.item_sku, line.mapped_at,
           line.dropped_at, line.total, unbilled.reason as unbilled
    from purchase_line as line left join unbilled_line as unbilled using (shopping_trip_id, line_number)
    where shopping_trip_id = :trip order by line_number
""")
_AUDIT = text("""
    select at, actor, action, reason from audit_entry
    where subject = :trip and (action like 'carts.%' or details ->> 'kind' = 'BAD_CART') order by entry_id
""")
_UNBILLED = text("""
    select unbilled.shopping_trip_id, unbilled.line_number, unbilled.store_id, unbilled.item_id, unbilled.quantity,
           unbilled.unit, unbilled.reason, unbilled.recorded_at
    from unbilled_line as unbilled
    where (cast(:store_id as text) is null or unbilled.store_id = :store_id)
    order by unbilled.recorded_at desc, unbilled.shopping_trip_id, unbilled.line_number limit :limit
""")


def waiting_carts(
    connection: Connection, *, now: datetime, store_id: str | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """The carts without a price, the most urgent first. Hours are from `now`: since the trip's end, until the end of
    its pre-authorization, and until it is charged for its known lines only."""
    config = settings()
    life, margin = timedelta(hours=config.token_life_hours), timedelta(hours=config.bad_cart_margin_hours)
    rows = connection.execute(_WAITING, {"store_id": store_id, "limit": limit})
    return [
        {
            "shopping_trip_id": row.shopping_trip_id,
            "store_id": row.store_id,
            "trip_ended_at": row.trip_ended_at,
            "age_hours": _hours(now - row.trip_ended_at),
            "hours_left": _hours(row.trip_started_at + life - now),
            "hours_until_charged_in_part": _hours(row.trip_started_at + life - margin - now),
            "case_id": row.case_id,
            "decided": row.decision if row.decision in ("price_again", "charge_nothing") else None,
            "problems": row.problems or [],
        }
        for row in rows
    ]


def cart_in_detail(connection: Connection, shopping_trip_id: str) -> dict[str, Any]:
    """A cart with each of its lines, what stands in the way of each now, and who decided what.

    Raises CartError where there is no such cart.
    """
    row = connection.execute(_CART, {"trip": shopping_trip_id}).one_or_none()
    if row is None:
        raise CartError(f"there is no cart of trip {shopping_trip_id!r}; `backroom carts list` shows those that wait")
    problems: dict[int, str] = {}
    if row.state == "BAD_CART":
        priced = price_stored(connection, stored_cart.read_carts(connection, [row])[0])
        if not isinstance(priced, PricedCart):
            problems = {problem.item.line_number: problem.reason for problem in priced}
    lines = [dict(line) for line in connection.execute(_LINES, {"trip": shopping_trip_id}).mappings()]
    return {
        "shopping_trip_id": shopping_trip_id,
        "store_id": row.store_id,
        "state": row.state,
        "charge_state": row.charge_state,
        "currency": row.currency,
        "total": row.total,
        "trip_ended_at": row.trip_ended_at,
        "token_ends_at": row.trip_started_at + timedelta(hours=settings().token_life_hours),
        "lines": [{**line, "problem": problems.get(line["line_number"])} for line in lines],
        "history": [dict(entry) for entry in connection.execute(_AUDIT, {"trip": shopping_trip_id}).mappings()],
    }


def unbilled_lines(connection: Connection, *, store_id: str | None = None, limit: int = 100) -> Sequence[RowMapping]:
    """Lines that left the store and were never charged, the newest first."""
    return connection.execute(_UNBILLED, {"store_id": store_id, "limit": limit}).mappings().all()


def _hours(span: timedelta) -> float:
    return round(span / timedelta(hours=1), 1)
