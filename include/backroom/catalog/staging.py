"""The source as it is tonight: read, judged row by row, put into temporary tables, duplicates settled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
from sqlalchemy import Connection, text

from backroom.catalog import same_product
from backroom.catalog.readers import SourceRow
from backroom.catalog.source import Part
from backroom.catalog.validation import Item, Rejection, canonical, content_hash, validate
from backroom.errors import SourceFileError

_ROWS_AT_ONCE = 5_000
_Judged = list[tuple[SourceRow, Item | Rejection]]


@dataclass(frozen=True)
class Staged:
    """How many rows were read and how many of them can't be used."""

    read: int
    rejected: int


def stage(
    connection: Connection,
    *,
    run_id: int,
    parts: Sequence[Part],
    currencies: Mapping[str, str],
    stores: Sequence[str],
    only_store: str | None = None,
) -> int:
    """Good rows to `staged_item` and `staged_barcode`, the others to `catalog_rejection` with file, line and reason.

    Each of `stores` must have at least a row somewhere. With `only_store`, other stores' rows are passed over. The
    temporary tables live until the transaction's end. Returns how many rows were read. Raises SourceFileError.
    """
    make_tables(connection)
    seen: set[str] = {part.store for part in parts if part.store is not None}
    read = _read(connection, run_id, parts, currencies, seen, only_store)
    if missing := sorted(set(stores) - seen):
        raise SourceFileError(f"the catalog's source has no row of {', '.join(missing)}; export every store")
    connection.execute(text(_INDEX))
    same_product.merge_barcodes(connection)
    connection.execute(text(_DUPLICATE_SKUS), {"run": run_id})
    connection.execute(text(_DUPLICATE_BARCODES), {"run": run_id})
    connection.execute(text(_FORGET_REJECTED_BARCODES))
    connection.execute(text(_FORGET_REJECTED_ITEMS))
    connection.execute(text("analyze staged_item"))
    connection.execute(text("analyze staged_barcode"))
    return read


def rejected(connection: Connection, run_id: int) -> int:
    """How many rows of a run can't be used."""
    return int(
        connection.execute(
            text("select count(*) from catalog_rejection where run_id = :run"), {"run": run_id}
        ).scalar_one()
    )


def make_tables(connection: Connection) -> None:
    """The empty `staged_item` and `staged_barcode`, until the transaction's end."""
    connection.execute(text(_STAGED_ITEM))
    connection.execute(text(_STAGED_BARCODE))


def _read(
    connection: Connection,
    run_id: int,
    parts: Sequence[Part],
    currencies: Mapping[str, str],
    seen: set[str],
    only_store: str | None,
) -> int:
    """Every row to one of three places, in chunks, since a COPY holds the connection."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    read = 0
    for judged in _ahead(_judged(parts, currencies, seen, only_store)):
        good = [(number, row, item) for number, (row, item) in enumerate(judged, read) if isinstance(item, Item)]
        _copy_items(driver, good)
        _copy_rejections(driver, run_id, [(row, bad) for row, bad in judged if isinstance(bad, Rejection)])
        read += len(judged)
    return read


def _judged(
    parts: Sequence[Part], currencies: Mapping[str, str], seen: set[str], only_store: str | None
) -> Iterator[_Judged]:
    for part in parts:
        for chunk in _chunks(part.rows()):
            if only_store is not None and part.store is None:
                chunk = [row for row in chunk if row.fields.get("store_id", only_store) == only_store]  # noqa: PLW2901
            if part.store is None:
                seen.update(row.fields.get("store_id", "") for row in chunk)
            yield [(row, _judge(row, part.store, currencies)) for row in chunk]


def _ahead(found: Iterator[_Judged]) -> Iterator[_Judged]:
    """The next is read and judged while the database takes in the one before."""
    with ThreadPoolExecutor(1, thread_name_prefix="catalog-source") as pool:
        coming = pool.submit(next, found, None)
        while (one := coming.result()) is not None:
            coming = pool.submit(next, found, None)
            yield one


def _judge(row: SourceRow, file_store: str | None, currencies: Mapping[str, str]) -> Item | Rejection:
    if row.broken:
        return Rejection("", row.broken)
    whole = "".join(row.fields.values())
    if "\x00" in whole:
        return Rejection("", "holds a NUL character")
    if not whole.isascii() and whole != _storable(whole):
        name = next(name for name, value in row.fields.items() if value != _storable(value))
        return Rejection(name, "holds half of a surrogate pair, which is no character")
    return validate(row.fields, file_store=file_store, currencies=currencies)


def _storable(value: str) -> str:
    """What can't be kept as text, NUL and half surrogate pairs, replaced."""
    return value.encode(errors="replace").decode().replace("\x00", "\ufffd")


def _chunks(rows: Iterable[SourceRow]) -> Iterator[list[SourceRow]]:
    chunk: list[SourceRow] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _ROWS_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _copy_items(driver: psycopg.Connection, good: list[tuple[int, SourceRow, Item]]) -> None:
    with driver.cursor() as cursor:
        with cursor.copy(
            "copy staged_item (number, file, line, store_id, item_sku, record, content_hash, unit) from stdin"
        ) as copy:
            for number, row, item in good:
                written = canonical(item.record)
                copy.write_row(
                    (
                        number,
                        row.file,
                        row.line,
                        item.store_id,
                        item.item_sku,
                        written,
                        content_hash(written),
                        item.unit,
                    )
                )
        with cursor.copy("copy staged_barcode (number, store_id, item_sku, barcode, barcode_type) from stdin") as copy:
            for number, _, item in good:
                for barcode, kind in item.barcodes:
                    copy.write_row((number, item.store_id, item.item_sku, barcode, kind))


def _copy_rejections(driver: psycopg.Connection, run_id: int, bad: list[tuple[SourceRow, Rejection]]) -> None:
    if not bad:
        return
    with (
        driver.cursor() as cursor,
        cursor.copy(
            "copy catalog_rejection (run_id, file, line, store_id, item_sku, field, reason, raw) from stdin"
        ) as copy,
    ):
        for row, rejection in bad:
            raw = {_storable(name): _storable(value) for name, value in row.fields.items()}
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
    number bigint, file text, line integer, store_id text, item_sku text, record jsonb, content_hash text, unit text,
    rejected boolean default false
) on commit drop
"""

_STAGED_BARCODE = """
create temporary table staged_barcode (
    number bigint, store_id text, item_sku text, barcode text, barcode_type text
) on commit drop
"""

_INDEX = "create index on staged_item (number)"

# The first row of a SKU counts, the later ones are rejected.
_DUPLICATE_SKUS = """
with several as (
    select store_id, item_sku from staged_item group by store_id, item_sku having count(*) > 1
), ranked as (
    select number, row_number() over w as place, first_value(line) over w as first_line
    from staged_item join several using (store_id, item_sku)
    window w as (partition by store_id, item_sku order by number)
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
with shared as (
    select store_id, barcode from staged_barcode group by store_id, barcode having count(*) > 1
), ranked as (
    select b.number, b.barcode, first_value(b.item_sku) over w as owner, b.item_sku
    from staged_barcode b join shared using (store_id, barcode)
    join staged_item i on i.number = b.number and not i.rejected
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
