"""What becomes of a batch: polling and news, whichever comes first; crashes between intent, call and record."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from sqlalchemy import Engine, text

from backroom.amazon.catalog import CatalogClient
from backroom.catalog import notifications, reports, sending, sync
from backroom.catalog.notifications import Inbox
from backroom.catalog.source import Source
from backroom.feeds import queues
from backroom.settings import settings
from tests.catalog.conftest import NOW, TODAY, ask, item, upc, write_csv
from tests.catalog.test_sync import load, night, source, wait
from tests.sandbox_fixtures import SMALL_WORLD_DATE, SandboxClient

LATER = f"{SMALL_WORLD_DATE}T12:00:00Z"  # of the sandbox's clock: every ingestion is done


@pytest.fixture
def client(clean: Engine, sandbox: SandboxClient, small_world: Path) -> Iterator[CatalogClient]:
    load(sandbox, small_world)
    with CatalogClient(settings(), clean) as made:
        yield made


@pytest.fixture
def box(aws_endpoint: str) -> Inbox:
    """Our queue, empty."""
    found = Inbox(boto3.client("sqs", endpoint_url=aws_endpoint, region_name="us-east-1"), "backroom-catalog")
    drain(found)
    return found


def drain(box: Inbox, name: str = "") -> list[dict[str, Any]]:
    """Every message of one of our queues, taken out of it."""
    url, taken = url_of(box, name), []
    for messages in queues.receive(box.sqs, url, max_messages=1000):
        queues.delete(box.sqs, url, messages)
        taken += messages
    return taken


def url_of(box: Inbox, name: str = "") -> str:
    return str(box.sqs.get_queue_url(QueueName=name or box.queue)["QueueUrl"])


def began(engine: Engine, client: CatalogClient, folder: Path) -> int:
    """A run whose batches are at Amazon."""
    run_id = sync.start_run(engine, source=Source(str(folder)), business_date=TODAY, now=NOW)
    assert sync.upload(engine, client, run_id=run_id, now=NOW)
    return run_id


def states(engine: Engine) -> list[tuple[Any, ...]]:
    return ask(engine, "select state, tries from catalog_batch order by batch_id")


def uploads(sandbox: SandboxClient) -> int:
    return int(sandbox.get("/sandbox/summary")["catalog"]["uploads"])


def hear(engine: Engine, box: Inbox, *, least: int = 1) -> int:
    """Takes news in until so many batches have heard something."""
    heard, deadline = 0, time.monotonic() + 20
    while heard < least and time.monotonic() < deadline:
        heard += notifications.take_in(engine, box, now=NOW)
    return heard


@pytest.mark.parametrize("news", ["", "DELIVERED_TWICE"])
def test_news_alone_is_enough_and_counts_once(
    clean: Engine,
    client: CatalogClient,
    sandbox: SandboxClient,
    small_world: Path,
    box: Inbox,
    tmp_path: Path,
    news: str,
) -> None:
    load(sandbox, small_world, trips={"1": {"catalog_news": [news]}})
    source(tmp_path, 1, 2)
    run_id = began(clean, client, tmp_path)
    sandbox.post("/sandbox/clock", {"now": LATER})
    assert hear(clean, box) == 1
    assert states(clean) == [("DONE", 1)]
    fetched: list[str] = []

    def fetch(link: str) -> bytes | None:
        fetched.append(link)
        return reports.fetch(link)

    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW, fetch=fetch).accepted == 2
    assert notifications.take_in(clean, box, now=NOW) == 0
    assert sync.poll(clean, client, run_id=run_id, now=NOW, box=box)
    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW, fetch=fetch).accepted == 2
    assert len(fetched) == 1


def test_polling_alone_is_enough_where_no_news_comes(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, small_world: Path, box: Inbox, tmp_path: Path
) -> None:
    load(sandbox, small_world, trips={"1": {"catalog_news": ["NOT_TOLD"]}})
    source(tmp_path, 1)
    run_id = began(clean, client, tmp_path)
    wait(clean, client, run_id)
    assert notifications.take_in(clean, box, now=NOW) == 0
    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW).accepted == 1


def test_a_message_that_is_no_news_is_a_dead_letter_and_a_queue_that_is_away_stops_nothing(
    clean: Engine, client: CatalogClient, box: Inbox, tmp_path: Path
) -> None:
    drain(box, "backroom-catalog-dead")
    for body in ("no JSON", json.dumps({"Message": json.dumps({"ingestionId": 5, "processingStatus": "DONE"})})):
        box.sqs.send_message(QueueUrl=url_of(box), MessageBody=body)
    assert notifications.take_in(clean, box, now=NOW) == 0
    assert len(drain(box, "backroom-catalog-dead")) == 2
    once = Config(retries={"total_max_attempts": 1})
    away = Inbox(boto3.client("sqs", endpoint_url="http://127.0.0.1:9", region_name="us-east-1", config=once), "q")
    source(tmp_path, 1)
    run_id = began(clean, client, tmp_path)
    sync.poll(clean, client, run_id=run_id, now=NOW, box=away)
    wait(clean, client, run_id)


_DIES = """
import os, signal, sys
from pathlib import Path
from backroom.amazon.catalog import CatalogClient
from backroom.catalog import sync
from backroom.catalog.source import Source
from backroom.clock import parse_instant
from backroom.db.engine import engine
from backroom.settings import settings

real, when, folder, now = CatalogClient.upload, sys.argv[1], sys.argv[2], parse_instant(sys.argv[3])

def upload(self, items, *, cart=False):
    if when == "after":
        real(self, items, cart=cart)
    os.kill(os.getpid(), signal.SIGKILL)

CatalogClient.upload = upload
with CatalogClient(settings(), engine()) as client:
    run = sync.start_run(engine(), source=Source(folder), business_date=now.date(), now=now)
    sync.upload(engine(), client, run_id=run, now=now)
"""


def killed(clean: Engine, folder: Path, when: str) -> int:
    """A run whose process was killed before or after its upload; the claim that it left has run out."""
    environment = {**os.environ, "BACKROOM_DATABASE_URL": clean.url.render_as_string(hide_password=False)}
    asked = [sys.executable, "-c", _DIES, when, str(folder), NOW.isoformat()]
    ended = subprocess.run(asked, env=environment, check=False)
    assert ended.returncode == -9
    assert states(clean) == [("CALLING", 1)]
    with clean.begin() as connection:
        connection.execute(text("update catalog_batch set claimed_until = now() - interval '1 second'"))
    return int(ask(clean, "select max(run_id) from catalog_run")[0][0])


def test_killed_between_intent_and_call_the_batch_is_sent_once(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, tmp_path: Path, configure: Callable[..., None]
) -> None:
    configure(catalog_unknown_minutes=0)
    source(tmp_path, 1, 2)
    run_id = killed(clean, tmp_path, "before")
    wait(clean, client, run_id)
    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW).accepted == 2
    assert uploads(sandbox) == 1


def test_killed_between_upload_and_record_the_news_tells_what_became_of_it_and_nothing_is_sent_again(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, box: Inbox, tmp_path: Path
) -> None:
    source(tmp_path, 1, 2)
    run_id = killed(clean, tmp_path, "after")
    assert not sync.poll(clean, client, run_id=run_id, now=NOW, box=box)
    assert states(clean) == [("UNKNOWN", 1)]  # it waits for news before it goes again
    sandbox.post("/sandbox/clock", {"now": LATER})
    assert hear(clean, box) == 1
    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW).accepted == 2
    assert uploads(sandbox) == 1


def test_news_of_another_ingestion_is_not_taken_for_a_lost_batch(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, box: Inbox, tmp_path: Path
) -> None:
    source(tmp_path, 1, 2)
    killed(clean, tmp_path, "before")
    sending._give_up_claims(clean)
    client.upload([{"item_sku": "SKU-1", "external_product_id": upc(1), "item_name": "x", "store_id": "STORE-001"}])
    sandbox.post("/sandbox/clock", {"now": LATER})
    deadline = time.monotonic() + 20
    while ask(clean, "select compared from catalog_notification") != [(True,)]:
        assert notifications.take_in(clean, box, now=NOW) == 0
        assert time.monotonic() < deadline
    assert states(clean) == [("UNKNOWN", 1)]


@pytest.mark.parametrize("ended", ["FATAL", "CANCELLED"])
def test_a_batch_that_amazon_gives_up_raises_an_alert_and_goes_again_with_the_next_run(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, small_world: Path, tmp_path: Path, ended: str
) -> None:
    load(sandbox, small_world, trips={"1": {"catalog_ingestion": [ended]}})
    source(tmp_path, 1)
    assert night(clean, client, tmp_path).batches_failed == 1
    assert states(clean) == [(ended, 1)]
    assert ask(clean, "select severity from alert") == [("critical",)]
    assert night(clean, client, tmp_path).accepted == 1


def test_a_500_that_is_not_to_be_retried_is_not_retried(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, small_world: Path, tmp_path: Path
) -> None:
    load(sandbox, small_world, trips={"1": {"catalog_upload": ["FINAL_ERROR"]}})
    source(tmp_path, 1)
    summary = night(clean, client, tmp_path)
    assert (summary.batches_failed, uploads(sandbox)) == (1, 1)
    assert states(clean) == [("REFUSED", 1)]


def test_a_batch_that_takes_too_long_raises_one_alert_and_is_asked_for_further(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, small_world: Path, tmp_path: Path
) -> None:
    sandbox.post("/sandbox/load", {"world": str(small_world), "seed": 1, "faults": {"catalog_polls": 4}})
    source(tmp_path, 1)
    run_id = began(clean, client, tmp_path)
    with clean.begin() as connection:
        connection.execute(text("update catalog_batch set called_at = now() - interval '91 minutes'"))
    for _ in range(2):
        assert not sync.poll(clean, client, run_id=run_id, now=NOW)
    assert ask(clean, "select severity, times from alert") == [("critical", 2)]
    wait(clean, client, run_id)


def test_a_link_older_than_an_hour_is_not_tried_but_renewed(
    clean: Engine, client: CatalogClient, tmp_path: Path
) -> None:
    source(tmp_path, 1)
    run_id = began(clean, client, tmp_path)
    wait(clean, client, run_id)
    ((old,),) = ask(clean, "select report_link from catalog_batch")
    with clean.begin() as connection:
        connection.execute(text("update catalog_batch set link_at = now() - interval '60 minutes'"))
    asked: list[str] = []

    def fetch(link: str) -> bytes | None:
        asked.append(link)
        return reports.fetch(link)

    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW, fetch=fetch).accepted == 1
    assert len(asked) == 1
    assert old not in asked


def test_what_is_under_way_is_not_sent_again_by_another_run(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, tmp_path: Path
) -> None:
    source(tmp_path, 1, 2)
    began(clean, client, tmp_path)
    write_csv(tmp_path, [item(1), item(2, standard_price="3.00")])
    assert night(clean, client, tmp_path).items_sent == 1
    assert uploads(sandbox) == 2
    accepted = "select item_sku, batch_id - min(batch_id) over () from catalog_accepted order by item_sku"
    assert ask(clean, accepted) == [("SKU-1", 0), ("SKU-2", 1)]


def test_a_batch_that_goes_again_leaves_out_what_has_changed_since(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, small_world: Path, tmp_path: Path
) -> None:
    load(sandbox, small_world, trips={"1": {"catalog_upload": ["SERVER_ERROR"]}})
    source(tmp_path, 1, 2)
    first = sync.start_run(clean, source=Source(str(tmp_path)), business_date=TODAY, now=NOW)
    sync.upload(clean, client, run_id=first, now=NOW)
    assert states(clean) == [("UNKNOWN", 1)]
    write_csv(tmp_path, [item(1, standard_price="3.00"), item(2)])
    second = sync.start_run(clean, source=Source(str(tmp_path)), business_date=TODAY, now=NOW)
    with clean.begin() as connection:
        connection.execute(text("update catalog_batch set not_before = now()"))
    sync.upload(clean, client, run_id=second, now=NOW)
    wait(clean, client, second)
    sync.apply_reports(clean, client, run_id=second, now=NOW)
    assert ask(clean, "select item_sku, status from catalog_batch_item order by batch_id, item_sku") == [
        ("SKU-1", None), ("SKU-2", "ACCEPTED"), ("SKU-1", "ACCEPTED")
    ]  # fmt: skip


def test_workers_that_come_at_once_send_a_batch_once(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, tmp_path: Path
) -> None:
    source(tmp_path, 1)
    run_id = sync.start_run(clean, source=Source(str(tmp_path)), business_date=TODAY, now=NOW)
    sync.plan(clean, run_id=run_id, now=NOW)
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda _: sending.send_due(clean, client, run_id=run_id, now=NOW), range(4)))
    assert sorted(map(len, sent)) == [0, 0, 0, 1]
    assert uploads(sandbox) == 1


def test_one_store_is_synchronised_alone(clean: Engine, client: CatalogClient, tmp_path: Path) -> None:
    for store in ("STORE-001", "STORE-002"):
        source(tmp_path, 1, 2, store=store)
    run_id = sync.start_run(
        clean, source=Source(str(tmp_path)), business_date=TODAY, now=NOW, store_id="STORE-002"
    )  # fmt: skip
    sync.upload(clean, client, run_id=run_id, now=NOW)
    wait(clean, client, run_id)
    assert sync.apply_reports(clean, client, run_id=run_id, now=NOW).accepted == 2
    assert ask(clean, "select distinct store_id from catalog_item") == [("STORE-002",)]


@pytest.fixture
def cart_world(small_world: Path, tmp_path: Path) -> Path:
    """The small world, its second store one with Dash Carts."""
    world = tmp_path / "world"
    shutil.copytree(small_world, world)
    stores = json.loads((world / "stores.json").read_text())
    stores[1]["store_type"] = "DASH_CART"
    (world / "stores.json").write_text(json.dumps(stores))
    return world


def test_dash_cart_stores_go_to_their_own_path_and_an_archive_names_the_others_alone(
    clean: Engine, client: CatalogClient, sandbox: SandboxClient, cart_world: Path, tmp_path: Path
) -> None:
    load(sandbox, cart_world)
    with clean.begin() as connection:
        connection.execute(text("update store set store_type = 'DASH_CART' where store_id = 'STORE-002'"))
    folder = tmp_path / "catalog"
    for store in ("STORE-001", "STORE-002"):
        source(folder, 1, 2, store=store)
    first = night(clean, client, folder)
    assert (first.accepted, first.batches_failed) == (4, 0)
    source(folder, 1)  # SKU-2 stays in the carts' store, which has no archive
    assert night(clean, client, folder).batches_failed == 0
    assert ask(clean, "select store_id, item_sku from catalog_accepted where archived") == [("STORE-001", "SKU-2")]


def test_a_store_that_amazon_refuses_does_not_sink_an_archive_either(
    clean: Engine, client: CatalogClient, tmp_path: Path
) -> None:
    with clean.begin() as connection:
        connection.execute(
            text(
                "insert into store select 'STORE-000', name, merchant, time_zone, currency, tax_jurisdiction,"
                " risk_strategy, after_decline, preauthorization_amount, feeds from store"
                " where store_id = 'STORE-001'"
            )
        )
    source(tmp_path, 1, store="STORE-000")
    source(tmp_path, 1, 2)
    assert night(clean, client, tmp_path).batches_failed == 1
    source(tmp_path, 1)
    night(clean, client, tmp_path)
    assert ask(clean, "select item_sku from catalog_accepted where archived") == [("SKU-2",)]
