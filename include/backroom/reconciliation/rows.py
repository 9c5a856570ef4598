"""A store's day as rows: one per trip and one per line that differs, joined by PostgreSQL and streamed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, text

from backroom.reconciliation.sides import ZERO, Booked, Charge, Line, LineSide, Order, Purchase, Trip

FETCHED_AT_ONCE = 2_000

# A trip belongs to the day of our purchase; only an order without one brings its own day.
TRIPS = text("""
with trip as materialized (
    select shopping_trip_id from purchase where store_id = :store_id and business_date = :business_date
    union
    select o.shopping_trip_id from amazon_order o
    where o.store_id = :store_id and o.business_date = :business_date
      and not exists (
        select from purchase p
        where p.shopping_trip_id = o.shopping_trip_id and p.store_id = o.store_id
          and p.business_date <> o.business_date)
),
seen as (
    select distinct on (o.shopping_trip_id) o.*,
           count(*) over w as orders, sum(o.captured) over w as captured_all, sum(o.refunded) over w as refunded_all,
           bool_or(o.incomplete) over w as any_incomplete
    from amazon_order o join trip using (shopping_trip_id)
    where o.store_id = :store_id
    window w as (partition by o.shopping_trip_id)
    order by o.shopping_trip_id, o.updated_at desc, o.order_id
),
booked as (
    select t.shopping_trip_id,
           -coalesce(sum(p.amount) filter (where p.account = 'sales'), 0) as sales,
           coalesce(sum(p.amount) filter (where p.account = 'promotions'), 0) as promotions,
           -coalesce(sum(p.amount) filter (where p.account = 'tax_payable'), 0) as tax,
           coalesce(sum(p.amount) filter (where p.account = 'card_clearing_initiated'), 0) as initiated,
           coalesce(sum(p.amount) filter (where p.account = 'card_clearing'), 0) as captured,
           coalesce(sum(p.amount) filter (where p.account = 'bad_debt_receivable'), 0) as debt_open
    from ledger_transaction t join ledger_posting p using (transaction_id) join trip using (shopping_trip_id)
    where t.store_id = :store_id
    group by t.shopping_trip_id
),
heard as (
    select shopping_trip_id, max(happened_at) as last_at from (
        select e.shopping_trip_id, e.happened_at from charge_event e join trip using (shopping_trip_id)
        union all
        select a.shopping_trip_id, a.intended_at from charge_attempt a join trip using (shopping_trip_id)
    ) news group by shopping_trip_id
),
unbilled as (
    select shopping_trip_id, count(*) as lines from unbilled_line join trip using (shopping_trip_id) group by 1
),
asked as (
    select distinct subject from review_case where decision is null and kind in ('BAD_CART', 'NOT_CHARGEABLE')
)
select trip.shopping_trip_id, store.currency as store_currency, store.test, 'FILES' = any(store.feeds) as has_files,
       p.state as purchase_state, p.entry_method, p.currency as purchase_currency, p.list_total, p.promotion_total,
       p.tax_total, p.tax_included_total, p.total, p.trip_started_at, asked.subject is not null as case_open,
       coalesce(unbilled.lines, 0) as unbilled,
       c.state as charge_state, c.currency as charge_currency, c.total as charge_total, c.captured,
       c.capture_initiated, c.expires_at, greatest(heard.last_at, c.updated_at) as changed_at,
       coalesce(d.amount, 0) as debt, coalesce(d.outstanding, 0) as debt_open,
       seen.order_id, seen.status as order_status, seen.entry_method as order_entry_method,
       seen.currency as order_currency, seen.order_total, seen.captured_all, seen.refunded_all,
       seen.updated_at as order_updated_at, seen.any_incomplete, seen.orders,
       b.sales as booked_sales, b.promotions as booked_promotions, b.tax as booked_tax,
       b.initiated as booked_initiated, b.captured as booked_captured, b.debt_open as booked_debt_open
from trip
join store on store.store_id = :store_id
left join purchase p on p.shopping_trip_id = trip.shopping_trip_id and p.store_id = :store_id
left join charge c on c.shopping_trip_id = trip.shopping_trip_id and c.store_id = :store_id
left join debt d on d.shopping_trip_id = trip.shopping_trip_id and d.store_id = :store_id
left join seen on seen.shopping_trip_id = trip.shopping_trip_id
left join booked b on b.shopping_trip_id = trip.shopping_trip_id
left join heard on heard.shopping_trip_id = trip.shopping_trip_id
left join unbilled on unbilled.shopping_trip_id = trip.shopping_trip_id
left join asked on asked.subject = trip.shopping_trip_id
order by trip.shopping_trip_id
""")

# Lines are compared where both sides are whole: a priced (or empty) cart, one complete order, one currency. A line that
# we left out is told of where Amazon has it; one that a person mapped has the id that came, if Amazon has that too.
# The price is what is left without tax, on both sides (ours), also where shelf prices hold the tax.
LINES = text("""
with pair as materialized (
    select p.shopping_trip_id, o.store_id, o.order_id
    from purchase p
    join amazon_order o on o.store_id = p.store_id and o.shopping_trip_id = p.shopping_trip_id
    where p.store_id = :store_id and p.business_date = :business_date and p.state in ('PRICED', 'EMPTY')
      and o.currency = p.currency and not o.incomplete
      and not exists (
        select from amazon_order other
        where other.store_id = o.store_id and other.shopping_trip_id = o.shopping_trip_id
          and other.order_id <> o.order_id)
),
ours as (
    select pair.shopping_trip_id, l.line_number, l.item_sku, l.quantity, l.unit, l.list_price,
           l.promotion_amount as promotion, l.total - l.tax_amount as price, l.tax_amount as tax,
           case when l.mapped_at is not null then l.item_id end as came_as,
           case when l.dropped_at is not null then 'DROPPED' when u.line_number is not null then 'UNBILLED' end
               as left_out
    from pair join purchase_line l using (shopping_trip_id)
    left join unbilled_line u using (shopping_trip_id, line_number)
),
theirs as (
    select pair.shopping_trip_id, a.line_number, a.item_sku, a.quantity, a.unit, a.list_price,
           a.promotion, a.price, a.tax
    from pair join amazon_order_line a using (store_id, order_id) where not a.dropped
)
select coalesce(ours.shopping_trip_id, theirs.shopping_trip_id) as shopping_trip_id,
       coalesce(ours.line_number, theirs.line_number) as line_number,
       ours.shopping_trip_id is not null as have_ours, theirs.shopping_trip_id is not null as have_theirs,
       ours.left_out, case when ours.came_as = theirs.item_sku then ours.came_as else ours.item_sku end as item_sku,
       ours.quantity, ours.unit, ours.list_price, ours.promotion, ours.price, ours.tax,
       theirs.item_sku as their_item_sku, theirs.quantity as their_quantity, theirs.unit as their_unit,
       theirs.list_price as their_list_price, theirs.promotion as their_promotion, theirs.price as their_price,
       theirs.tax as their_tax
from ours full join theirs using (shopping_trip_id, line_number)
where case
    when ours.left_out is not null then theirs.shopping_trip_id is not null
    else (case when ours.came_as = theirs.item_sku then ours.came_as else ours.item_sku end,
          ours.quantity, ours.unit, ours.list_price, ours.promotion, ours.price, ours.tax)
      is distinct from
      (theirs.item_sku, theirs.quantity, theirs.unit, theirs.list_price, theirs.promotion, theirs.price, theirs.tax)
    end
order by 1, 2
""")


def trips(connection: Connection, *, store_id: str, business_date: date, token_life: timedelta) -> Iterator[list[Trip]]:
    """The day's trips, in batches, by trip id. Between two batches the connection is free for other work."""
    result = connection.execute(
        TRIPS,
        {"store_id": store_id, "business_date": business_date},
        execution_options={"stream_results": True, "yield_per": FETCHED_AT_ONCE},
    )
    for batch in result.mappings().partitions(FETCHED_AT_ONCE):
        yield [_trip(row, token_life) for row in batch]


def differing_lines(connection: Connection, *, store_id: str, business_date: date) -> dict[str, list[Line]]:
    """By trip id, the lines that are not the same on both sides."""
    found: dict[str, list[Line]] = defaultdict(list)
    for row in connection.execute(LINES, {"store_id": store_id, "business_date": business_date}).mappings():
        left_out = row["left_out"]
        ours = _side(row, "") if row["have_ours"] and left_out is None else None
        theirs = _side(row, "their_") if row["have_theirs"] else None
        found[row["shopping_trip_id"]].append(Line(row["line_number"], ours, theirs, left_out))
    return found


def _trip(row: Any, token_life: timedelta) -> Trip:
    purchase = charge = order = None
    if row["purchase_state"] is not None:
        purchase = Purchase(
            state=row["purchase_state"],
            entry_method=row["entry_method"],
            currency=row["purchase_currency"],
            list_total=row["list_total"],
            promotion_total=row["promotion_total"],
            tax_total=row["tax_total"],
            tax_included_total=row["tax_included_total"],
            total=row["total"],
            token_ends_at=row["trip_started_at"] + token_life,
            case_open=row["case_open"],
            unbilled=row["unbilled"],
        )
    if row["charge_state"] is not None:
        charge = Charge(
            state=row["charge_state"],
            currency=row["charge_currency"],
            total=row["charge_total"],
            captured=row["captured"],
            initiated=row["capture_initiated"],
            expires_at=row["expires_at"],
            changed_at=row["changed_at"],
            debt=row["debt"],
            debt_open=row["debt_open"],
        )
    if row["order_id"] is not None:
        order = Order(
            order_id=row["order_id"],
            status=row["order_status"],
            entry_method=row["order_entry_method"],
            currency=row["order_currency"],
            total=row["order_total"],
            captured=row["captured_all"],
            refunded=row["refunded_all"],
            updated_at=row["order_updated_at"],
            incomplete=row["any_incomplete"],
            orders=row["orders"],
        )
    booked = None if row["test"] else _booked(row)
    return Trip(row["shopping_trip_id"], row["store_currency"], purchase, charge, order, booked, row["has_files"])


def _booked(row: Any) -> Booked:
    return Booked(
        sales=row["booked_sales"] or ZERO,
        promotions=row["booked_promotions"] or ZERO,
        tax=row["booked_tax"] or ZERO,
        initiated=row["booked_initiated"] or ZERO,
        captured=row["booked_captured"] or ZERO,
        debt_open=row["booked_debt_open"] or ZERO,
    )


def _side(row: Any, prefix: str) -> LineSide:
    return LineSide(
        item_sku=row[prefix + "item_sku"],
        quantity=row[prefix + "quantity"],
        unit=row[prefix + "unit"],
        list_price=row[prefix + "list_price"],
        promotion=row[prefix + "promotion"],
        price=row[prefix + "price"],
        tax=row[prefix + "tax"],
    )
