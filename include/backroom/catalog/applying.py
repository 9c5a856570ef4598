"""Brings catalog_item and catalog_barcode, which pricing reads too, to what the staged source says."""

from __future__ import annotations

from sqlalchemy import Connection, text


def find_differences(connection: Connection, *, run_id: int) -> None:
    """`different_item`: what the staged source says otherwise than the catalog does. `how`: NEW, CHANGED, UNIT, GONE.

    A row that was rejected leaves its product as it was: neither changed nor gone. A store that brings no good row
    keeps all its products: an export that failed must not empty the shelves. The table lives until the transaction's
    end; `staged_store` counts each store's good rows.
    """
    for statement in (_STORES, _DIFFERENT, _REJECTED_ARE_NOT_GONE, _ANALYZE):
        connection.execute(text(statement), {"run": run_id} if ":run" in statement else {})


def apply(connection: Connection, *, run_id: int) -> None:
    """What is in `different_item`. What is as it was is not written again."""
    for statement in (
        _BARCODES,
        _KEPT_BARCODES,
        _UPSERT_ITEMS,
        _MARK_GONE,
        _REMOVE_BARCODES,
        _UPSERT_BARCODES,
        "drop table different_barcode, different_item, staged_store, staged_item, staged_barcode",
    ):
        connection.execute(text(statement), {"run": run_id} if ":run" in statement else {})


_STORES = """
create temporary table staged_store on commit drop as
select store_id, count(*) as good from staged_item group by store_id
"""

_DIFFERENT = """
create temporary table different_item on commit drop as
select store_id, item_sku, s.number,
    case when s.number is null then 'GONE' when c.gone is null or c.gone then 'NEW'
        when c.content_hash <> s.content_hash then 'CHANGED' else 'UNIT' end as how
from (select number, store_id, item_sku, content_hash, unit from staged_item) s
full join (
    select store_id, item_sku, content_hash, unit, gone from catalog_item
    where store_id in (select store_id from staged_store)
) c using (store_id, item_sku)
where s.number is null and not c.gone
    or s.number is not null and (c.gone is null or c.gone or c.content_hash <> s.content_hash or c.unit <> s.unit)
"""

_REJECTED_ARE_NOT_GONE = """
delete from different_item d using catalog_rejection r
where d.how = 'GONE' and r.run_id = :run and r.store_id = d.store_id and r.item_sku = d.item_sku
"""

_ANALYZE = "analyze different_item"

_BARCODES = """
create temporary table different_barcode on commit drop as
select b.* from staged_barcode b join different_item d using (number)
"""

# A product whose row was rejected keeps its barcodes; another that claims one of them has to wait.
_KEPT_BARCODES = """
with taken as (
    select distinct on (b.number) b.number, b.barcode, c.item_sku as owner
    from different_barcode b
    join catalog_barcode c on c.store_id = b.store_id and c.barcode = b.barcode and c.item_sku <> b.item_sku
    join catalog_rejection r on r.run_id = :run and r.store_id = c.store_id and r.item_sku = c.item_sku
    where not exists (select from staged_item s where s.store_id = c.store_id and s.item_sku = c.item_sku)
    order by b.number, b.barcode
), forgotten as (
    delete from different_item d using taken where d.number = taken.number
), without as (
    delete from different_barcode b using taken where b.number = taken.number
)
insert into catalog_rejection (run_id, file, line, store_id, item_sku, field, reason, raw)
select :run, i.file, i.line, i.store_id, i.item_sku, 'external_product_id',
    format('barcode %s belongs to %s, whose row is rejected', taken.barcode, taken.owner), i.record
from taken join staged_item i using (number)
"""

_UPSERT_ITEMS = """
insert into catalog_item (store_id, item_sku, record, content_hash, item_name, product_tax_code, product_category,
    unit, seen_in_run, gone)
select s.store_id, s.item_sku, s.record, s.content_hash, s.record ->> 'item_name',
    coalesce(s.record ->> 'product_tax_code', ''), coalesce(s.record ->> 'product_category', ''), s.unit, :run, false
from staged_item s join different_item d using (number)
on conflict (store_id, item_sku) do update set record = excluded.record, content_hash = excluded.content_hash,
    item_name = excluded.item_name, product_tax_code = excluded.product_tax_code,
    product_category = excluded.product_category, unit = excluded.unit, seen_in_run = excluded.seen_in_run, gone = false
"""

_MARK_GONE = """
update catalog_item c set gone = true, seen_in_run = :run from different_item d
where d.how = 'GONE' and c.store_id = d.store_id and c.item_sku = d.item_sku
"""

# What is gone keeps its barcodes: it may lie on the shelf until Amazon has archived it.
_REMOVE_BARCODES = """
delete from catalog_barcode b using different_item i
where i.how <> 'GONE' and b.store_id = i.store_id and b.item_sku = i.item_sku
    and not exists (
        select from different_barcode s
        where s.store_id = b.store_id and s.barcode = b.barcode and s.item_sku = b.item_sku)
"""

_UPSERT_BARCODES = """
insert into catalog_barcode (store_id, barcode, item_sku, barcode_type)
select distinct on (store_id, barcode) store_id, barcode, item_sku, barcode_type
from different_barcode order by store_id, barcode, number
on conflict (store_id, barcode) do update set item_sku = excluded.item_sku, barcode_type = excluded.barcode_type
where (catalog_barcode.item_sku, catalog_barcode.barcode_type)
    is distinct from (excluded.item_sku, excluded.barcode_type)
"""
