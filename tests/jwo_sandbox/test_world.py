"""The world: real baskets, the retailer's files, and a page that says what is made up."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jwo_sandbox.__main__ import main
from jwo_sandbox.barcodes import problem
from jwo_sandbox.retailer_files import read


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def catalog(world: Path) -> list[dict[str, str]]:
    from pyarrow import parquet

    second: list[dict[str, str]] = parquet.read_table(world / "catalog" / "STORE-002.parquet").to_pylist()
    return rows(world / "catalog" / "STORE-001.csv") + second


@pytest.fixture(scope="module")
def trips(small_world: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (small_world / "trips.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def told(small_world: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((small_world / "world.json").read_text())
    return found


def test_the_same_seed_makes_the_same_bytes(small_world: Path, tmp_path: Path) -> None:
    asked = ["world", "--out", str(tmp_path), "--date", "2026-11-23", "--trips", "60", "--catalog", "400"]
    assert main(asked) == 0
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(made) == 10
    for path, content in made.items():
        assert content == (small_world / path).read_bytes(), path


def test_broken_catalog_rows_are_few_and_listed(small_world: Path, told: dict[str, Any]) -> None:
    broken = {(row["store_id"], row["item_sku"]) for row in told["catalog"]["broken_rows"]}
    wrong = {
        (row["store_id"], row["item_sku"])
        for row in catalog(small_world)
        if not row["item_name"] or problem(row["external_product_id"], row["external_product_id_type"])
    }
    assert wrong == broken
    assert len(broken) == 4


def test_barcodes_and_skus_are_unique_in_a_store(small_world: Path) -> None:
    for column in ("item_sku", "external_product_id"):
        seen = Counter((row["store_id"], row[column]) for row in catalog(small_world))
        assert seen.most_common(1)[0][1] == 1
    assert all(row["item_name"].isascii() and len(row["item_name"]) <= 100 for row in catalog(small_world))


def test_every_cart_but_those_with_a_strange_sku_can_be_priced(small_world: Path, trips: list[dict[str, Any]]) -> None:
    from jwo_sandbox import instants
    from jwo_sandbox.arithmetic import price_cart

    files = read(small_world)
    for trip in trips:
        ended = instants.parse(trip["ended_at"])
        lines = price_cart(files, trip["store_id"], trip["shopping_trip_id"], ended, trip["cart"])
        assert all(line.list_price for line in lines) == (trip["kind"] != "UNKNOWN_SKU"), trip["kind"]


def test_trips_are_of_the_day_and_of_every_kind(trips: list[dict[str, Any]], told: dict[str, Any]) -> None:
    assert {trip["business_date"] for trip in trips} == {"2026-11-23"}
    kinds = Counter(trip["kind"] for trip in trips)
    assert {kind: told["trips"][kind] for kind in kinds} == kinds
    assert kinds.keys() >= {"DENIED", "DENIED_THEN_CARD", "FLAGGED", "ASSOCIATE", "EMPTY", "UNKNOWN_SKU", "SCANCODE"}
    methods = Counter(trip["entries"][0]["method"] for trip in trips)
    assert min(methods.values()) > 15
    assert len({trip["shopping_trip_id"] for trip in trips}) == 60


def test_what_is_made_up_or_dropped_is_counted(trips: list[dict[str, Any]], told: dict[str, Any]) -> None:
    weighed = sum(item["unit"] != "unit" for trip in trips for item in trip["cart"])
    assert told["generated"]["weighed_lines"] == weighed > 0
    assert told["generated"]["promotions"]["of_a_basket"] > 0 < told["generated"]["promotions"]["of_a_sku"]
    assert told["source"]["dropped_as_dirt"]["fuel"] > 0


def test_promotions_and_taxes_are_what_the_retailer_can_load(small_world: Path) -> None:
    for row in rows(small_world / "promotions.csv"):
        assert bool(row["item_sku"]) == (not row["kind"].startswith("BASKET_"))
        assert bool(row["amount"]) == row["kind"].endswith("_AMOUNT")
        assert bool(row["percentage"]) != bool(row["amount"])
        assert not row["percentage"] or (0 < float(row["percentage"]) <= 0.9 and len(row["percentage"]) == 8)
    assert {row["jurisdiction"] for row in rows(small_world / "taxes.csv")} == {"US-NY-NYC", "US-CA-LA"}


def test_every_kind_of_promotion_takes_something_off_that_day(
    small_world: Path, trips: list[dict[str, Any]], told: dict[str, Any]
) -> None:
    from jwo_sandbox import instants
    from jwo_sandbox.arithmetic import price_cart

    files = read(small_world)
    accounts = json.loads((small_world / "loyalty.json").read_text())
    owners = {account["key"]: account["loyalty_id"] for account in accounts}
    kinds = {row["promotion_id"]: row["kind"] for row in rows(small_world / "promotions.csv")}
    seen = set()
    for trip in trips:
        scanned = [owners[trip["loyalty"]["key"]]] if trip.get("loyalty", {}).get("key") in owners else []
        ended, trip_id = instants.parse(trip["ended_at"]), trip["shopping_trip_id"]
        for line in price_cart(files, trip["store_id"], trip_id, ended, trip["cart"], loyalty_ids=scanned):
            seen.update(promotion_id for promotion_id, _ in line.promotions)
    assert {kinds[promotion_id] for promotion_id in seen} == set(kinds.values())
    assert len(set(kinds.values())) == 5
    (members,) = [row for row in rows(small_world / "promotions.csv") if row["loyalty"]]
    assert members["promotion_id"] in seen
    assert all(account["promotion_ids"] == [members["promotion_id"]] for account in accounts)
    assert told["generated"]["promotions"]["offers"] == 4


def test_shoppers_have_one_way_in(small_world: Path) -> None:
    shoppers = json.loads((small_world / "shoppers.json").read_text())
    assert all(len(one["keys"]) + len(one["tokens"]) == 1 for one in shoppers)
    assert {one["type"] for one in shoppers} == {"SHOPPER", "ASSOCIATE"}
    assert sum(one["flagged"] for one in shoppers) == 1
    assert all(len(token) == 21 for one in shoppers for token in one["tokens"])


@pytest.mark.parametrize(("trips_asked", "said"), [("3", "--trips"), ("900000", "baskets")])
def test_a_wrong_number_of_trips_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trips_asked: str, said: str
) -> None:
    asked = ["world", "--out", str(tmp_path / "w"), "--date", "2026-11-23", "--trips", trips_asked]
    assert main(asked) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
