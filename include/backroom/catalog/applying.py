"""Brings catalog_item and catalog_barcode, which pricing reads too, to what the staged source says."""

from __future__ import annotations

from sqlalchemy import Connection, text


def apply(connection: Connection, *, run_id: int) -> None:
    """In the transaction that has staged the source. What is as it was is not written again.

    A row that was rejected leaves its product as it was: neither changed nor gone. A store that brings no good row
    keeps all its products: an export that failed must not empty the shelves.
    """
    for statement in (_DIFFERENT, _UPSERT_ITEMS, _MARK_GONE, _REMOVE_BARCODES, _UPSERT_BARCODES):
        connection.execute(text(statement), {"run": run_id} if ":run" in statement else {})
    connection.execute(text("drop table different_item, staged_item, staged_barcode"))


# New, changed, back, or with a barcode that is not its own here (another product had it while this one was rejected).
_DIFFERENT = """
create temporary table different_item on commit drop as
select s.number, s.store_id, s.item_sku from staged_item s
left join catalog_item c on c.store_id = s.store_id and c.item_sku = s.item_sku
where c.item_sku is null or c.gone or c.content_hash <> s.content_hash or c.unit <> s.unit
union
select b.number, b.store_id, b.item_sku from staged_barcode b
left join catalog_barcode c on c.store_id = b.store_id and c.barcode = b.barcode and c.item_sku = b.item_sku
    and c.barcode_type is not distinct from b.barcode_type
where c.barcode is null
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
update catalog_item c set gone = true, seen_in_run = :run
where c.store_id in (select distinct store_id from staged_item) and not c.gone
    and not exists (select from staged_item s where s.store_id = c.store_id and s.item_sku = c.item_sku)
    and not exists (
        select from catalog_rejection r where r.run_id = :run and r.store_id = c.store_id and r.item_sku = c.item_sku)
"""

# What is gone keeps its barcodes: it may lie on the shelf until Amazon has archived it.
_REMOVE_BARCODES = """
delete from catalog_barcode b using different_item i
where b.store_id = i.store_id and b.item_sku = i.item_sku
    and not exists (
        select from staged_barcode s
        where s.store_id = b.store_id and s.barcode = b.barcode and s.item_sku = b.item_sku)
"""

_UPSERT_BARCODES = """
insert into catalog_barcode (store_id, barcode, item_sku, barcode_type)
select distinct on (s.store_id, s.barcode) s.store_id, s.barcode, s.item_sku, s.barcode_type
from staged_barcode s join different_item d using (number) order by s.store_id, s.barcode, s.number
on conflict (store_id, barcode) do update set item_sku = excluded.item_sku, barcode_type = excluded.barcode_type
where (catalog_barcode.item_sku, catalog_barcode.barcode_type)
    is distinct from (excluded.item_sku, excluded.barcode_type)
"""
