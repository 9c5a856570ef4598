"""Which of Amazon's orders belongs to which of our trips: by the trip, by the reconciliation id, by what is alike.

Set-based, in temporary tables of the caller's transaction: `day_trip` (the day's trips), `trip_order` (their orders).
"""

from __future__ import annotations

from datetime import date
from typing import Final

from sqlalchemy import Connection, text

MINUTES_APART: Final = 15  # how far two ends of a trip may be apart to be alike

# A trip belongs to the day of our purchase; only an order without one brings its own day.
_TRIPS: Final = """
    create temporary table day_trip on commit drop as
    select shopping_trip_id, true as ours from purchase where store_id = :store_id and business_date = :day
    union all
    select distinct o.shopping_trip_id, false from amazon_order o
    where o.store_id = :store_id and o.business_date = :day
      and not exists (
        select from purchase p where p.shopping_trip_id = o.shopping_trip_id and p.store_id = o.store_id)
"""
# An order that was cancelled with nothing taken, beside another of its trip, has been superseded by that one.
SUPERSEDED: Final = """
    status = 'CANCELLED' and captured = 0 and refunded = 0
    and bool_or(status <> 'CANCELLED' or captured <> 0) over (partition by shopping_trip_id)
"""
_BY_TRIP: Final = f"""
    create temporary table trip_order on commit drop as
    select shopping_trip_id, order_id, cast('TRIP' as text) as matched_by, cast(1 as numeric(3, 2)) as confidence,
           cast(null as text) as their_trip_id, {SUPERSEDED} as superseded
    from amazon_order o join day_trip using (shopping_trip_id)
    where o.store_id = :store_id
"""  # noqa: S608 - constants of this file only
# What stands alone on our side and on theirs. An order of the days around may be a trip's of this day: midnight.
_ALONE: Final = """
    create temporary table lone_trip on commit drop as
    select p.shopping_trip_id, p.total, p.currency, p.trip_ended_at, heard.reconciliation_id,
           coalesce(heard.last_four, card.last_four) as last_four
    from day_trip t join purchase p using (shopping_trip_id)
    left join lateral (
        select max(e.envelope -> 'detail' ->> 'reconciliationId') as reconciliation_id,
               max(e.envelope -> 'detail' ->> 'cardLastFourDigits') as last_four
        from feed_event e where e.shopping_trip_id = p.shopping_trip_id and e.detail_type = 'PAYMENT'
    ) heard on true
    left join lateral (
        select max(i.last_four) as last_four from preauthorization a join payment_instrument i using (instrument_id)
        where a.shopping_trip_id = p.shopping_trip_id
    ) card on true
    where p.state <> 'EMPTY' and t.shopping_trip_id not in (select shopping_trip_id from trip_order);

    create temporary table lone_order on commit drop as
    select o.order_id, o.shopping_trip_id, o.order_total, o.currency, o.trip_ended_at, o.reconciliation_id,
           o.card_last_four
    from amazon_order o
    where o.store_id = :store_id and o.business_date between cast(:day as date) - 1 and cast(:day as date) + 1
      and exists (select from lone_trip)
      and not exists (select from purchase p where p.shopping_trip_id = o.shopping_trip_id)
"""
# Each is taken only where it is the one candidate on both sides.
_BY_LESSER_KEYS: Final = """
    with candidate as (
        select t.shopping_trip_id, o.order_id, o.shopping_trip_id as their_trip_id, 'RECONCILIATION_ID' as matched_by,
               0.95 as confidence, 1 as rank
        from lone_trip t join lone_order o on o.reconciliation_id = t.reconciliation_id
        union all
        select t.shopping_trip_id, o.order_id, o.shopping_trip_id, 'AMOUNT_TIME_CARD', 0.80, 2
        from lone_trip t
        join lone_order o on o.order_total = t.total and o.currency = t.currency
         and (o.card_last_four = t.last_four or (o.card_last_four is null or t.last_four is null) and exists (
             -- retention or an erasure took the card's digits: the two were found to be one while they were there
             select from reconciliation_trip kept where kept.store_id = :store_id and kept.business_date = :day
               and kept.shopping_trip_id = t.shopping_trip_id and kept.their_trip_id = o.shopping_trip_id))
         and o.trip_ended_at between t.trip_ended_at - make_interval(mins => :minutes)
                                 and t.trip_ended_at + make_interval(mins => :minutes)
        where t.total > 0
    ), best as (
        select *, min(rank) over (partition by shopping_trip_id) as of_trip,
               min(rank) over (partition by order_id) as of_order
        from candidate
    ), sure as (
        select *, count(*) over (partition by shopping_trip_id) as for_trip,
               count(*) over (partition by order_id) as for_order
        from best where rank = of_trip and rank = of_order
    )
    insert into trip_order (shopping_trip_id, order_id, matched_by, confidence, their_trip_id, superseded)
    select shopping_trip_id, order_id, matched_by, confidence, their_trip_id, false
    from sure where for_trip = 1 and for_order = 1
"""
# An order that was found to be one of our trips' is no trip of its own, on whichever of the days it stands.
_NO_TRIP_OF_ITS_OWN: Final = """
    delete from day_trip t using trip_order o
    where o.matched_by <> 'TRIP' and t.shopping_trip_id = o.their_trip_id and not t.ours;
    delete from trip_order t using trip_order o
    where o.matched_by <> 'TRIP' and t.order_id = o.order_id and t.matched_by = 'TRIP';
    delete from day_trip t using amazon_order o, reconciliation_trip kept
    where not t.ours and o.store_id = :store_id and o.shopping_trip_id = t.shopping_trip_id
      and kept.store_id = o.store_id and kept.their_trip_id = t.shopping_trip_id and kept.business_date <> :day
"""
TABLES: Final = ("day_trip", "trip_order", "lone_trip", "lone_order")


def pair(connection: Connection, *, store_id: str, business_date: date) -> None:
    """Makes day_trip and trip_order for that store and day, in the caller's transaction."""
    given: dict[str, object] = {"store_id": store_id, "day": business_date}
    connection.execute(text(f"drop table if exists {', '.join(f'pg_temp.{name}' for name in TABLES)}"))
    connection.execute(text(_TRIPS), given)
    connection.execute(text("analyze day_trip"))
    connection.execute(text(_BY_TRIP), given)
    _each(connection, _ALONE, given)
    connection.execute(text(_BY_LESSER_KEYS), given | {"minutes": MINUTES_APART})
    _each(connection, _NO_TRIP_OF_ITS_OWN, given)
    connection.execute(text("analyze trip_order"))


def _each(connection: Connection, statements: str, given: dict[str, object]) -> None:
    for statement in statements.split(";"):
        wanted = {name: value for name, value in given.items() if f":{name}" in statement}
        connection.execute(text(statement), wanted)
