"""What somebody must know soon: windows that stay away, and orders of Amazon's of which we have no purchase."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from backroom.alerts import raise_alert
from backroom.clock import business_date
from backroom.feeds.completeness import coverage
from backroom.settings import settings
from backroom.stores.registry import all_stores

_LOOKS_BACK = timedelta(days=3)


def watch_gaps(connection: Connection, *, now: datetime) -> int:
    """Alert, once per store and day, of windows that are missing `intraday_gap_alert_minutes` after their end.

    Today and yesterday, from the first file of the store's on; how many windows are overdue.
    """
    due = now - timedelta(minutes=settings().intraday_gap_alert_minutes)
    overdue = 0
    for store in all_stores(connection):
        first = connection.execute(
            text("select min(window_end) from feed_file where store_id = :store"), {"store": store.store_id}
        ).scalar_one()
        if first is None or not store.active or "FILES" not in store.feeds:
            continue
        today = business_date(now, store.time_zone)
        for day in (today - timedelta(days=1), today):
            missing = [end for end in coverage(connection, store=store, day=day).missing if first <= end <= due]
            overdue += len(missing)
            if missing:
                raise_alert(
                    connection,
                    key=f"feeds:gap:{store.store_id}:{day}",
                    severity="warning",
                    title=f"{store.store_id}, {day}: {len(missing)} intra-day windows are overdue,"
                    f" the first ended {missing[0]:%Y-%m-%d %H:%M} UTC",
                    what_to_do=f"See `backroom feeds gaps --store {store.store_id} --date {day}`; ask Amazon for them.",
                    now=now,
                    subject=f"{store.store_id}|{day}",
                    store_id=store.store_id,
                )
    return overdue


def watch_orders(connection: Connection, *, now: datetime) -> int:
    """Alert, once per store and day, of trips in Amazon's files or events without a purchase of ours; how many.

    A cart has `order_without_purchase_minutes` to come by itself. One that we refused waits for a person elsewhere.
    """
    asked = {
        "from": now - _LOOKS_BACK,
        "until": now - timedelta(minutes=settings().order_without_purchase_minutes),
    }
    found = connection.execute(_WITHOUT_PURCHASE, asked).all()
    for row in found:
        raise_alert(
            connection,
            key=f"feeds:no-purchase:{row.store_id}:{row.day}",
            severity="critical",
            title=f"{row.store_id}, {row.day}: {row.trips} of Amazon's trips have no purchase of ours: {row.trip} …",
            what_to_do="See `backroom feeds unclaimed`; ask Amazon to send the carts again while they can be charged.",
            now=now,
            subject=row.trip,
            store_id=row.store_id,
        )
    return sum(row.trips for row in found)


UNCLAIMED = """
    select t.store_id, t.trip, min(t.at) as at, array_agg(distinct t.feed order by t.feed) as seen_in
    from (
        select store_id, shopping_trip_id as trip, trip_ended_at as at, 'FILES' as feed from amazon_order
        where trip_ended_at between :from and :until and order_total > 0
        union all
        select store_id, shopping_trip_id, happened_at, 'EVENTS' from feed_event
        where happened_at between :from and :until and detail_type = 'CART' and shopping_trip_id is not null
    ) t
    join store s on s.store_id = t.store_id
    where not exists (select from purchase p where p.shopping_trip_id = t.trip)
        and not exists (select from refused_cart r where r.shopping_trip_id = t.trip)
    group by t.store_id, t.trip
"""
_WITHOUT_PURCHASE = text(
    "select u.store_id, cast(u.at at time zone s.time_zone as date) as day, count(*) as trips, min(u.trip) as trip"  # noqa: S608 - constants
    f" from ({UNCLAIMED}) u join store s using (store_id) group by 1, 2 order by 1, 2"
)
