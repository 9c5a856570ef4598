"""The data sets that the suites in expectations/ speak of: one query each, with `key` naming a row."""

from __future__ import annotations

from typing import Final

PRODUCTS: Final = """
select i.store_id || '|' || i.item_sku as key, i.store_id, i.item_sku, i.item_name, i.unit, i.product_tax_code,
    i.record ->> 'external_product_id' as external_product_id,
    cast(i.record ->> 'standard_price' as numeric) as standard_price,
    (select count(*) from catalog_barcode b where b.store_id = i.store_id and b.item_sku = i.item_sku) as barcodes,
    exists (select from store s where s.store_id = i.store_id) as store_known,
    exists (select from shelf_price p where p.store_id = i.store_id and p.item_sku = i.item_sku) as has_shelf_price,
    coalesce(a.content_hash = i.content_hash and not a.archived, false) as amazon_has_it
from catalog_item i left join catalog_accepted a using (store_id, item_sku)
where not i.gone
"""

PURCHASES: Final = """
select p.shopping_trip_id as key, p.shopping_trip_id, p.store_id, p.business_date, p.entry_method, p.state, p.currency,
    p.list_total, p.promotion_total, p.tax_total, p.total, p.trip_started_at, p.trip_ended_at,
    p.list_total - p.promotion_total + p.tax_total - p.tax_included_total as sum_of_parts,
    p.currency = s.currency as currency_is_the_stores,
    p.business_date = cast(p.trip_ended_at at time zone s.time_zone as date) as business_date_is_the_stores,
    coalesce(l.lines, 0) as lines,
    case when p.state = 'PRICED' then coalesce(l.total, 0) else p.total end as lines_total,
    case when p.state = 'PRICED' then coalesce(l.tax, 0) else p.tax_total end as lines_tax,
    case when p.state = 'PRICED' then coalesce(l.tax_included, 0) else p.tax_included_total end as lines_tax_included,
    p.tax_included_total,
    coalesce(l.mistaken, 0) as lines_promotions_mistaken,
    coalesce(l.unknown, 0) as lines_unknown,
    p.state not in ('PRICED', 'EMPTY') or exists (
        select from charge c where c.shopping_trip_id = p.shopping_trip_id) as has_its_charge
from purchase p
join store s using (store_id)
left join (
    select shopping_trip_id, count(*) as lines, sum(total) as total, sum(tax_amount) as tax,
        sum(tax_amount) filter (where tax_included) as tax_included,
        count(*) filter (where item_sku is null and dropped_at is null) as unknown,
        count(*) filter (where promotion_amount <> (
            select coalesce(sum(cast(applied ->> 'amount' as numeric)), 0)
            from jsonb_array_elements(promotions) as applied)) as mistaken
    from purchase_line group by shopping_trip_id
) l using (shopping_trip_id)
"""

CHARGES: Final = """
select c.shopping_trip_id as key, c.shopping_trip_id, c.store_id, c.state, c.currency, c.total, c.authorized,
    c.captured, c.capture_initiated, c.attempts, c.created_at, c.expires_at,
    coalesce(p.total, c.total) as purchase_total,
    c.captured <= c.total as captured_no_more_than_due,
    c.state <> 'CAPTURED' or c.captured = c.total as captured_whole,
    c.state <> 'CANCELLED' or c.captured = 0 as cancelled_without_money,
    c.state <> 'IN_DEBT' or exists (
        select from debt d where d.shopping_trip_id = c.shopping_trip_id) as debt_is_known,
    c.state in ('CAPTURED', 'CANCELLED', 'IN_DEBT', 'PARKED') as is_final,
    (select count(*) from charge_event e where e.shopping_trip_id = c.shopping_trip_id) as events
from charge c left join purchase p using (shopping_trip_id)
"""

ORDERS: Final = """
select o.store_id || '|' || o.order_id as key, o.store_id, o.order_id, o.shopping_trip_id, o.status, o.entry_method,
    o.currency, o.order_total, o.authorized, o.captured, o.refunded, o.trip_started_at, o.trip_ended_at, o.updated_at,
    o.incomplete, o.card_last_four,
    o.currency = s.currency as currency_is_the_stores,
    o.business_date = cast(o.trip_ended_at at time zone s.time_zone as date) as business_date_is_the_stores,
    coalesce(l.lines, 0) as lines,
    case when o.incomplete then o.order_total else coalesce(l.total, 0) end as lines_total,
    o.status <> 'CANCELLED' or o.captured = 0 as cancelled_without_money,
    o.refunded <= o.captured as refunded_no_more_than_captured
from amazon_order o
join store s using (store_id)
left join (
    select store_id, order_id, count(*) as lines, sum(price + tax) as total
    from amazon_order_line where not dropped group by store_id, order_id
) l using (store_id, order_id)
"""

# Each run of the last thirty, and each row that it set aside: a run without one has a row of its own.
CATALOG_SOURCE: Final = """
select concat_ws('|', c.run_id, r.file, r.line, r.field) as key, c.run_id, r.file, r.line, r.store_id, r.item_sku,
    r.field, r.reason, c.items_read, c.items_rejected, c.state as run_state,
    r.rejection_id is null or r.file <> '' and r.line >= 1 as names_its_place,
    r.rejection_id is null or r.reason <> '' as says_why,
    r.rejection_id is null or r.store_id is not null as names_its_store,
    r.rejection_id is null or r.item_sku is not null as names_its_item,
    c.items_rejected = count(r.rejection_id) over (partition by c.run_id) as each_is_kept,
    c.items_rejected <= c.items_read as were_read,
    c.items_rejected * 20 <= c.items_read as few_of_its_run,
    c.state <> 'FAILED' as could_be_read,
    r.store_id is null or exists (select from store s where s.store_id = r.store_id) as store_known
from catalog_run c left join catalog_rejection r using (run_id)
where c.run_id > (select coalesce(max(run_id), 0) - 30 from catalog_run)
"""

DEBTS: Final = """
select d.shopping_trip_id as key, d.shopping_trip_id, d.store_id, d.cause, d.currency, d.amount, d.paid, d.reduced,
    d.written_off, d.returned, d.outstanding, d.state, d.opened_at, coalesce(d.closed_at, d.opened_at) as closed_at,
    d.age_days, d.bucket,
    d.state <> 'PAID' or d.outstanding = 0 as paid_owes_nothing,
    d.state <> 'OPEN' or d.outstanding > 0 as open_owes_something,
    d.currency = coalesce(c.currency, d.currency) as currency_is_the_charges,
    d.amount <= coalesce(c.total, d.amount) as no_more_than_the_charge,
    c.shopping_trip_id is not null as has_its_charge,
    d.shopper_id is not null or d.shopper_identity is not null as debtor_is_known
from debt d left join charge c using (shopping_trip_id)
"""

LEDGER: Final = """
select t.transaction_id as key, t.transaction_id, t.source, t.kind, t.store_id, t.shopping_trip_id, t.business_date,
    coalesce(p.postings, 0) as postings, coalesce(p.off, 0) as out_of_balance, coalesce(p.currencies, 0) as currencies,
    coalesce(p.largest, 0) as largest,
    p.currency = s.currency as currency_is_the_stores,
    t.business_date <= cast(t.happened_at at time zone s.time_zone as date) + 1 or t.belongs_to is not null
        as not_booked_ahead,
    t.reverses is null or exists (
        select from ledger_transaction o where o.transaction_id = t.reverses and o.store_id = t.store_id
    ) as reverses_one_of_its_store,
    t.reverses is null or t.reverses < t.transaction_id as reverses_an_earlier
from ledger_transaction t
join store s using (store_id)
left join (
    select transaction_id, count(*) as postings, abs(sum(amount)) as off, count(distinct currency) as currencies,
        max(abs(amount)) as largest, min(currency) as currency
    from ledger_posting group by transaction_id
) p using (transaction_id)
"""

DATA_SETS: Final = {
    "catalog_source": CATALOG_SOURCE,
    "products": PRODUCTS,
    "orders": ORDERS,
    "purchases": PURCHASES,
    "charges": CHARGES,
    "debts": DEBTS,
    "ledger": LEDGER,
}
