"""A source of any shape is read by its mapping file: columns of other names, JSON, one file for all, S3, a query."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
from moto import mock_aws
from sqlalchemy import Engine, text

from backroom.catalog import sync
from backroom.catalog.mapping import SourceMapping, load_mapping
from backroom.catalog.source import Source, configured
from backroom.errors import SourceFileError
from backroom.settings import Settings
from tests.catalog.conftest import NOW, TODAY, ask, item, upc, write_csv

THEIRS = SourceMapping(
    columns={
        "item_sku": "ArticleNo", "external_product_id": "GTIN", "item_name": "Text", "store_id": "Site",
        "standard_price": "Price", "additional_external_product_ids": "More",
    },
    constants={"unit": "unit", "product_tax_code": "FOOD"},
    other_columns="ignore",
    files="any",
)  # fmt: skip


def theirs(number: int, store: str = "STORE-001", **more: Any) -> dict[str, Any]:
    return {
        "ArticleNo": f"SKU-{number}", "GTIN": upc(number), "Text": f"Product {number}", "Site": store, "Price": "1.99",
        "More": "", "Shelf": "A7",
    } | more  # fmt: skip


def take_in(engine: Engine, place: str, mapping: SourceMapping = THEIRS, **source: Any) -> int:
    source = {"place": place, "mapping": mapping, **source}
    return sync.start_run(engine, source=Source(**source), business_date=TODAY, now=NOW)


def items(engine: Engine) -> list[tuple[Any, ...]]:
    return ask(engine, "select store_id, item_sku, record->>'standard_price', unit from catalog_item order by 1, 2")


EXPECTED = [("STORE-001", "SKU-1", "1.99", "unit"), ("STORE-001", "SKU-2", "1.99", "unit")]


@pytest.mark.parametrize("kind", ["csv", "parquet", "json", "jsonl"])
def test_every_kind_of_file_reads_the_same_by_its_mapping(clean: Engine, tmp_path: Path, kind: str) -> None:
    rows = [theirs(1), theirs(2)]
    path = tmp_path / f"articles.{kind}"
    if kind == "csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif kind == "parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif kind == "json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    take_in(clean, str(tmp_path))
    assert items(clean) == EXPECTED
    assert ask(clean, "select distinct product_tax_code from catalog_item") == [("FOOD",)]


def test_numbers_lists_and_what_is_left_out_are_read_from_json(clean: Engine, tmp_path: Path) -> None:
    first = theirs(1, More=["4011", upc(9)]) | {"Price": 1.99}
    second = {name: value for name, value in theirs(2).items() if name not in ("More", "Price")}
    odd = [theirs(3, Text={"en": "Milk"}), "no object", {"ArticleNo": "SKU-4"}]
    (tmp_path / "all.json").write_text(json.dumps([first, second, *odd]))
    take_in(clean, str(tmp_path))
    assert items(clean) == [EXPECTED[0], ("STORE-001", "SKU-2", None, "unit")]
    assert ask(clean, "select barcode from catalog_barcode where item_sku = 'SKU-1' order by barcode") == [
        (upc(1),), (upc(9),), ("4011",)
    ]  # fmt: skip
    reasons = ask(clean, "select line, reason from catalog_rejection order by line")
    assert [line for line, _ in reasons] == [3, 4, 5]
    assert reasons[0][1] == "item_name: a dict is not text"
    assert reasons[1][1] == "is not an object"
    assert "has no column GTIN" in reasons[2][1]


def test_half_a_character_and_a_number_without_end_are_rows_that_are_set_aside(clean: Engine, tmp_path: Path) -> None:
    rows = [
        json.dumps(theirs(1)),
        json.dumps(theirs(2, Text="half \ud83d")),
        json.dumps(theirs(3, Price=0)).replace('"Price": 0', '"Price": 1e999999999'),
        json.dumps(theirs(4) | {"\ud83d": "x", "Site": None}),
    ]
    (tmp_path / "all.jsonl").write_text("\n".join(rows) + "\n")
    take_in(clean, str(tmp_path))
    assert items(clean) == EXPECTED[:1]
    assert ask(clean, "select line, field, reason from catalog_rejection order by line") == [
        (2, "item_name", "holds half of a surrogate pair, which is no character"),
        (3, None, "standard_price: a number of so many digits is no amount and no code"),
        (4, "store_id", "is empty"),
    ]


def test_a_file_that_nests_without_end_is_one_line(clean: Engine, tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text("[" * 200_000)
    with pytest.raises(SourceFileError, match="not readable as JSON"):
        take_in(clean, str(tmp_path))


def test_a_run_that_ends_by_an_error_of_any_kind_is_failed_and_not_reading_for_ever(
    clean: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(tmp_path, [item(1)])
    monkeypatch.setattr("backroom.catalog.applying.apply", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        take_in(clean, str(tmp_path), SourceMapping())
    assert ask(clean, "select state, reason from catalog_run") == [("FAILED", "ZeroDivisionError; see the task's log")]


def test_a_query_is_read_from_its_database(clean: Engine) -> None:
    with clean.begin() as connection:
        connection.execute(text("drop table if exists article"))
        connection.execute(text("create table article (no text, code text, name text, site text, price numeric)"))
        connection.execute(
            text("insert into article values (:no, :code, :name, 'STORE-001', 1.99)"),
            [{"no": f"SKU-{n}", "code": upc(n), "name": f"P {n}"} for n in (1, 2)],
        )
    mapping = SourceMapping(
        query="select no as item_sku, code as external_product_id, name as item_name, site as store_id,"
        " price as standard_price from article order by no"
    )
    url = clean.url.render_as_string(hide_password=False)
    take_in(clean, "sql", mapping, database_url=url)
    assert items(clean) == EXPECTED
    with pytest.raises(SourceFileError, match="query can't be read"):
        take_in(clean, "sql", SourceMapping(query="select * from nowhere"), database_url=url)
    with pytest.raises(SourceFileError, match='no "query"'):
        take_in(clean, "sql", SourceMapping(), database_url=url)


def test_a_prefix_in_s3_is_read_as_a_folder_is(clean: Engine, tmp_path: Path) -> None:
    path = write_csv(tmp_path, [item(1), item(2)])
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")
        s3.create_bucket(Bucket="exports")
        s3.upload_file(str(path), "exports", "nightly/STORE-001.csv")
        s3.put_object(Bucket="exports", Key="nightly/old/STORE-002.csv", Body=b"not read")
        s3.put_object(Bucket="exports", Key="nightly/readme.txt", Body=b"not read")
        take_in(clean, "s3://exports/nightly", SourceMapping(), s3=s3)
        assert items(clean) == EXPECTED
        with pytest.raises(SourceFileError, match=r"s3://nowhere/nightly can't be read .*NoSuchBucket"):
            take_in(clean, "s3://nowhere/nightly", SourceMapping(), s3=s3)


def test_a_store_that_one_file_for_all_does_not_name_stops_the_run(clean: Engine, tmp_path: Path) -> None:
    with clean.begin() as connection:
        connection.execute(text("update store set active = true"))
    (tmp_path / "all.jsonl").write_text(json.dumps(theirs(1)) + "\n")
    with pytest.raises(SourceFileError, match="has no row of STORE-002"):
        take_in(clean, str(tmp_path))
    assert items(clean) == []


def test_one_store_alone_can_be_taken_from_a_file_for_all(clean: Engine, tmp_path: Path) -> None:
    rows = [theirs(1), theirs(1, "STORE-002"), theirs(2, "STORE-9")]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = Source(str(tmp_path), THEIRS)
    sync.start_run(clean, source=source, business_date=TODAY, now=NOW, store_id="STORE-001")
    assert items(clean) == EXPECTED[:1]
    assert ask(clean, "select store_id, items_read, items_rejected from catalog_run") == [("STORE-001", 1, 0)]


def test_rows_of_one_product_that_differ_by_their_barcode_are_one_product_with_several(
    clean: Engine, tmp_path: Path
) -> None:
    same = {"item_sku": "SKU-1", "item_name": "Product 1"}
    write_csv(tmp_path, [item(1), item(5, **same), item(2), item(6, **same), item(1), item(7, item_sku="SKU-1")])
    take_in(clean, str(tmp_path), SourceMapping())
    assert ask(clean, "select barcode from catalog_barcode where item_sku = 'SKU-1' order by 1") == [
        (upc(1),), (upc(5),), (upc(6),)
    ]  # fmt: skip
    ((more,),) = ask(
        clean,
        "select record->'additional_external_product_information' from catalog_item where item_sku = 'SKU-1'",
    )
    assert [each["external_product_id"] for each in more] == [upc(5), upc(6)]
    assert ask(clean, "select line, reason from catalog_rejection order by line") == [
        (6, "is already in line 2"),  # the same again
        (7, "is already in line 2"),  # another name
    ]


@pytest.mark.parametrize("missing", [20, 6, 2])  # fields, a part of the last one, only the line's end
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_csv_that_does_not_end_with_a_line_was_cut_short_and_stops_the_run(
    clean: Engine, tmp_path: Path, missing: int, encoding: str
) -> None:
    path = write_csv(tmp_path, [item(1), item(2)])
    whole = path.read_bytes().decode()
    path.write_bytes(whole[: len(whole) - missing].encode(encoding))
    with pytest.raises(SourceFileError, match="ends in the middle of line 3"):
        take_in(clean, str(tmp_path), SourceMapping(encoding=encoding))
    assert items(clean) == []
    path.write_bytes(whole.encode(encoding))
    take_in(clean, str(tmp_path), SourceMapping(encoding=encoding))
    assert items(clean) == EXPECTED


def test_a_csv_whose_last_line_is_always_open_is_whole_where_the_mapping_says_so(clean: Engine, tmp_path: Path) -> None:
    path = write_csv(tmp_path, [item(1), item(2)])
    path.write_bytes(path.read_bytes().removesuffix(b"\r\n"))
    take_in(clean, str(tmp_path), SourceMapping(last_line="open"))
    assert items(clean) == EXPECTED
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceFileError, match="ends in the middle of line 3"):
        take_in(clean, str(tmp_path), SourceMapping(last_line="open"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ('{"colums": {}}', "colums: Extra inputs"),
        ('{"columns": {"sku": "Sku"}}', "sku is no column of ours"),
        ('{"columns": {"unit": "U"}, "constants": {"unit": "kg"}}', "unit is both a column and a constant"),
        ('{"encoding": "klingon"}', "not an encoding"),
        ('{"delimiter": ""}', "delimiter"),
    ],
)
def test_a_wrong_mapping_file_is_one_line(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(content)
    with pytest.raises(SourceFileError, match=says) as raised:
        configured(Settings(catalog_mapping=str(path)), "folder")
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(SourceFileError, match="No such file"):
        load_mapping(str(tmp_path / "none.json"))


def test_a_column_that_the_mapping_names_must_be_there(clean: Engine, tmp_path: Path) -> None:
    write_csv(tmp_path, [item(1)])
    mapping = SourceMapping(columns={"brand_name": "Brand"})
    with pytest.raises(SourceFileError, match="has no column Brand, which the mapping file names"):
        take_in(clean, str(tmp_path), mapping)


def test_a_file_of_another_encoding_and_delimiter_is_read_so(clean: Engine, tmp_path: Path) -> None:
    row = item(1, item_name="Käse")
    text_of = ";".join(row) + "\n" + ";".join(row.values()) + "\n"
    (tmp_path / "STORE-001.csv").write_bytes(text_of.encode("cp1252"))
    take_in(clean, str(tmp_path), SourceMapping(delimiter=";", encoding="cp1252"))
    assert ask(clean, "select item_name from catalog_item") == [("Käse",)]
