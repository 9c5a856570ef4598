"""The point of sale is told each movement once, whatever happens on the way."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from backroom.amazon.outcomes import Outcome
from backroom.errors import BackroomError
from backroom.inventory.channels import Attempt, Channel, FolderChannel, HttpChannel, S3Channel
from backroom.inventory.export import Exported, export_store, stores_to_tell, tell_again
from backroom.purchases.point_of_sale_client import make_client
from backroom.settings import Settings
from tests.inventory.conftest import NOON, Shop, after
from tests.inventory.point_of_sale import PointOfSale, serving

SECRET = "bearer-of-the-tests"
SECONDS = 0.5


@pytest.fixture
def point_of_sale() -> Iterator[PointOfSale]:
    with serving() as running:
        yield running


@pytest.fixture
def http(point_of_sale: PointOfSale) -> Iterator[HttpChannel]:
    with make_client(Settings(point_of_sale_secret=SecretStr(SECRET))) as client:
        yield HttpChannel(client, point_of_sale.url + "/api/", SECONDS)


def tell(shop: Shop, *channels: Channel, minute: float = 10, most: int = 1000) -> Exported:
    return export_store(shop.engine, channels, store_id=shop.store_id, now=after(minute), most_movements=most)


def states(shop: Shop) -> list[tuple[object, ...]]:
    return shop.rows(
        "select channel, state, attempts, split_part(answer, ':', 1) from stock_export where store_id = :store"
        " order by export_id, channel"
    )


def alerts(shop: Shop) -> list[str]:
    query = "select split_part(deduplication_key, ':', 1) from alert where store_id = :store order by alert_id"
    return [str(kind) for (kind,) in shop.rows(query)]


# --- what is told


def test_the_call_is_what_the_page_documents(shop: Shop, point_of_sale: PointOfSale, http: HttpChannel) -> None:
    shop.sell("1", ("A", "2"), ("NUTS", "0.125"))
    assert tell(shop, http) == Exported(movements=2, done=1)
    ((path, body, headers),) = point_of_sale.calls
    (export_id,) = shop.rows("select export_id from stock_export where store_id = :store")[0]
    assert path == "/api/stock-movements"
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["Idempotency-Key"] == str(export_id)
    assert json.loads(body) == {
        "exportId": str(export_id),
        "storeId": shop.store_id,
        "createdAt": "2026-11-23T17:10:00Z",
        "movements": [
            {
                "itemSku": sku, "kind": "SALE", "source": shop.trip("1"), "lineNumber": 0, "quantity": quantity,
                "unit": unit, "happenedAt": "2026-11-23T17:00:00Z",
            }
            for sku, quantity, unit in (("A", "-2", "unit"), ("NUTS", "-0.125", "kg"))
        ],
    }  # fmt: skip
    assert shop.rows("select body, content_hash from stock_export where store_id = :store")[0][0] == body.decode()


def test_what_is_told_is_told_once(shop: Shop, point_of_sale: PointOfSale, http: HttpChannel) -> None:
    shop.sell("1", ("A", "2"))
    tell(shop, http)
    assert tell(shop, http) == Exported()
    shop.undo("1", 1, "A", "2")
    assert tell(shop, http).movements == 1
    assert len(point_of_sale.calls) == 2
    assert point_of_sale.levels[shop.store_id, "A"] == 0


def test_a_store_with_nothing_new_is_not_told_and_one_with_news_is_listed(shop: Shop, http: HttpChannel) -> None:
    with shop.engine.connect() as connection:
        assert shop.store_id not in stores_to_tell(connection)
        shop.sell("1", ("A", "2"))
        assert shop.store_id in stores_to_tell(connection)
        tell(shop, http)
        assert shop.store_id not in stores_to_tell(connection)


def test_many_movements_are_told_in_several_exports(shop: Shop, point_of_sale: PointOfSale, http: HttpChannel) -> None:
    for number in range(7):
        shop.sell(str(number), ("A", "1"))
    assert tell(shop, http, most=3) == Exported(movements=7, done=3)
    assert [len(json.loads(body)["movements"]) for _, body, _ in point_of_sale.calls] == [3, 3, 1]


def test_without_a_channel_nothing_is_claimed(shop: Shop, http: HttpChannel) -> None:
    shop.sell("1", ("A", "2"))
    assert tell(shop) == Exported()
    assert tell(shop, http).movements == 1


def test_a_count_is_told_with_its_correction_so_that_both_sides_have_the_same_level(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel
) -> None:
    shop.deliver("A", "10", at=after(-60))
    shop.count("A", "8", at=NOON)
    tell(shop, http)
    shop.sell("late", ("A", "2"), at=after(-1), now=after(3))
    shop.sell("later", ("A", "1"), at=after(4))
    assert tell(shop, http).movements == 3, "two sales and the correction of the count"
    assert point_of_sale.levels[shop.store_id, "A"] == shop.level("A") == shop.summed("A") == 7


# --- what may happen on the way


@pytest.mark.parametrize("how", ["silent-after", "cut-after", "half", "slow"])
def test_an_answer_that_is_lost_after_the_effect_is_asked_for_again_with_the_same_bytes_and_key(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel, how: str
) -> None:
    point_of_sale.script.append(how)
    shop.sell("1", ("A", "2"))
    told = tell(shop, http)
    heard = how in {"half", "slow"}  # the status came
    assert told == (Exported(movements=1, done=1) if heard else Exported(movements=1, waiting=1))
    assert states(shop) == [("HTTP", "DONE", 1, "SUCCEEDED") if heard else ("HTTP", "INTENDED", 1, "UNKNOWN")]
    shop.sell("2", ("A", "1"))
    tell(shop, http, minute=15)
    assert point_of_sale.levels[shop.store_id, "A"] == -3
    if not heard:
        first, again, _ = point_of_sale.calls
        assert (first[1], first[2]["Idempotency-Key"]) == (again[1], again[2]["Idempotency-Key"])
        assert [row[:3] for row in states(shop)] == [("HTTP", "DONE", 2), ("HTTP", "DONE", 1)]


def test_silence_before_the_effect_loses_nothing(shop: Shop, point_of_sale: PointOfSale, http: HttpChannel) -> None:
    point_of_sale.script.append("silent-before")
    shop.sell("1", ("A", "2"))
    assert tell(shop, http).waiting == 1
    assert point_of_sale.levels == {}
    assert tell(shop, http, minute=15).done == 1
    assert point_of_sale.levels[shop.store_id, "A"] == -2


def test_a_point_of_sale_that_is_away_finds_one_export_of_the_time_and_then_what_is_new(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel
) -> None:
    closed = HttpChannel(http.client, "http://127.0.0.1:9", SECONDS)
    for minute in range(5):
        shop.sell(str(minute), ("A", "1"), at=after(minute))
        assert tell(shop, closed, minute=minute).waiting == 1
    assert states(shop) == [("HTTP", "INTENDED", 5, "NOT_SENT")]
    assert alerts(shop) == []
    assert tell(shop, closed, minute=31).waiting == 1
    assert alerts(shop) == ["stock-export-waiting"]
    assert tell(shop, http, minute=32) == Exported(movements=4, done=2)
    assert point_of_sale.levels[shop.store_id, "A"] == -5


def test_a_refusal_stays_raises_an_alert_and_holds_nothing_else_up(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel
) -> None:
    point_of_sale.script.append(422)
    shop.sell("1", ("A", "2"))
    assert tell(shop, http) == Exported(movements=1, refused=1)
    assert alerts(shop) == ["stock-export-refused"]
    shop.sell("2", ("A", "1"))
    assert tell(shop, http) == Exported(movements=1, done=1)
    assert point_of_sale.levels[shop.store_id, "A"] == -1
    assert states(shop) == [("HTTP", "REFUSED", 1, "REFUSED"), ("HTTP", "DONE", 1, "SUCCEEDED")]


def test_a_refused_export_is_told_again_on_demand_with_the_same_bytes_and_key(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel
) -> None:
    point_of_sale.script.append(400)
    shop.sell("1", ("A", "2"))
    tell(shop, http)
    (export_id,) = shop.rows("select export_id from stock_export where store_id = :store")[0]
    told = tell_again(shop.engine, lambda _: [http], export_id=int(str(export_id)), actor="ann", now=after(60))
    assert told == Exported(done=1)
    first, again = point_of_sale.calls
    assert (first[1], first[2]["Idempotency-Key"]) == (again[1], again[2]["Idempotency-Key"])
    assert shop.rows(
        "select actor, subject from audit_entry where action = 'stock.export.again' and details->>'store_id' = :store"
    ) == [("ann", str(export_id))]
    with pytest.raises(BackroomError, match="is not there or has been taken"):
        tell_again(shop.engine, lambda _: [http], export_id=int(str(export_id)), actor="ann", now=after(61))


def test_an_export_whose_channel_is_gone_is_not_told_again_by_another(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel, tmp_path: Path
) -> None:
    point_of_sale.script.append(400)
    shop.sell("1", ("A", "2"))
    tell(shop, http)
    (export_id,) = shop.rows("select export_id from stock_export where store_id = :store")[0]
    with pytest.raises(BackroomError, match="was told by HTTP, which is not set up"):
        tell_again(
            shop.engine, lambda _: [FolderChannel(tmp_path)], export_id=int(str(export_id)), actor="ann", now=NOON
        )
    assert states(shop)[0][1] == "REFUSED"


@pytest.mark.parametrize(
    ("status", "state", "outcome", "alerted"),
    [
        (201, "DONE", "SUCCEEDED", []), (202, "DONE", "SUCCEEDED", []), (204, "DONE", "SUCCEEDED", []),
        (400, "REFUSED", "REFUSED", ["stock-export-refused"]), (413, "REFUSED", "REFUSED", ["stock-export-refused"]),
        (401, "INTENDED", "NOT_SENT", ["stock-export-waiting"]),
        (404, "INTENDED", "NOT_SENT", ["stock-export-waiting"]),
        (429, "INTENDED", "NOT_SENT", ["stock-export-waiting"]),
        (307, "INTENDED", "NOT_SENT", ["stock-export-waiting"]),
        (408, "INTENDED", "UNKNOWN", []), (409, "INTENDED", "UNKNOWN", []), (418, "INTENDED", "UNKNOWN", []),
        (500, "INTENDED", "UNKNOWN", []), (503, "INTENDED", "UNKNOWN", []), (206, "INTENDED", "UNKNOWN", []),
    ],
)  # fmt: skip
def test_what_each_answer_means(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel, status: int, state: str, outcome: str, alerted: list[str]
) -> None:
    point_of_sale.script.append(status)
    shop.sell("1", ("A", "2"))
    tell(shop, http)
    assert states(shop) == [("HTTP", state, 1, outcome)]
    assert alerts(shop) == alerted


@pytest.mark.parametrize("url", ["not a url", "ftp://till", "http://", "http://[", "http://no-such-host.invalid"])
def test_a_url_that_leads_nowhere_is_not_sent(shop: Shop, http: HttpChannel, url: str) -> None:
    shop.sell("1", ("A", "2"))
    assert tell(shop, HttpChannel(http.client, url, SECONDS)).waiting == 1
    assert states(shop) == [("HTTP", "INTENDED", 1, "NOT_SENT")]


def test_the_secret_is_never_kept(shop: Shop, point_of_sale: PointOfSale) -> None:
    shop.sell("1", ("A", "2"))
    with make_client(Settings(point_of_sale_secret=SecretStr("spoilt-secret\n"))) as client:
        tell(shop, HttpChannel(client, point_of_sale.url, SECONDS))
    kept = str(shop.rows("select answer, body from stock_export where store_id = :store"))
    assert "spoilt-secret" not in kept


# --- crashes and company


@dataclass
class Dying:
    """A channel in whose hands the process ends: before it told anything, or after."""

    inner: Channel | None = None
    name: str = "HTTP"

    def tell(self, export_id: int, store_id: str, body: str) -> Attempt:
        if self.inner is not None:
            self.inner.tell(export_id, store_id, body)
        raise SystemExit("power cut")


@pytest.mark.parametrize("told", [False, True])
def test_a_crash_between_intent_and_outcome_is_told_again_under_the_same_key(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel, told: bool
) -> None:
    shop.sell("1", ("A", "2"))
    with pytest.raises(SystemExit):
        tell(shop, Dying(http if told else None))
    assert states(shop) == [("HTTP", "INTENDED", 0, None)], "the intent was written down before"
    shop.sell("2", ("A", "1"))
    assert tell(shop, http) == Exported(movements=1, done=2)
    assert point_of_sale.levels[shop.store_id, "A"] == -3
    assert len(point_of_sale.booked) == 2


def test_a_killed_process_leaves_an_export_that_the_next_one_tells(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel
) -> None:
    point_of_sale.script.append("silent-after")
    shop.sell("1", ("A", "2"))
    with shop.engine.begin() as connection:
        connection.execute(
            text("update store set point_of_sale_url = :url where store_id = :store"),
            {"url": point_of_sale.url, "store": shop.store_id},
        )
    child = subprocess.Popen(
        [sys.executable, "-m", "backroom.cli", "stock", "export", "--store", shop.store_id],
        env={**os.environ, "BACKROOM_STOCK_EXPORT_SECONDS": "30"},
    )
    try:
        assert point_of_sale.heard.wait(timeout=30)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait(timeout=10)
    told = Exported()
    for _ in range(50):  # the server notices within moments that its session is gone
        told = tell(shop, http)
        if told.done:
            break
        threading.Event().wait(0.1)
    assert told == Exported(done=1)
    assert len(point_of_sale.booked) == 1
    assert point_of_sale.levels[shop.store_id, "A"] == -2


def test_exports_at_once_tell_each_movement_in_one_export(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel
) -> None:
    for number in range(30):
        shop.sell(str(number), ("A", "1"), ("B", "2"))
    point_of_sale.script.extend(["slow"] * 10)
    with ThreadPoolExecutor(6) as threads:
        told = list(threads.map(lambda _: tell(shop, http, most=20), range(6)))
    for _ in range(10):
        if not tell(shop, http).waiting:
            break
    assert sum(result.movements for result in told) == 60
    moved = point_of_sale.movements()
    assert (len(moved), len(set(moved))) == (60, 60)
    keys = [headers["Idempotency-Key"] for _, _, headers in point_of_sale.calls]
    assert len(keys) == len(set(keys)), "no export was told by two"


def test_with_sales_counts_failures_and_exports_at_once_both_sides_end_with_the_same_levels(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel
) -> None:
    point_of_sale.script.extend([500, "cut-after", 409, "yes", "cut-after", 503])

    def act(number: int) -> object:
        if number % 5 == 0:
            return tell(shop, http, most=7)
        if number % 5 == 1:
            return shop.count("A", str(number), at=after(number % 7 + number / 100), now=after(60))
        return shop.sell(str(number), ("A", "1"), ("B", "1"), at=after(number % 9))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(act, range(60)))
    for _ in range(20):
        if tell(shop, http) == Exported():
            break
    assert point_of_sale.levels[shop.store_id, "A"] == shop.level("A") == shop.summed("A")
    assert point_of_sale.levels[shop.store_id, "B"] == shop.level("B")


# --- files


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_file_holds_the_movements_and_nothing_is_left_beside_it(shop: Shop, tmp_path: Path) -> None:
    shop.sell('1,"', ("A", "2"), ("NUTS", "0.125"))
    folder = tmp_path / "to" / "till"
    assert tell(shop, FolderChannel(folder)) == Exported(movements=2, done=1)
    (path,) = folder.iterdir()
    (export_id,) = shop.rows("select export_id from stock_export where store_id = :store")[0]
    assert path.name == f"stock-{export_id:012d}-{shop.store_id}.csv"
    assert rows_of(path) == [
        {
            "export_id": str(export_id), "store_id": shop.store_id, "item_sku": sku, "kind": "SALE",
            "source": shop.trip('1,"'), "line_number": "0", "quantity": quantity, "unit": unit,
            "happened_at": "2026-11-23T17:00:00Z",
        }
        for sku, quantity, unit in (("A", "-2", "unit"), ("NUTS", "-0.125", "kg"))
    ]  # fmt: skip


def test_a_file_that_is_written_again_is_the_same_file(shop: Shop, tmp_path: Path) -> None:
    shop.sell("1", ("A", "2"))
    with pytest.raises(SystemExit):
        tell(shop, Dying(FolderChannel(tmp_path), name="FILE"))
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()
    assert tell(shop, FolderChannel(tmp_path)).done == 1
    assert [other.read_bytes() for other in tmp_path.iterdir()] == [before]


def test_a_folder_that_can_not_be_written_is_not_sent(shop: Shop, tmp_path: Path) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("in the way")
    shop.sell("1", ("A", "2"))
    assert tell(shop, FolderChannel(blocked)).waiting == 1
    assert states(shop) == [("FILE", "INTENDED", 1, "NOT_SENT")]
    blocked.unlink()
    assert tell(shop, FolderChannel(blocked)).done == 1


@pytest.mark.parametrize("store_id", ["..", "../../etc", "a/b", "x" * 255, "Läden/" * 40])
def test_a_stores_id_leads_out_of_no_folder(tmp_path: Path, store_id: str) -> None:
    attempt = FolderChannel(tmp_path / "in").tell(7, store_id, "body")
    assert attempt.outcome is Outcome.SUCCEEDED
    (path,) = tmp_path.rglob("*.csv")
    assert path.parent == tmp_path / "in"
    assert path.read_text() == "body"


def test_a_file_and_a_call_tell_the_same_under_one_id_and_each_has_its_own_outcome(
    shop: Shop, point_of_sale: PointOfSale, http: HttpChannel, tmp_path: Path
) -> None:
    point_of_sale.script.append(500)
    shop.sell("1", ("A", "2"))
    both: Sequence[Channel] = (http, FolderChannel(tmp_path))
    assert tell(shop, *both) == Exported(movements=1, done=1, waiting=1)
    assert [row[:2] for row in states(shop)] == [("FILE", "DONE"), ("HTTP", "INTENDED")]
    assert tell(shop, *both) == Exported(done=1)
    assert len(list(tmp_path.iterdir())) == 1
    ids = shop.rows("select count(distinct export_id), count(*) from stock_export where store_id = :store")
    assert ids == [(1, 2)]


# --- S3


@pytest.fixture(scope="module")
def moto_endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    from backroom.db.embedded import free_port

    os.environ.setdefault("AWS_ACCESS_KEY_ID", "testing")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "testing")
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass
class Bucket:
    """An S3 client of moto's, with retries off."""

    endpoint: str
    s3: object = field(init=False)

    def __post_init__(self) -> None:
        import boto3
        from botocore.config import Config

        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, connect_timeout=1)
        self.s3 = boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", config=config)

    def channel(self, bucket: str = "our-bucket", prefix: str = "stock/") -> S3Channel:
        return S3Channel(self.s3, bucket, prefix)


def test_a_file_in_our_bucket_is_put_again_where_the_bucket_was_not_there(shop: Shop, moto_endpoint: str) -> None:
    ours = Bucket(moto_endpoint)
    shop.sell("1", ("A", "2"))
    assert tell(shop, ours.channel()).waiting == 1
    assert states(shop) == [("FILE", "INTENDED", 1, "NOT_SENT")]
    assert alerts(shop) == ["stock-export-waiting"]
    ours.s3.create_bucket(Bucket="our-bucket")  # type: ignore[attr-defined]
    assert tell(shop, ours.channel()).done == 1
    export_id, body = shop.rows("select export_id, body from stock_export where store_id = :store")[0]
    key = f"stock/stock-{export_id:012d}-{shop.store_id}.csv"
    put = ours.s3.get_object(Bucket="our-bucket", Key=key)["Body"].read()  # type: ignore[attr-defined]
    assert put.decode() == body
    assert shop.trip("1") in str(body)


def test_an_s3_that_does_not_answer_is_asked_again(shop: Shop, moto_endpoint: str) -> None:
    shop.sell("1", ("A", "2"))
    assert tell(shop, Bucket("http://127.0.0.1:9").channel()).waiting == 1
    assert states(shop) == [("FILE", "INTENDED", 1, "UNKNOWN")]
    assert Decimal(shop.value("select count(*) from stock_movement where store_id = :store and export_id is null")) == 0
