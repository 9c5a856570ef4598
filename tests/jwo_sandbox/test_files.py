"""The intra-day files of a small day: which there are, what they hold, how they are announced."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import boto3
import pytest

from jwo_sandbox import instants
from jwo_sandbox.configuration import from_environment
from jwo_sandbox.sandbox import Sandbox
from tests.jwo_sandbox.conftest import Amazon, Retailer, messages, play_world, with_feeds
from tests.sandbox_fixtures import SandboxClient

BROKEN = "12,x"


@dataclass(frozen=True)
class Filed:
    """What was announced after a day of which one store reports by files, and the books of that day."""

    records: list[dict[str, Any]]
    rows: dict[str, list[dict[str, str]]]
    """By sequencer."""
    books: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def world(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world, of which only STORE-002 has files; its prices hold the tax."""
    folder = with_feeds(small_world, tmp_path_factory.mktemp("files") / "world", {"STORE-002": ["FILES"]})
    stores = json.loads((folder / "stores.json").read_text())
    changed = [{**store, "prices_include_tax": store["store_id"] == "STORE-002"} for store in stores]
    (folder / "stores.json").write_text(json.dumps(changed))
    return folder


@pytest.fixture(scope="module")
def filed(sandbox: SandboxClient, world: Path, retailer: Retailer, aws_endpoint: str) -> Filed:
    rates = {"ANNOUNCED_TWICE": 0.2, "REWRITTEN": 0.2, "BROKEN_ROW": 0.2}
    play_world(sandbox, world, retailer, until="2026-11-24T09:10:00Z", faults={"rates": {"file": rates}})
    records = _records(aws_endpoint)
    rows = {_object(record)["sequencer"]: _rows(aws_endpoint, record) for record in records}
    trips = sandbox.get("/sandbox/books", store="STORE-002")["trips"]
    return Filed(records, rows, {trip["shopping_trip_id"]: trip for trip in trips})


def test_every_window_of_the_day_and_the_hour_after_it_has_a_file(filed: Filed) -> None:
    first = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
    ends = [first + timedelta(minutes=15 * number) for number in range(100)]
    expected = {f"backroom-demo/STORE-002/orders_{end:%Y%m%d_%H%M}.csv" for end in ends}
    assert {_object(record)["key"] for record in filed.records} == expected


def test_each_file_covers_the_hour_before_its_end_and_agrees_with_the_books(filed: Filed) -> None:
    seen = set()
    for record in filed.records:
        stored = _object(record)
        end = datetime.strptime(stored["key"][-17:-4], "%Y%m%d_%H%M").replace(tzinfo=UTC)
        written = datetime.fromisoformat(record["eventTime"])
        for row in filed.rows[stored["sequencer"]]:
            if row["priceValue"] == BROKEN:
                continue
            assert end - timedelta(hours=1) < datetime.fromisoformat(row["updatedAt"]) <= written
            trip = filed.books[row["shoppingTripId"]]
            line = trip["lines"][int(row["lineNumber"]) - 1]
            assert row["orderTotal"] == (trip["total"] or row["orderTotal"])
            before_tax = Decimal(line["total"]) - Decimal(line["tax_amount"])
            assert Decimal(row["priceValue"]) == before_tax  # though the shelf's price holds it
            assert Decimal(line["list_amount"]) - Decimal(line["promotion_amount"]) == Decimal(line["total"])
            assert (row["taxValue"], row["merchantSku"]) == (line["tax_amount"], line["item_sku"])
            seen.add(row["shoppingTripId"])
    taxed = [trip for trip in filed.books.values() if trip["tax_total"] not in (None, "0.00")]
    assert taxed
    assert all(trip["tax_included_total"] == trip["tax_total"] for trip in taxed)
    assert seen == {trip_id for trip_id, trip in filed.books.items() if trip["lines"]}


def test_an_order_comes_in_four_files_that_overlap(filed: Filed) -> None:
    files: dict[str, set[str]] = {}
    for record in filed.records:
        for row in filed.rows[_object(record)["sequencer"]]:
            files.setdefault(row["shoppingTripId"], set()).add(_object(record)["key"])
    assert Counter(len(keys) for keys in files.values()).most_common(1)[0][0] == 4


def test_files_are_announced_twice_rewritten_and_broken_where_the_plan_says_so(
    sandbox: SandboxClient, filed: Filed
) -> None:
    announced = Counter(_object(record)["sequencer"] for record in filed.records)
    versions: dict[str, set[str]] = {}
    for record in filed.records:
        versions.setdefault(_object(record)["key"], set()).add(_object(record)["versionId"])
    rewritten = [key for key, found in versions.items() if len(found) == 2]
    assert 2 in announced.values()
    assert rewritten
    assert any(row["priceValue"] == BROKEN for rows in filed.rows.values() for row in rows)
    files = sandbox.get("/sandbox/summary")["files"]
    assert (files["files"], files["announced"]) == (len(announced), len(filed.records))
    assert files["rewritten"] == len(rewritten)


def test_sequencers_grow_with_each_writing_of_a_key(filed: Filed) -> None:
    written: dict[str, list[tuple[str, str]]] = {}
    for record in filed.records:
        pair = (record["eventTime"], _object(record)["sequencer"])
        if pair not in written.setdefault(_object(record)["key"], []):
            written[_object(record)["key"]].append(pair)
    assert all(sorted(pairs) == sorted(pairs, key=lambda pair: pair[1]) for pairs in written.values())


def test_a_settled_order_comes_again_in_the_files_of_its_settling(
    sandbox: SandboxClient, aws_endpoint: str, filed: Filed, amazon: Amazon
) -> None:
    trip = next(trip for trip in filed.books.values() if trip["total"] and Decimal(trip["total"]) > 0)
    amount = {"amount": Decimal(trip["total"]), "code": "USD"}
    body = {"storeId": trip["store_id"], "shoppingTripId": trip["shopping_trip_id"], "amount": amount}
    assert amazon.call("/v1/adjust/charge", body).status_code == 200
    assert amazon.call("/v1/capture/charge", body).status_code == 200
    sandbox.post("/sandbox/clock", {"now": "2026-11-24T09:30:00Z"})
    states: dict[str, set[str]] = {}
    for record in _records(aws_endpoint):
        for row in _rows(aws_endpoint, record):
            if row["shoppingTripId"] == trip["shopping_trip_id"] and row["priceValue"] != BROKEN:
                states.setdefault(_object(record)["key"][-8:-4], set()).add(row["orderStatus"])
                assert row["capturedAmount"] == (trip["total"] if row["orderStatus"] == "SETTLED" else "0.00")
    assert states["0915"] == {"OPEN"}
    assert states["0930"] == {"SETTLED"}


def _records(endpoint: str) -> list[dict[str, Any]]:
    found = []
    for body in messages(endpoint, "backroom-intraday"):
        assert (body["Type"], body["Subject"]) == ("Notification", "Amazon S3 Notification")
        found += json.loads(body["Message"])["Records"]
    return found


def _object(record: dict[str, Any]) -> dict[str, Any]:
    stored: dict[str, Any] = record["s3"]["object"]
    return stored


def _rows(endpoint: str, record: dict[str, Any]) -> list[dict[str, str]]:
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    stored = record["s3"]["object"]
    where = {"Bucket": record["s3"]["bucket"]["name"], "Key": unquote_plus(stored["key"])}
    answer = s3.get_object(**where, VersionId=stored["versionId"])
    assert answer["ServerSideEncryption"] == "aws:kms"
    content = answer["Body"].read()
    assert (len(content), answer["ETag"].strip('"')) == (stored["size"], stored["eTag"])
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_store_that_opens_later_has_files_from_its_first_day_on(small_world: Path, tmp_path: Path) -> None:
    folder = with_feeds(small_world, tmp_path / "world", {"STORE-001": ["FILES"], "STORE-002": ["FILES"]})
    world = json.loads((folder / "world.json").read_text())
    (folder / "world.json").write_text(json.dumps(world | {"opens": {"STORE-002": "2026-11-24"}}))
    sandbox = Sandbox(from_environment({"JWO_SANDBOX_OUTBOX": "kept"}))
    sandbox.load(folder, 7, "none")
    sandbox.move_to(instants.parse("2026-11-24T08:30:00Z"))
    firsts = sandbox.books.all("select store_id, min(window_end) as first from window_file group by 1 order by 1")
    assert [(row["store_id"], instants.text(row["first"])) for row in firsts] == [
        ("STORE-001", "2026-11-23T05:15:00Z"), ("STORE-002", "2026-11-24T08:15:00Z"),
    ]  # fmt: skip
    (folder / "world.json").write_text(json.dumps(world | {"opens": {"STORE-003": "2026-11-24"}}))
    with pytest.raises(ValueError, match="opens \\['STORE-003'\\], which are no stores"):
        sandbox.load(folder, 7, "none")
    sandbox.close()
