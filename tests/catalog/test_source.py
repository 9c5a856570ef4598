"""The retailer's files are read as they are, or one line says what is wrong with which."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Engine, text

from backroom.catalog import sync
from backroom.catalog.source import Source, opened
from backroom.errors import SourceFileError
from tests.catalog.conftest import COLUMNS, NOW, TODAY, ask, item, upc, write_csv


def start(engine: Engine, folder: Path) -> int:
    return sync.start_run(engine, source=Source(str(folder)), business_date=TODAY, now=NOW)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "does not exist"),
        ({}, "holds no .csv, .parquet, .json or .jsonl file"),
        ({"STORE-001.csv": b""}, "is empty"),
        ({"STORE-001.csv": b"item_sku,item_name\n"}, "has no column external_product_id, store_id"),
        ({"STORE-001.csv": (",".join([*COLUMNS, "prize"]) + "\n").encode()}, "unknown column 'prize'"),
        ({"STORE-001.csv": ",".join(COLUMNS).encode() + b'\n"open'}, "line 2: not readable as CSV"),
        ({"STORE-001.csv": ",".join(COLUMNS).encode() + b"\n\xff\xff"}, "is not UTF-8"),
        ({"STORE-001.parquet": b"PAR1 no"}, "not readable as Parquet"),
        ({"STORE-001.parquet": b"x", "STORE-001.csv": b"x"}, "both a .csv and a .parquet of STORE-001"),
    ],
)
def test_a_bad_folder_or_file_is_one_line_and_changes_nothing(
    clean: Engine, tmp_path: Path, content: dict[str, bytes] | None, says: str
) -> None:
    folder = tmp_path / "catalog"
    if content is not None:
        folder.mkdir()
        for name, data in content.items():
            (folder / name).write_bytes(data)
    with pytest.raises(SourceFileError, match=says) as raised:
        start(clean, folder)
    assert "\n" not in str(raised.value)
    assert str(folder) in str(raised.value)
    assert ask(clean, "select state from catalog_run") == [("FAILED",)]
    assert ask(clean, "select count(*) from catalog_item") == [(0,)]


def test_an_active_store_without_a_file_stops_the_run_by_name(clean: Engine, tmp_path: Path) -> None:
    with clean.begin() as connection:
        connection.execute(text("update store set active = true"))
    write_csv(tmp_path, [item(1)])
    with pytest.raises(SourceFileError, match="has no file of STORE-002"):
        start(clean, tmp_path)
    assert ask(clean, "select state from catalog_run") == [("FAILED",)]
    assert ask(clean, "select count(*) from catalog_item") == [(0,)]


def test_csv_and_parquet_of_the_same_rows_read_the_same(tmp_path: Path) -> None:
    rows = [item(number) for number in range(5)]
    write_csv(tmp_path, rows, "STORE-001")
    pd.DataFrame(rows).to_parquet(tmp_path / "STORE-002.parquet")
    with opened(Source(str(tmp_path)), []) as (csv, parquet):
        assert [row.fields for row in csv.rows()] == [row.fields for row in parquet.rows()]


def test_good_rows_go_in_and_bad_ones_are_named_with_file_and_line(clean: Engine, tmp_path: Path) -> None:
    path = write_csv(
        tmp_path,
        [
            item(1),
            item(2, external_product_id="123456789013"),
            item(1, item_name="again"),
            item(4, external_product_id=upc(1)),
            item(5, additional_external_product_ids="4011"),
        ],
    )
    with path.open("a") as file:
        file.write("torn,row\n")
    run_id = start(clean, tmp_path)
    assert ask(clean, "select item_sku from catalog_item order by 1") == [("SKU-1",), ("SKU-5",)]
    assert ask(clean, "select barcode, item_sku, barcode_type from catalog_barcode order by 1") == [
        (upc(1), "SKU-1", "UPC"),
        (upc(5), "SKU-5", "UPC"),
        ("4011", "SKU-5", "PLU"),
    ]
    assert ask(clean, "select file, line, item_sku, field, reason from catalog_rejection order by line") == [
        ("STORE-001.csv", 3, "SKU-2", "external_product_id", "'123456789013' has a wrong check digit"),
        ("STORE-001.csv", 4, "SKU-1", "item_sku", "is already in line 2"),
        ("STORE-001.csv", 5, "SKU-4", "external_product_id", f"barcode {upc(1)} belongs to SKU-1 already"),
        ("STORE-001.csv", 7, "torn", None, "has 2 fields where the header has 9"),
    ]
    assert ask(
        clean, f"select state, items_read, items_rejected, items_new from catalog_run where run_id = {run_id}"
    ) == [("COMPARED", 6, 4, 2)]


def test_a_rejected_row_leaves_its_product_as_it_was(clean: Engine, tmp_path: Path) -> None:
    write_csv(tmp_path, [item(1), item(2)])
    start(clean, tmp_path)
    write_csv(tmp_path, [item(1, standard_price="free"), item(2)])
    start(clean, tmp_path)
    assert ask(clean, "select item_sku, record->>'standard_price', gone from catalog_item order by 1") == [
        ("SKU-1", "1.99", False),
        ("SKU-2", "1.99", False),
    ]


def test_a_store_without_a_good_row_keeps_its_products(clean: Engine, tmp_path: Path) -> None:
    write_csv(tmp_path, [item(1), item(2)])
    start(clean, tmp_path)
    write_csv(tmp_path, [])
    start(clean, tmp_path)
    assert ask(clean, "select count(*) from catalog_item where gone") == [(0,)]


def test_a_product_that_is_not_in_its_stores_file_any_more_is_gone_and_keeps_its_barcode(
    clean: Engine, tmp_path: Path
) -> None:
    write_csv(tmp_path, [item(1), item(2)])
    write_csv(tmp_path, [item(2, store_id="STORE-002")], "STORE-002")
    start(clean, tmp_path)
    write_csv(tmp_path, [item(1)])
    start(clean, tmp_path)
    assert ask(clean, "select store_id, item_sku from catalog_item where gone") == [("STORE-001", "SKU-2")]
    assert ask(clean, "select count(*) from catalog_barcode where item_sku = 'SKU-2'") == [(2,)]


def test_a_barcode_moves_to_the_product_that_has_it_now(clean: Engine, tmp_path: Path) -> None:
    write_csv(tmp_path, [item(1), item(2)])
    start(clean, tmp_path)
    write_csv(tmp_path, [item(1, external_product_id=upc(9)), item(3, external_product_id=upc(1)), item(2)])
    start(clean, tmp_path)
    assert ask(clean, "select barcode, item_sku from catalog_barcode order by item_sku") == [
        (upc(9), "SKU-1"),
        (upc(2), "SKU-2"),
        (upc(1), "SKU-3"),
    ]


def test_a_product_whose_row_is_rejected_keeps_its_barcode_and_who_claims_it_waits(
    clean: Engine, tmp_path: Path
) -> None:
    write_csv(tmp_path, [item(1), item(2)])
    start(clean, tmp_path)
    write_csv(tmp_path, [item(1, standard_price="free"), item(2, external_product_id=upc(1))])
    start(clean, tmp_path)
    owners = "select barcode, item_sku from catalog_barcode order by item_sku"
    assert ask(clean, owners) == [(upc(1), "SKU-1"), (upc(2), "SKU-2")]
    assert ask(clean, "select reason from catalog_rejection where item_sku = 'SKU-2'") == [
        (f"barcode {upc(1)} belongs to SKU-1, whose row is rejected",)
    ]
    assert ask(clean, "select items_rejected from catalog_run order by run_id desc limit 1") == [(2,)]
    write_csv(tmp_path, [item(1, external_product_id=upc(7)), item(2, external_product_id=upc(1))])
    start(clean, tmp_path)
    assert ask(clean, owners) == [(upc(7), "SKU-1"), (upc(1), "SKU-2")]


def test_what_is_as_it_was_is_not_written_again(clean: Engine, tmp_path: Path) -> None:
    write_csv(tmp_path, [item(1), item(2)])
    start(clean, tmp_path)
    rows = "select ctid::text, xmin::text from catalog_item where item_sku = 'SKU-1'"
    before = ask(clean, rows)
    write_csv(tmp_path, [item(1), item(2, unit="kg")])
    start(clean, tmp_path)
    assert ask(clean, rows) == before
    assert ask(clean, "select item_sku, unit from catalog_item order by 1") == [("SKU-1", "unit"), ("SKU-2", "kg")]
