"""How things stand: what waits, by kind, and the state of each store. One query each, whatever the rooms hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

_WAITING: Final = text("""
    select
        (select count(*) from review_case where decision is null) as cases,
        (select count(*) from review_case where decision is null and due_at <= :now) as cases_overdue,
        (select count(*) from reconciliation_break where closed_at is null) as breaks,
        (select count(*) from purchase where state = 'BAD_CART') as bad_carts,
        (select count(*) from charge where state = 'PARKED') as parked_charges,
        (select count(*) from debt where state = 'OPEN' and amount > 0) as open_debts,
        (select count(*) from refund_request where state = 'AWAITING_APPROVAL') as refunds_to_approve,
        (select count(*) from refund where state = 'PARKED') as parked_refunds,
        (select count(*) from feed_quarantine where state = 'WAITING') as quarantined_rows,
        (select count(*) from refused_cart where settled_at is null) as refused_carts,
        (select count(*) from catalog_rejection
          where run_id = (select max(run_id) from catalog_run)) as rejected_rows,
        (select count(*) from catalog_refusal) as refused_items
""")
_OWED: Final = text("""
    select currency, sum(outstanding) as outstanding, count(*) as debts
    from debt where state = 'OPEN' and amount > 0 group by currency order by currency
""")
_STORES: Final = text("""
    select s.store_id, s.name, s.active, s.currency, s.time_zone, s.feeds,
           cart.last_trip_at, file.last_window, synced.last_sync_at, synced.last_sync_state,
           run.business_date as reconciled_day, run.complete as day_complete, run.trips, run.breaks_open,
           coalesce(parked.charges, 0) as parked_charges, coalesce(open.breaks, 0) as breaks,
           coalesce(bad.carts, 0) as bad_carts, released.missing_windows
    from store s
    left join lateral (select max(trip_ended_at) as last_trip_at from purchase where store_id = s.store_id) cart on true
    left join lateral (
        select max(window_end) as last_window from feed_file
        where store_id = s.store_id and state in ('INGESTED', 'SAME_CONTENT')) file on true
    left join lateral (
        select coalesce(finished_at, started_at) as last_sync_at, state as last_sync_state from catalog_run
        where store_id is null or store_id = s.store_id order by run_id desc limit 1) synced on true
    left join lateral (
        select business_date, complete, trips, breaks_open from reconciliation_run
        where store_id = s.store_id order by business_date desc, revision desc limit 1) run on true
    left join lateral (
        select missing_windows from day_release
        where store_id = s.store_id order by business_date desc, revision desc limit 1) released on true
    left join (select store_id, count(*) as charges from charge where state = 'PARKED' group by 1) parked
        on parked.store_id = s.store_id
    left join (select store_id, count(*) as breaks from reconciliation_break where closed_at is null group by 1) open
        on open.store_id = s.store_id
    left join (select store_id, count(*) as carts from purchase where state = 'BAD_CART' group by 1) bad
        on bad.store_id = s.store_id
    where s.active or :inactive_too
    order by s.store_id limit :size
""")
_ALERTS: Final = text("""
    select alert_id, severity, title, what_to_do, store_id, times, last_at from alert
    where last_at >= :since order by last_at desc, alert_id desc limit :size
""")


def waiting(connection: Connection, *, now: datetime) -> dict[str, int]:
    """How much of each kind waits for a person or for better data."""
    return dict(connection.execute(_WAITING, {"now": now}).mappings().one())


def owed(connection: Connection) -> list[dict[str, Any]]:
    """What shoppers owe, by currency."""
    return [dict(row) for row in connection.execute(_OWED).mappings()]


def stores(connection: Connection, *, inactive_too: bool = False, size: int = 200) -> list[dict[str, Any]]:
    """The state of each store, by id, at most `size` of them."""
    rows = connection.execute(_STORES, {"inactive_too": inactive_too, "size": size}).mappings()
    return [dict(row) for row in rows]


def alerts(connection: Connection, *, since: datetime, size: int = 20) -> Sequence[dict[str, Any]]:
    """What was warned of since then, the latest first."""
    return [dict(row) for row in connection.execute(_ALERTS, {"since": since, "size": size}).mappings()]
