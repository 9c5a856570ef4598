"""A store's day gathered by PostgreSQL: one row per trip with all its sides, and one per line that differs.

In temporary tables of the caller's transaction: `differing_line` and `trip_side`. Whole days at once, so that a quarter
of a million trips are a few hash joins.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from sqlalchemy import Connection, text

from backroom.reconciliation import pairing, payout_lines
from backroom.reconciliation.begun_refunds import BEGUN, STANDS
from backroom.reconciliation.plain import PLAIN

# Lines are compared where both sides are whole: a priced (or empty) cart, one complete order, one currency. A line that
# we left out is told of where Amazon has it; one that a person mapped has the id that came, if Amazon has that too.
# The price is what is left without tax, on both sides (ours), also where shelf prices hold the tax.
_PAIRS: Final = """
    select p.shopping_trip_id, o.store_id, o.order_id
    from trip_order t
    join purchase p on p.shopping_trip_id = t.shopping_trip_id and p.store_id = :store_id
    join amazon_order o on o.store_id = p.store_id and o.order_id = t.order_id
    where not t.superseded and p.state in ('PRICED', 'EMPTY') and o.currency = p.currency and not o.incomplete
      and t.shopping_trip_id not in (
        select shopping_trip_id from trip_order where not superseded group by 1 having count(*) > 1)
"""
_LINES: Final = """
with ours as (
    select pair.shopping_trip_id, l.line_number, l.item_sku, l.quantity, l.unit, l.list_price,
           l.promotion_amount as promotion, l.total - l.tax_amount as price, l.tax_amount as tax,
           case when l.mapped_at is not null then l.item_id end as came_as,
           case when l.dropped_at is not null then 'DROPPED' when u.line_number is not null then 'UNBILLED' end
               as left_out
    from day_pair pair join purchase_line l using (shopping_trip_id)
    left join unbilled_line u using (shopping_trip_id, line_number)
),
theirs as (
    select pair.shopping_trip_id, a.line_number, a.item_sku, a.quantity, a.unit, a.list_price,
           a.promotion, a.price, a.tax
    from day_pair pair join amazon_order_line a using (store_id, order_id) where not a.dropped
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
"""
# The newest order of a trip, with the amounts of all that are not superseded.
_SEEN: Final = """
    select distinct on (t.shopping_trip_id) t.shopping_trip_id, t.matched_by, t.confidence, t.their_trip_id,
           o.order_id, o.status, o.entry_method, o.currency, o.order_total, o.updated_at,
           count(*) filter (where not t.superseded) over trip as orders,
           count(*) filter (where t.superseded) over trip as superseded,
           sum(o.captured) over trip as captured_all, sum(o.refunded) over trip as refunded_all,
           bool_or(o.incomplete) filter (where not t.superseded) over trip as any_incomplete
    from trip_order t join amazon_order o on o.store_id = :store_id and o.order_id = t.order_id
    window trip as (partition by t.shopping_trip_id)
    order by t.shopping_trip_id, t.superseded, o.updated_at desc, o.order_id
"""
# By account, each in its natural sign. What a refund undoes of a sale's tax is told apart by what it undoes of its net.
_BOOKED: Final = """
    select t.shopping_trip_id,
           -coalesce(sum(p.amount) filter (where p.account = 'sales'), 0) as sales,
           coalesce(sum(p.amount) filter (where p.account = 'promotions'), 0) as promotions,
           -coalesce(sum(p.amount) filter (where p.account = 'tax_payable'), 0) as tax,
           coalesce(sum(p.amount) filter (where p.account = 'refunds'), 0) as refunds_net,
           -coalesce(sum(p.amount) filter (
               where p.account in ('refund_clearing', 'refund_clearing_initiated')), 0) as refunded,
           coalesce(sum(p.amount) filter (where p.account = 'card_clearing_initiated'), 0) as initiated,
           coalesce(sum(p.amount) filter (where p.account = 'card_clearing'), 0) as captured,
           coalesce(sum(p.amount) filter (where p.account = 'bad_debt_receivable'), 0) as debt_open
    from day_trip d
    join ledger_transaction t on t.shopping_trip_id = d.shopping_trip_id and t.store_id = :store_id
    join ledger_posting p using (transaction_id)
    group by t.shopping_trip_id
"""
# What we gave back: all that undoes the sale, what left by the trip's own card, and what returns a second payment.
_REFUNDED: Final = f"""
    select r.shopping_trip_id,
           coalesce(sum(r.amount) filter (where not q.is_return and {STANDS}), 0) as of_sale,
           coalesce(sum(r.amount) filter (where r.instrument <> 'DEBT' and {STANDS}), 0) as paid_back,
           coalesce(sum(r.amount) filter (where r.instrument = 'CAPTURE' and r.state = 'FINAL'), 0) as card_final,
           coalesce(sum(r.amount) filter (where r.instrument = 'CAPTURE' and {BEGUN}), 0) as card_begun,
           coalesce(sum(r.amount) filter (
               where r.instrument = 'CAPTURE' and (r.state in ('UNKNOWN', 'DUE', 'WAITING') or {BEGUN})), 0)
               as card_on_its_way,
           coalesce(sum(r.amount) filter (where q.is_return and r.state = 'FINAL'), 0) as returned,
           max(coalesce(r.final_at, r.initiated_at, q.requested_at)) as last_at,
           min(r.initiated_at) filter (where r.instrument = 'CAPTURE' and {BEGUN}) as begun_at
    from day_trip join refund r using (shopping_trip_id) join refund_request q using (request_id)
    where r.store_id = :store_id
    group by r.shopping_trip_id
"""  # noqa: S608 - constants only
# The newest word of the events on the capture, and what the newest cart event comes to.
_HEARD: Final = """
    select e.shopping_trip_id,
           (array_agg(case when e.subtype = 'CaptureApproved' then pay.amount else 0 end
                order by e.happened_at desc, e.event_id)
                filter (where e.subtype in ('CaptureApproved', 'CaptureDeclined')))[1] as captured,
           (array_agg(e.subtype order by e.happened_at desc, e.event_id)
                filter (where e.subtype in ('CaptureApproved', 'CaptureDeclined')))[1] as said,
           (array_agg(cart.total order by e.happened_at desc, e.event_id) filter (where e.detail_type = 'CART'))[1]
               as total,
           max(coalesce(e.envelope -> 'detail' -> 'amount' ->> 'code', e.envelope -> 'detail' ->> 'currency'))
               as currency,
           max(e.happened_at) as last_at
    from day_trip join feed_event e using (shopping_trip_id)
    left join lateral (
        select cast(e.envelope -> 'detail' -> 'amount' ->> 'amount' as numeric) as amount
        where pg_input_is_valid(e.envelope -> 'detail' -> 'amount' ->> 'amount', 'numeric')
    ) pay on e.detail_type = 'PAYMENT'
    left join lateral (
        select sum(cast(item ->> 'priceValue' as numeric) + cast(item ->> 'taxValue' as numeric)) as total
        from jsonb_array_elements(case jsonb_typeof(e.envelope -> 'detail' -> 'items')
                                  when 'array' then e.envelope -> 'detail' -> 'items' else '[]' end) as item
        having bool_and(pg_input_is_valid(item ->> 'priceValue', 'numeric')
                        and pg_input_is_valid(item ->> 'taxValue', 'numeric'))
    ) cart on e.detail_type = 'CART'
    where e.store_id = :store_id and e.known and e.detail_type in ('CART', 'PAYMENT')
    group by e.shopping_trip_id
"""
_PAID_OUT: Final = f"""
    select shopping_trip_id, sum(amount) filter (where kind = 'CAPTURE') as captured,
           -coalesce(sum(amount) filter (where kind = 'REFUND'), 0) as refunded, max(currency) as currency,
           count(distinct currency) as currencies
    from ({payout_lines.of_trips("day_trip")}) of_trip
    group by shopping_trip_id
"""  # noqa: S608 - constants only
_SIDES: Final = f"""
select *, coalesce({PLAIN}, false) as plain from (
with lines as (select shopping_trip_id, count(*) as differing from differing_line group by 1),
     unbilled as (select shopping_trip_id, count(*) as lines from unbilled_line join day_trip using (shopping_trip_id)
                  group by 1),
     asked as (select distinct subject from review_case
               where decision is null and kind in ('BAD_CART', 'NOT_CHARGEABLE'))
select trip.shopping_trip_id, store.currency as store_currency, store.test, 'FILES' = any(store.feeds) as has_files,
       'EVENTS' = any(store.feeds) as has_events, store.payment_processor <> 'AMAZON' as own_processor,
       p.state as purchase_state, p.entry_method, p.currency as purchase_currency, p.list_total, p.promotion_total,
       p.tax_total, p.tax_included_total, p.total, p.trip_started_at, asked.subject is not null as case_open,
       coalesce(unbilled.lines, 0) as unbilled, coalesce(lines.differing, 0) as differing,
       c.state as charge_state, c.currency as charge_currency, c.total as charge_total, c.captured,
       c.capture_initiated, c.expires_at, c.updated_at as charge_updated_at,
       coalesce(d.amount, 0) as debt, coalesce(d.outstanding, 0) as debt_open, coalesce(d.returned, 0) as debt_returned,
       seen.order_id, seen.status as order_status, seen.entry_method as order_entry_method,
       seen.currency as order_currency, seen.order_total, seen.captured_all, seen.refunded_all,
       seen.updated_at as order_updated_at, coalesce(seen.any_incomplete, false) as any_incomplete, seen.orders,
       coalesce(seen.superseded, 0) as superseded, seen.matched_by, seen.confidence, seen.their_trip_id,
       heard.captured as heard_captured, heard.said as heard_said, heard.total as heard_total,
       heard.currency as heard_currency, heard.last_at as heard_at,
       coalesce(r.of_sale, 0) as refunded_of_sale, coalesce(r.paid_back, 0) as paid_back,
       coalesce(r.card_final, 0) as card_refunded, coalesce(r.card_begun, 0) as card_refund_begun,
       coalesce(r.card_on_its_way, 0) as card_refund_on_its_way,
       coalesce(r.returned, 0) as returned, r.last_at as refunded_at, r.begun_at as card_refund_begun_at,
       paid_out.captured as paid_out, coalesce(paid_out.refunded, 0) as paid_out_refunds,
       paid_out.currency as paid_out_currency, coalesce(paid_out.currencies, 0) as paid_out_currencies,
       coalesce(b.sales, 0) as booked_sales, coalesce(b.promotions, 0) as booked_promotions,
       coalesce(b.tax, 0) as booked_tax, coalesce(b.refunds_net, 0) as booked_refunds_net,
       coalesce(b.refunded, 0) as booked_refunded, coalesce(b.initiated, 0) as booked_initiated,
       coalesce(b.captured, 0) as booked_captured, coalesce(b.debt_open, 0) as booked_debt_open
from day_trip trip
join store on store.store_id = :store_id
left join purchase p on p.shopping_trip_id = trip.shopping_trip_id and p.store_id = :store_id
left join charge c on c.shopping_trip_id = trip.shopping_trip_id and c.store_id = :store_id
left join debt d on d.shopping_trip_id = trip.shopping_trip_id and d.store_id = :store_id
left join side_seen seen on seen.shopping_trip_id = trip.shopping_trip_id
left join side_booked b on b.shopping_trip_id = trip.shopping_trip_id
left join side_refunded r on r.shopping_trip_id = trip.shopping_trip_id
left join side_heard heard on heard.shopping_trip_id = trip.shopping_trip_id
left join side_paid_out paid_out on paid_out.shopping_trip_id = trip.shopping_trip_id
left join lines on lines.shopping_trip_id = trip.shopping_trip_id
left join unbilled on unbilled.shopping_trip_id = trip.shopping_trip_id
left join asked on asked.subject = trip.shopping_trip_id
) sides
"""  # noqa: S608 - constants of this file only


# In this order: a part may read those before it. Each is a table with statistics of its own: PostgreSQL can't guess
# how large a day is; what it takes for small it would loop over.
_PARTS: Final = (
    ("day_pair", _PAIRS),
    ("differing_line", _LINES),
    ("side_seen", _SEEN),
    ("side_booked", _BOOKED),
    ("side_refunded", _REFUNDED),
    ("side_heard", _HEARD),
    ("side_paid_out", _PAID_OUT),
    ("trip_side", _SIDES),
)


def gather(connection: Connection, *, store_id: str, business_date: date, only: list[str] | None = None) -> None:
    """Makes trip_side and differing_line for that store and day; `only` narrows them to these trips."""
    names = ", ".join(f"pg_temp.{name}" for name, _ in _PARTS)
    connection.execute(text(f"drop table if exists {names}"))
    pairing.pair(connection, store_id=store_id, business_date=business_date)
    if only is not None:
        for table in ("day_trip", "trip_order"):
            connection.execute(
                text(f"delete from {table} where shopping_trip_id <> all(:only)"),  # noqa: S608 - constants
                {"only": only},
            )
            connection.execute(text(f"analyze {table}"))
    for name, query in _PARTS:
        made = f"create temporary table {name} on commit drop as {query}"
        connection.execute(text(made), {"store_id": store_id} if ":store_id" in query else {})
        connection.execute(text(f"analyze {name}"))
