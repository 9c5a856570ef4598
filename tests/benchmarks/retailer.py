"""A retailer of some size: a store with 5,000 products, prices, promotions and taxes, and shoppers with keys."""

from __future__ import annotations

from sqlalchemy import Engine, text

PRODUCTS = 5_000
SHOPPERS = 5_000

_FILL = (
    """insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,
       preauthorization_amount, feeds)
       values ('STORE-001', 'a store', 'm', 'America/New_York', 'USD', 'US-NY', 'RETAILER_MANAGED', 75, '{FILES}')""",
    "insert into catalog_run (business_date, source, state, started_at) values ('2026-03-22', 's', 'DONE', now())",
    """insert into catalog_item (store_id, item_sku, record, content_hash, item_name, product_tax_code, unit,
       seen_in_run)
       select 'STORE-001', 'SKU-' || n, '{}', 'h', 'an item', case n % 3 when 0 then 'FOOD' else 'GENERAL' end, 'unit',
              (select max(run_id) from catalog_run)
       from generate_series(1, :products) n""",
    """insert into shelf_price (store_id, item_sku, valid_from, amount, currency)
       select 'STORE-001', 'SKU-' || n, '2020-01-01Z', (n % 2000 + 49) / 100.0, 'USD'
       from generate_series(1, :products) n""",
    "insert into tax_rate values ('STORE-001', 'GENERAL', '2020-01-01Z', null, 'US-NY', 0.08875)",
    """insert into promotion (promotion_id, store_id, kind, percentage, valid_from)
       select 'P-' || n, 'STORE-001', 'LINE_PERCENTAGE', 0.1, '2020-01-01Z'
       from generate_series(1, :products, 10) n""",
    """insert into promotion_item (store_id, item_sku, promotion_id)
       select 'STORE-001', 'SKU-' || n, 'P-' || n from generate_series(1, :products, 10) n""",
    "insert into shopper (shopper_id, type) select 'shopper-' || n, 'SHOPPER' from generate_series(1, :shoppers) n",
    """insert into recognition_key (key_hash, shopper_id, kind)
       select encode(sha256(('key-' || n)::bytea), 'hex'), 'shopper-' || n, 'OPAQUE'
       from generate_series(1, :shoppers) n""",
    """insert into recognition_key (key_hash, shopper_id, kind)
       select encode(sha256(lpad(to_hex(n), 21, '0')::bytea), 'hex'), 'shopper-' || n, 'TOKEN'
       from generate_series(1, :shoppers) n""",
    "create table bare (id text primary key, body bytea not null)",
    "grant select, insert, update on bare to backroom_connector",
)


def fill(engine: Engine) -> None:
    """Into an empty, migrated database."""
    with engine.begin() as connection:
        for statement in _FILL:
            values = {"products": PRODUCTS, "shoppers": SHOPPERS}
            connection.execute(text(statement), {name: values[name] for name in values if f":{name}" in statement})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze"))
