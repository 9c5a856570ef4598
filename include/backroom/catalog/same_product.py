"""One SKU in several rows that differ by their barcode alone: one product with several barcodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from backroom.catalog.validation import MAX_ADDITIONAL, canonical, content_hash, with_barcodes

_GROUPS_AT_ONCE = 2_000

# Rows of a SKU that say the same but for the barcode; the first row says what the product is.
_ROWS = """
with several as (
    select store_id, item_sku from staged_item group by store_id, item_sku having count(*) > 1
), described as (
    select number, store_id, item_sku, record, unit,
        record - 'external_product_id' - 'external_product_id_type' - 'additional_external_product_information' as rest
    from staged_item join several using (store_id, item_sku)
), compared as (
    select d.*, first_value(rest) over w as first_rest, first_value(unit) over w as first_unit
    from described d window w as (partition by store_id, item_sku order by number)
)
select store_id, item_sku, array_agg(number order by number), json_agg(record order by number)::text
from compared where rest = first_rest and unit = first_unit
group by store_id, item_sku having count(*) > 1
"""


def merge_barcodes(connection: Connection) -> None:
    """The first row of such a product takes the others' barcodes, up to 51; a row that brings none is a duplicate."""
    connection.execute(
        text("create temporary table merged_item (number bigint, record jsonb, content_hash text) on commit drop")
    )
    connection.execute(text("create temporary table merged_row (number bigint, keeper bigint) on commit drop"))
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    for groups in _groups(driver):
        merged = [found for group in groups if (found := _merged(*group)) is not None]
        with driver.cursor() as cursor:
            with cursor.copy("copy merged_item from stdin") as copy:
                for keeper, record, _ in merged:
                    written = canonical(record)
                    copy.write_row((keeper, written, content_hash(written)))
            with cursor.copy("copy merged_row from stdin") as copy:
                for keeper, _, others in merged:
                    for other in others:
                        copy.write_row((other, keeper))
    for statement in (
        "update staged_item i set record = m.record, content_hash = m.content_hash from merged_item m"
        " where m.number = i.number",
        "delete from staged_item i using merged_row m where m.number = i.number",
        "update staged_barcode b set number = m.keeper from merged_row m where m.number = b.number",
        "drop table merged_item, merged_row",
    ):
        connection.execute(text(statement))


def _groups(driver: psycopg.Connection) -> Iterator[list[tuple[list[int], list[dict[str, Any]]]]]:
    with driver.cursor(name="same_product") as cursor:
        cursor.execute(_ROWS)
        while rows := cursor.fetchmany(_GROUPS_AT_ONCE):
            yield [(numbers, json.loads(records)) for _, _, numbers, records in rows]


def _merged(numbers: list[int], records: list[dict[str, Any]]) -> tuple[int, dict[str, Any], list[int]] | None:
    """(the first row, its new record, the rows that it has taken in); None where none brings a barcode."""
    barcodes = dict(_barcodes(records[0]))
    taken = []
    for number, record in zip(numbers[1:], records[1:], strict=True):
        new = [(barcode, kind) for barcode, kind in _barcodes(record) if barcode not in barcodes]
        if new and len(barcodes) + len(new) <= 1 + MAX_ADDITIONAL:
            barcodes.update(new)
            taken.append(number)
    return (numbers[0], with_barcodes(records[0], list(barcodes.items())), taken) if taken else None


def _barcodes(record: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    for one in (record, *record.get("additional_external_product_information", [])):
        yield one["external_product_id"], one.get("external_product_id_type")
