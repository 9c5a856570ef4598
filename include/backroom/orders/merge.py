"""Staged order rows into amazon_order and amazon_order_line: of each row the highest version stays.

The version is (updatedAt, end of the file's window, sequencer); within one file the last line wins. So the outcome does
not depend on the order in which files arrive (docs/feeds.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError


@dataclass(frozen=True)
class Merged:
    """Order lines of one file: new or newer than ours, and older than ours.

    `days`: each business date that the file speaks of, and whether what is known of it has changed.
    """

    applied: int
    stale: int
    days: Mapping[date, bool] = field(default_factory=dict, compare=False)


def merge(connection: Connection, *, file_id: int, window_end: datetime, sequencer: str, time_zone: str) -> Merged:
    """Bring in what stands in the session's table staged_line: good rows of one store. `time_zone` is the store's."""
    given = {"file": file_id, "window_end": window_end, "sequencer": sequencer, "zone": time_zone}
    try:
        with connection.begin_nested():
            return _merge(connection, given, repeated=False)
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.CardinalityViolation):
            raise
    return _merge(connection, given, repeated=True)  # the file has a line twice: the last one wins


def _merge(connection: Connection, given: dict[str, object], *, repeated: bool) -> Merged:
    spoken_of = connection.execute(text(_ORDERS), {**given, "repeated": repeated}).all()
    days: dict[date, bool] = {row.day: row.changed for row in spoken_of}
    upsert = _UPSERT_NEWEST if repeated else _UPSERT
    if not connection.execute(_ANY_DOUBT).scalar_one():
        return Merged(connection.execute(text(upsert), given).rowcount, 0, days)
    row = connection.execute(text(_REPORTING.format(upsert)), given).one()
    if doubtful := connection.execute(_DOUBTFUL).all():
        connection.execute(
            _SETTLE_LINES,
            {"stores": [row.store_id for row in doubtful], "orders": [row.order_id for row in doubtful]},
        )
    days.update(dict.fromkeys(row.changed_days or (), True))
    return Merged(row.applied, row.offered - row.applied, days)


# Windows overlap, so most rows come again unchanged, as a higher version: only what differs changes a day.
_ORDER_FACTS = (
    "shopping_trip_id, business_date, status, entry_method, trip_started_at, trip_ended_at, currency, order_total,"
    " authorized, captured, refunded, card_brand, card_last_four, reconciliation_id"
)
_LINE_FACTS = "item_sku, quantity, unit, list_price, price, promotion, tax, dropped"


def _of(row: str, columns: str) -> str:
    return ", ".join(f"{row}.{name.strip()}" for name in columns.split(","))


# Rows lie in staged_line in the file's order, so that ctid tells the last one. An order is in doubt unless we did not
# have it, and all its lines are of one updatedAt and add up: the others need no look at lines that we have.
_ORDERS = f"""
with head as materialized (
    select order_id, max(ctid) as last, min(updated_at) as oldest, max(updated_at) as latest, sum(price + tax) as added
    from staged_line group by order_id
), place as materialized (
    select order_id, last, added, false as mixed from head where oldest = latest
    union all
    select order_id, max(s.ctid), min(h.added), true from head h join staged_line s using (order_id)
    where h.oldest <> h.latest and s.updated_at = h.latest group by order_id
), newest as materialized (
    select s.store_id, s.order_id, s.shopping_trip_id, s.status, s.entry_method, s.trip_started_at, s.trip_ended_at,
        cast(s.trip_ended_at at time zone :zone as date) as business_date, s.currency,
        cast(s.order_total as numeric(14,4)) as order_total, s.authorized, s.captured, s.refunded, s.card_brand,
        s.card_last_four, s.reconciliation_id, s.updated_at, p.mixed, p.added
    from place p join staged_line s on s.ctid = p.last
), upserted as (
    insert into amazon_order (store_id, order_id, {_ORDER_FACTS}, updated_at, window_end, sequencer)
    select store_id, order_id, shopping_trip_id, business_date, status, entry_method, trip_started_at, trip_ended_at,
        currency, order_total, cast(authorized as numeric(14,4)), cast(captured as numeric(14,4)),
        cast(refunded as numeric(14,4)), nullif(card_brand, ''), nullif(card_last_four, ''),
        nullif(reconciliation_id, ''), updated_at, :window_end, :sequencer from newest
    on conflict (store_id, order_id) do update set
        ({_ORDER_FACTS}, updated_at, window_end, sequencer)
        = ({_of("excluded", _ORDER_FACTS)}, excluded.updated_at, excluded.window_end, excluded.sequencer)
    where (excluded.updated_at, excluded.window_end, excluded.sequencer)
        > (amazon_order.updated_at, amazon_order.window_end, amazon_order.sequencer)
    returning new.order_id, old.order_id is null as fresh, old.business_date as was, new.business_date as day,
        old.order_id is null
        or ({_of("old", _ORDER_FACTS)}) is distinct from ({_of("new", _ORDER_FACTS)}) as changed
), doubted as (
    insert into staged_doubt select n.order_id from newest n left join upserted u on u.order_id = n.order_id
    where u.fresh is not true or n.mixed or n.added <> n.order_total or :repeated
)
select day, bool_or(changed) as changed
from (
    select business_date as day, false as changed from newest
    union all select day, changed from upserted
    union all select was, true from upserted where was <> day
) as spoken_of group by day
"""  # noqa: S608 - names from the lists above

_UPSERT = """
    insert into amazon_order_line (store_id, order_id, line_number, item_sku, quantity, unit, list_price, price,
        promotion, tax, updated_at, window_end, sequencer, file_id)
    select store_id, order_id, line_number, item_sku, quantity, unit, list_price, price, promotion, tax, updated_at,
        :window_end, :sequencer, :file from staged_line
    on conflict (store_id, order_id, line_number) do update set item_sku = excluded.item_sku,
        quantity = excluded.quantity, unit = excluded.unit, list_price = excluded.list_price, price = excluded.price,
        promotion = excluded.promotion, tax = excluded.tax, updated_at = excluded.updated_at,
        window_end = excluded.window_end, sequencer = excluded.sequencer, file_id = excluded.file_id
    where (excluded.updated_at, excluded.window_end, excluded.sequencer)
        > (amazon_order_line.updated_at, amazon_order_line.window_end, amazon_order_line.sequencer)
"""
# only where the file repeats a line: the sort takes as long as the rest
_UPSERT_NEWEST = _UPSERT.replace(
    "from staged_line",
    "from (select distinct on (order_id, line_number) * from staged_line"
    " order by order_id, line_number, updated_at desc, ctid desc) as newest",
)
_REPORTING = f"""
with applied as ({{}}
    returning new.store_id, new.order_id, old.order_id is null
        or ({_of("old", _LINE_FACTS)}) is distinct from ({_of("new", _LINE_FACTS)}) as changed
)
select (select count(*) from applied) as applied, (select count(*) from staged_line) as offered,
    (select array_agg(distinct o.business_date) from (select distinct store_id, order_id from applied where changed) c
        join amazon_order o using (store_id, order_id)) as changed_days
"""  # noqa: S608 - names from the lists above

_ANY_DOUBT = text("select exists (select from staged_doubt)")
_DOUBTFUL = text(
    """
    select o.store_id, o.order_id
    from (select distinct store_id, order_id from staged_line join staged_doubt using (order_id)) t
    join amazon_order o using (store_id, order_id) join amazon_order_line l using (store_id, order_id)
    group by o.store_id, o.order_id
    having o.incomplete or sum(l.price + l.tax) <> o.order_total or bool_or(l.dropped or l.updated_at <> o.updated_at)
    """
)

# Which of an order's lines still stand? Counted from the newest version down, lines are kept until they add up to the
# order's total: first by the newest updatedAt alone (its lines may be split over files), else at the first version
# where the sum fits. What is older than that is gone. Where no such sum fits, lines are missing: the order waits.
_SETTLE_LINES = text(
    """
    with summed as (
        select l.store_id, l.order_id, l.line_number, o.order_total, l.updated_at = o.updated_at as newest,
            sum(l.price + l.tax) filter (where l.updated_at = o.updated_at) over one_order as newest_sum,
            sum(l.price + l.tax) over down as sum_down_to_here,
            count(*) over down as place_of_last_peer,
            row_number() over (partition by l.store_id, l.order_id
                order by l.updated_at desc, l.window_end desc, l.sequencer desc, l.line_number) as place
        from unnest(cast(:stores as text[]), cast(:orders as text[])) as d (store_id, order_id)
        join amazon_order o using (store_id, order_id) join amazon_order_line l using (store_id, order_id)
        window one_order as (partition by l.store_id, l.order_id),
            down as (partition by l.store_id, l.order_id
                order by l.updated_at desc, l.window_end desc, l.sequencer desc)
    ), judged as (
        select store_id, order_id, line_number, place,
            case when bool_or(newest and newest_sum = order_total) over one_order
                then count(*) filter (where newest) over one_order
                else min(place_of_last_peer) filter (where sum_down_to_here = order_total) over one_order end as kept
        from summed window one_order as (partition by store_id, order_id)
    ), lines as (
        update amazon_order_line l set dropped = coalesce(j.place > j.kept, false)
        from judged j
        where l.store_id = j.store_id and l.order_id = j.order_id and l.line_number = j.line_number
            and l.dropped <> coalesce(j.place > j.kept, false)
    )
    update amazon_order o set incomplete = j.kept is null
    from (select distinct store_id, order_id, kept from judged) j
    where o.store_id = j.store_id and o.order_id = j.order_id and o.incomplete <> (j.kept is null)
    """
)
