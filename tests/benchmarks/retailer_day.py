"""A store's day of any size, straight into the tables: all sides agree, but for the trips that are made not to.

Of each 200 trips two are in debt, one is parked, one is refunded in part, and one is a break (its tax differs by a
cent): more trouble than an ordinary day has.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import Engine, text

STORE = """
    insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,
        preauthorization_amount, feeds)
    values (:store, 'Shop of the measurement', 'bench', 'America/New_York', 'USD', 'US-NY', 'RETAILER_MANAGED', 75,
        '{FILES}') on conflict do nothing;
    insert into catalog_item (store_id, item_sku, record, content_hash, item_name, product_category, seen_in_run)
    select :store, 'SKU-' || n, '{}', '', 'Product ' || n, 'Category ' || n % 24, 1
    from generate_series(0, 1999) n on conflict do nothing
"""
# Prices are whole quarters and the tax is 8 % of them, so that every amount is in whole cents.
DAY = """
    create temporary table made on commit drop as
    select :store || '-' || :day || '-' || n as trip, n,
           cast(cast(:day as date) as timestamptz) + interval '12 hours' + n % 43200 * interval '1 second' as ended,
           case when n % 200 in (3, 4) then 'IN_DEBT' when n % 200 = 5 then 'PARKED' else 'CAPTURED' end as state,
           n % 200 = 6 as refunded, n % 200 = 7 as bent
    from generate_series(1, :trips) n;
    create temporary table made_line on commit drop as
    select trip, n, line, 'SKU-' || (n * 7 + line * 13) % 2000 as sku, 1 + (n + line) % 3 as quantity,
           0.25 * (4 + (n + line * 5) % 40) as price, ended
    from made cross join generate_series(1, :lines) line;
    create temporary table made_total on commit drop as
    select trip, sum(price * quantity) as list, sum(round(price * quantity * 0.08, 2)) as tax,
           sum(price * quantity + round(price * quantity * 0.08, 2)) as total
    from made_line group by trip;
    create index on made_total (trip);
    analyze made, made_line, made_total;
    insert into purchase (purchase_id, shopping_trip_id, request_id, store_id, business_date, entry_method,
        trip_started_at, trip_ended_at, state, currency, list_total, promotion_total, tax_total, total, body_hash,
        raw_body, response_body, received_at)
    select 'P-' || trip, trip, 'r', :store, cast(:day as date), case when n % 3 = 0 then 'APP' else 'CREDIT_CARD' end,
           ended - interval '9 minutes', ended, 'PRICED', 'USD', list, 0, tax, total, 'h', '{}', '', ended
    from made join made_total using (trip);
    insert into purchase_line (shopping_trip_id, line_number, item_id, item_type, item_sku, quantity, unit, list_price,
        list_amount, promotion_amount, tax_rate, tax_jurisdiction, tax_amount, total)
    select trip, line, sku, 'SKU', sku, quantity, 'unit', price, price * quantity, 0, 0.08, 'US-NY',
           round(price * quantity * 0.08, 2), price * quantity + round(price * quantity * 0.08, 2)
    from made_line;
    insert into amazon_order (store_id, order_id, shopping_trip_id, business_date, status, entry_method,
        trip_started_at, trip_ended_at, currency, order_total, authorized, captured, refunded, card_brand,
        card_last_four, reconciliation_id, updated_at, window_end, sequencer)
    select :store, 'O-' || trip, trip, cast(:day as date),
           case when state = 'IN_DEBT' then 'CANCELLED' when state = 'PARKED' then 'OPEN'
                when refunded then 'REFUNDED' else 'SETTLED' end,
           case when n % 3 = 0 then 'APP' else 'CREDIT_CARD' end, ended - interval '9 minutes', ended, 'USD', total, 75,
           case when state = 'CAPTURED' then total else 0 end, case when refunded then 1 else 0 end, 'VISA', '4242',
           'rec-' || trip, ended + interval '1 hour', ended + interval '2 hours', '1'
    from made join made_total using (trip);
    insert into amazon_order_line (store_id, order_id, line_number, item_sku, quantity, unit, list_price, price,
        promotion, tax, updated_at, window_end, sequencer, file_id)
    select :store, 'O-' || trip, line, sku, quantity, 'unit', price, price * quantity, 0,
           round(price * quantity * 0.08, 2) + case when n % 200 = 7 and line = 1 then 0.01 else 0 end,
           ended + interval '1 hour', ended + interval '2 hours', '1', 1
    from made_line;
    insert into charge (shopping_trip_id, store_id, currency, total, state, authorized, captured, expires_at, to_book,
        created_at, updated_at)
    select trip, :store, 'USD', total, state, total, case when state = 'CAPTURED' then total else 0 end,
           ended + interval '46 hours', false, ended, ended + interval '30 minutes'
    from made join made_total using (trip);
    insert into charge_event (shopping_trip_id, kind, amount, currency, happened_at, heard_at, source, source_id)
    select trip, kind, total, 'USD', ended + step * interval '10 minutes', ended + step * interval '10 minutes',
           'ATTEMPT', trip || step
    from made join made_total using (trip)
    cross join (values ('OPENED', 0), ('ADJUST_APPROVED', 1), ('CAPTURE_INITIATED', 2), ('CAPTURE_APPROVED', 3))
        as told (kind, step);
    insert into charge_attempt (shopping_trip_id, operation, number, fencing, request, intended_at, outcome)
    select trip, operation, 1, 1, '{}', ended + interval '10 minutes', 'SUCCEEDED'
    from made cross join (values ('ADJUST'), ('CAPTURE')) as asked (operation);
    insert into debt (shopping_trip_id, store_id, cause, currency, amount, opened_at)
    select trip, :store, 'ADJUST_DECLINED', 'USD', total, ended from made join made_total using (trip)
    where state = 'IN_DEBT';
    insert into charge_event (shopping_trip_id, kind, amount, currency, happened_at, heard_at, source, source_id)
    select trip, 'DEBT_OPENED', total, 'USD', ended, ended, 'CLOCK', trip from made join made_total using (trip)
    where state = 'IN_DEBT';
    insert into refund_request (asked_key, shopping_trip_id, store_id, currency, amount, reason, requested_by,
        requested_at, state)
    select trip, trip, :store, 'USD', 1, 'OTHER', 'bench', ended, 'DONE' from made where refunded;
    insert into refund (request_id, shopping_trip_id, store_id, instrument, refund_request_key, currency, amount, state,
        initiated_at, final_at)
    select request_id, trip, :store, 'CAPTURE', trip, 'USD', 1, 'FINAL', ended, ended
    from made join refund_request on shopping_trip_id = trip where refunded;
    insert into refund_event (refund_id, shopping_trip_id, store_id, kind, amount, currency, happened_at, source,
        to_book)
    select refund_id, trip, :store, 'FINAL', 1, 'USD', ended, trip, false
    from made join refund on shopping_trip_id = trip where refunded;
    insert into ledger_transaction (source, kind, store_id, shopping_trip_id, business_date, happened_at)
    select 'bench:' || trip || ':' || kind, kind, :store, trip, cast(:day as date), ended
    from made cross join (values ('SALE'), ('CAPTURE_INITIATED'), ('CAPTURE_FINAL'), ('REFUND_FINAL')) as k (kind)
    where kind = 'SALE' or (kind = 'REFUND_FINAL' and refunded)
       or (kind in ('CAPTURE_INITIATED', 'CAPTURE_FINAL') and state <> 'PARKED');
    insert into ledger_posting (transaction_id, posting_number, account, detail, amount, currency)
    select t.transaction_id, p.number, p.account, p.detail, p.amount, 'USD'
    from made join made_total using (trip) join ledger_transaction t on t.shopping_trip_id = trip
    cross join lateral (
        select * from (values
            ('SALE', 1, 'shopper_receivable', '', total), ('SALE', 2, 'sales', '', -list),
            ('SALE', 3, 'tax_payable', 'US-NY', -tax),
            ('CAPTURE_INITIATED', 1, 'card_clearing_initiated', '', total),
            ('CAPTURE_INITIATED', 2, 'shopper_receivable', '', -total),
            ('CAPTURE_FINAL', 1, case state when 'IN_DEBT' then 'bad_debt_receivable' else 'card_clearing' end, '',
             total),
            ('CAPTURE_FINAL', 2, 'card_clearing_initiated', '', -total),
            ('REFUND_FINAL', 1, 'refunds', '', 0.93), ('REFUND_FINAL', 2, 'tax_payable', 'US-NY', 0.07),
            ('REFUND_FINAL', 3, 'refund_clearing', '', -1.00)
        ) as v (kind, number, account, detail, amount) where v.kind = t.kind
    ) p
"""
TABLES = (
    "store, catalog_item, purchase, purchase_line, amazon_order, amazon_order_line, charge, charge_event,"
    " charge_attempt, debt, refund_request, refund, refund_event, ledger_transaction, ledger_posting"
)


def fill(engine: Engine, *, store: str, day: date, trips: int, lines: int) -> None:
    """Puts that day in, `lines` to a trip, and lets PostgreSQL count what there is. The engine is a superuser's."""
    given = {"store": store, "day": day.isoformat(), "trips": trips, "lines": lines}
    with engine.begin() as connection:
        connection.execute(text("set local session_replication_role = replica"))  # no triggers: it is their work undone
        connection.execute(text("set local work_mem = '128MB'"))
        for statement in (STORE + ";" + DAY).split(";"):
            wanted = {name: value for name, value in given.items() if f":{name}" in statement}
            connection.execute(text(statement), wanted)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"vacuum analyze {TABLES}"))
        connection.execute(text("checkpoint"))  # a day's rows come over a day: writing them out is not the run's work
