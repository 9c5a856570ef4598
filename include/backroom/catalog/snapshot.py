"""The source as it is tonight: read, judged row by row, and put into catalog_item and catalog_barcode."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import Connection, text

from backroom.catalog.source import SourceRow, read_rows
from backroom.catalog.validation import Item, Rejection, canonical, validate


@dataclass(frozen=True)
class Snapshot:
    """How many rows were read and how many of them can't be used."""

    read: int
    rejected: int


def take(connection: Connection, *, run_id: int, files: list[Path], currencies: dict[str, str]) -> Snapshot:
    """Stage the files, reject what can't be sent, bring catalog_item and catalog_barcode to what the files say.

    A row that is rejected leaves its product as it was: neither changed nor gone. A store whose file brings no good
    row keeps all its products: an export that failed must not empty the shelves. Raises SourceFileError.
    """
    connection.execute(text(_STAGED_ITEM))
    connection.execute(text(_STAGED_BARCODE))
    read = _stage(connection, run_id, files, currencies)
    connection.execute(text(_DUPLICATE_SKUS), {"run": run_id})
    connection.execute(text(_DUPLICATE_BARCODES), {"run": run_id})
    rejected = connection.execute(
        text("select count(*) from catalog_rejection where run_id = :run"), {"run": run_id}
    ).scalar_one()
    for statement in (
        _FORGET_REJECTED_BARCODES,
        _FORGET_REJECTED_ITEMS,
        _UPSERT_ITEMS,
        _MARK_GONE,
        _REMOVE_BARCODES,
        _UPSERT_BARCODES,
    ):
        connection.execute(text(statement), {"run": run_id})
    connection.execute(text("drop table staged_item, staged_barcode"))
    return Snapshot(read, rejected)


def _stage(connection: Connection, run_id: int, files: list[Path], currencies: dict[str, str]) -> int:
    """Every row to one of three places; a file at a time, in chunks, since a COPY holds the connection."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    read = 0
    for path in files:
        for chunk in _chunks(read_rows(path), 5_000):
            judged = [
                (number, row, Rejection("", row.broken) if row.broken else _judge(row, path.stem, currencies))
                for number, row in enumerate(chunk, start=read)
            ]
            good = [(number, row, item) for number, row, item in judged if isinstance(item, Item)]
            _copy_items(driver, good)
            _copy_rejections(driver, run_id, [(row, bad) for _, row, bad in judged if isinstance(bad, Rejection)])
            read += len(judged)
    return read


def _judge(row: SourceRow, file_store: str, currencies: dict[str, str]) -> Item | Rejection:
    if any("\x00" in value for value in row.fields.values()):
        return Rejection("", "holds a NUL character")
    return validate(row.fields, file_store=file_store, currencies=currencies)


def _chunks(rows: Iterable[SourceRow], size: int) -> Iterator[list[SourceRow]]:
    chunk: list[SourceRow] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _copy_items(driver: psycopg.Connection, good: list[tuple[int, SourceRow, Item]]) -> None:
    with driver.cursor() as cursor:
        with cursor.copy(
            "copy staged_item (number, file, line, store_id, item_sku, record, content_hash, item_name,"
            " product_tax_code, product_category, unit) from stdin"
        ) as copy:
            for number, row, item in good:
                record = item.record
                copy.write_row(
                    (
                        number,
                        row.file,
                        row.line,
                        item.store_id,
                        item.item_sku,
                        canonical(record),
                        item.content_hash,
                        record["item_name"],
                        record.get("product_tax_code", ""),
                        record.get("product_category", ""),
                        item.unit,
                    )
                )
        with cursor.copy("copy staged_barcode (number, store_id, item_sku, barcode, barcode_type) from stdin") as copy:
            for number, _, item in good:
                for barcode, kind in item.barcodes:
                    copy.write_row((number, item.store_id, item.item_sku, barcode, kind))


def _copy_rejections(driver: psycopg.Connection, run_id: int, bad: list[tuple[SourceRow, Rejection]]) -> None:
    with (
        driver.cursor() as cursor,
        cursor.copy(
            "copy catalog_rejection (run_id, file, line, store_id, item_sku, field, reason, raw) from stdin"
        ) as copy,
    ):
        for row, rejection in bad:
            raw = {name: value.replace("\x00", "\ufffd") for name, value in row.fields.items()}
            copy.write_row(
                (
                    run_id,
                    row.file,
                    row.line,
                    raw.get("store_id"),
                    raw.get("item_sku"),
                    rejection.field or None,
                    rejection.reason,
                    json.dumps(raw),
                )
            )


_STAGED_ITEM = """
create temporary table staged_item (
    number bigint primary key, file text, line integer, store_id text, item_sku text, record jsonb, content_hash text,
    item_name text, product_tax_code text, product_category text, unit text, rejected boolean default false
) on commit drop
"""

_STAGED_BARCODE = """
create temporary table staged_barcode (
    number bigint, store_id text, item_sku text, barcode text, barcode_type text
) on commit drop
"""

# The first row of a SKU counts, the later ones are rejected.
_DUPLICATE_SKUS = """
with ranked as (
    select number, row_number() over w as place, first_value(line) over w as first_line
    from staged_item window w as (partition by store_id, item_sku order by number)
), marked as (
    update staged_item set rejected = true from ranked
    where ranked.number = staged_item.number and place > 1
    returning staged_item.*, first_line
)
insert into catalog_rejection (run_id, file, line, store_id, item_sku, field, reason, raw)
select :run, file, line, store_id, item_sku, 'item_sku', 'is already in line ' || first_line, record from marked
"""

# A barcode names one product of a store: the first one in the source keeps it.
_DUPLICATE_BARCODES = """
with ranked as (
    select b.number, b.barcode, first_value(b.item_sku) over w as owner, b.item_sku
    from staged_barcode b join staged_item i on i.number = b.number and not i.rejected
    window w as (partition by b.store_id, b.barcode order by b.number)
), taken as (
    select distinct on (number) number, barcode, owner from ranked where owner <> item_sku order by number, barcode
), marked as (
    update staged_item set rejected = true from taken where taken.number = staged_item.number
    returning staged_item.*, taken.barcode, taken.owner
)
insert into catalog_rejection (run_id, file, line, store_id, item_sku, field, reason, raw)
select :run, file, line, store_id, item_sku, 'external_product_id',
    format('barcode %s belongs to %s already', barcode, owner), record
from marked
"""

_FORGET_REJECTED_BARCODES = """
delete from staged_barcode b using staged_item i where i.number = b.number and i.rejected
"""

_FORGET_REJECTED_ITEMS = "delete from staged_item where rejected"

_UPSERT_ITEMS = """
insert into catalog_item (store_id, item_sku, record, content_hash, item_name, product_tax_code, product_category,
    unit, seen_in_run, gone)
select store_id, item_sku, record, content_hash, item_name, product_tax_code, product_category, unit, :run, false
from staged_item
on conflict (store_id, item_sku) do update set record = excluded.record, content_hash = excluded.content_hash,
    item_name = excluded.item_name, product_tax_code = excluded.product_tax_code,
    product_category = excluded.product_category, unit = excluded.unit, seen_in_run = excluded.seen_in_run, gone = false
"""

_MARK_GONE = """
update catalog_item c set gone = true
where c.store_id in (select store_id from staged_item) and c.seen_in_run <> :run and not c.gone
    and not exists (
        select from catalog_rejection r where r.run_id = :run and r.store_id = c.store_id and r.item_sku = c.item_sku)
"""

# What is gone keeps its barcodes: it may lie on the shelf until Amazon has archived it.
_REMOVE_BARCODES = """
delete from catalog_barcode b using staged_item i
where b.store_id = i.store_id and b.item_sku = i.item_sku
    and not exists (
        select from staged_barcode s
        where s.store_id = b.store_id and s.barcode = b.barcode and s.item_sku = b.item_sku)
"""

_UPSERT_BARCODES = """
insert into catalog_barcode (store_id, barcode, item_sku, barcode_type)
select distinct on (store_id, barcode) store_id, barcode, item_sku, barcode_type
from staged_barcode order by store_id, barcode, number
on conflict (store_id, barcode) do update set item_sku = excluded.item_sku, barcode_type = excluded.barcode_type
where (catalog_barcode.item_sku, catalog_barcode.barcode_type)
    is distinct from (excluded.item_sku, excluded.barcode_type)
"""
