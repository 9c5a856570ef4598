"""How fast intra-day files become orders: `python -m tests.benchmarks.feeds [--full]`.

Real baskets are written as files, announced, copied, judged and merged, with the ledger of files and quarantine. The
reference of the same run reads the same objects from the same S3, copies them bare into an unlogged table of text, and
brings the lines into a table by one INSERT … ON CONFLICT. The other reference is dlt's merge of some of these files
into the same database, in an environment of its own that is built at the first use. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import psycopg
import typer
from botocore.config import Config
from rich.console import Console
from sqlalchemy import Engine, text

from backroom.db.embedded import free_port
from backroom.db.engine import make_engine
from backroom.feeds.aws import Aws
from backroom.feeds.intraday import collect, take_in
from backroom.feeds.layout import columns
from tests.benchmarks import dlt_environment, feed_files
from tests.benchmarks.goals import Goal, show
from tests.benchmarks.reconciliation import _database as durable_database

AMAZON = "amazon-reports"
NOW = datetime(2026, 3, 4, tzinfo=UTC)
LINES = 500_000
BY_DLT = 50_000  # of these, by dlt, which takes minutes for all
BIG, SMALL = 100, 10  # megabytes of the two files whose memory is compared


def measure(
    *, lines: int, windows: int, big: float, small: float, by_dlt: int, console: Console
) -> tuple[list[Goal], str]:
    """Runs everything; the goals, and what the reference was. Raises RuntimeError for a wrong outcome."""
    with durable_database() as (engine, _), _s3() as endpoint, console.status("writing files") as status:
        aws = clients(endpoint)
        _set_up(engine, aws)
        written = dict(feed_files.files(lines=lines, windows=windows))
        records = [_put(aws, key, content, number) for number, (key, content) in enumerate(written.items(), start=1)]
        rows = sum(content.count(b"\n") - 1 for content in written.values())
        status.update("the reference")
        reference = _reference(engine, aws, list(written), rows)
        status.update("the pipeline")
        _announce(aws, records)
        started = time.perf_counter()
        results = take_in(engine, aws, now=NOW)
        pipeline = time.perf_counter() - started
        if sum(one.rows_applied for one in results) != rows:
            raise RuntimeError(f"of {rows} lines {sum(one.rows_applied for one in results)} came in")
        status.update("the same announcements again")
        _announce(aws, records)
        again = time.perf_counter()
        if collect(engine, aws, now=NOW):
            raise RuntimeError("a known file was copied again")
        again = (time.perf_counter() - again) / len(records)
        status.update("dlt")
        ways = _by_dlt(engine, endpoint, written, by_dlt) if by_dlt else {}
        status.update("memory of a file and of a larger one")
        lesser, greater = (_memory(engine, aws, megabytes, number) for number, megabytes in enumerate((small, big)))
    rate = rows / pipeline
    goals = [
        Goal(f"{rows:,} lines of {len(written)} files ÷ reference", reference / pipeline, 0.6, True, "×", 0.85),
        *([Goal("lines per second ÷ dlt's merge", rate / ways["read_csv"], 5, True, "×")] if ways else []),
        Goal("a known file announced again", again * 1000, 50, False, "ms"),
        Goal(f"peak memory, a file of {big:g} MB", greater, 300, False, "MB"),
        Goal(f"that, more than a file of {small:g} MB took", greater - lesser, 50, False, "MB"),
    ]
    told = (
        f"the same {len(written)} objects read from the same S3, bare COPY into an unlogged table, one INSERT … ON"
        f" CONFLICT: {reference:.2f} s ({rows / reference:,.0f} lines/s); the pipeline {pipeline:.2f} s"
        f" ({rate:,.0f} lines/s)"
    )
    if ways:
        told += (
            f"; dlt's merge of about {by_dlt:,} of these lines by its own reader of CSV: {ways['read_csv']:,.0f}"
            f" lines/s; by whole tables of Arrow's, unjudged and with amounts as floating point: {ways['arrow']:,.0f}"
            f" lines/s, so that the pipeline has {rate / ways['arrow']:.1f} × that"
        )
    return goals, told


def clients(endpoint: str) -> Aws:
    """boto3's clients of the stand-in."""
    common: dict[str, Any] = {
        "endpoint_url": endpoint, "region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x",
    }  # fmt: skip
    s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, max_pool_connections=16), **common)
    return Aws(s3, boto3.client("sqs", **common), "backroom-feeds", "backroom-intraday", "backroom-events")


def _set_up(engine: Engine, aws: Aws) -> None:
    for bucket in (AMAZON, aws.feeds_bucket):
        aws.s3.create_bucket(Bucket=bucket)
    aws.sqs.create_queue(QueueName=aws.intraday_queue)
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds) values (:store, 'S', :merchant, 'America/New_York', 'USD', 'X',"
                " 'NONE', 50, '{FILES}')"
            ),
            {"store": feed_files.STORE, "merchant": feed_files.MERCHANT},
        )
        columns_of_text = ", ".join(f"{name} text" for name in columns().values())
        connection.execute(text(f"create unlogged table bare_staging ({columns_of_text})"))
        connection.execute(text("create table bare_line (like amazon_order_line including indexes)"))


def _put(aws: Aws, key: str, content: bytes, number: int) -> dict[str, Any]:
    etag = aws.s3.put_object(Bucket=AMAZON, Key=key, Body=content)["ETag"]
    entry = {"key": key, "sequencer": f"{number:016X}", "eTag": etag, "size": len(content)}
    s3 = {"bucket": {"name": AMAZON}, "object": entry}
    return {"eventName": "ObjectCreated:Put", "eventTime": "2026-03-02T16:00:00Z", "s3": s3}


def _announce(aws: Aws, records: list[dict[str, Any]]) -> None:
    url = aws.queue_url(aws.intraday_queue)
    for record in records:
        body = {"Type": "Notification", "Message": json.dumps({"Records": [record]})}
        aws.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))


def _reference(engine: Engine, aws: Aws, keys: list[str], rows: int) -> float:
    """Seconds of the barest way to the same lines."""
    started = time.perf_counter()
    with engine.begin() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        with driver.cursor() as cursor:
            for key in keys:
                with cursor.copy("copy bare_staging from stdin (format csv, header)") as copy:
                    for block in aws.s3.get_object(Bucket=AMAZON, Key=key)["Body"].iter_chunks(1 << 18):
                        copy.write(block)
        applied = connection.execute(text(_BARE_UPSERT)).rowcount
    if applied != rows:
        raise RuntimeError(f"the reference brought in {applied} of {rows} lines")
    return time.perf_counter() - started


_BARE_UPSERT = """
    insert into bare_line (store_id, order_id, line_number, item_sku, quantity, unit, list_price, price, promotion, tax,
        updated_at, window_end, sequencer, file_id, dropped)
    select store_id, order_id, cast(line_number as integer), item_sku, cast(quantity as numeric), unit,
        cast(list_price as numeric), cast(price as numeric), cast(promotion as numeric), cast(tax as numeric),
        cast(updated_at as timestamptz), cast(updated_at as timestamptz), '', 0, false
    from bare_staging
    on conflict (store_id, order_id, line_number) do update set item_sku = excluded.item_sku,
        quantity = excluded.quantity, price = excluded.price, tax = excluded.tax, updated_at = excluded.updated_at
"""


def _by_dlt(engine: Engine, endpoint: str, written: dict[str, bytes], lines: int) -> dict[str, float]:
    """Lines per second of dlt's merge of the first files, by each of its ways."""
    files, taken = [], 0
    for key, content in written.items():
        if taken >= lines:
            break
        files.append(key.rsplit("/", 1)[1])
        taken += content.count(b"\n") - 1
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return {
        way: dlt_environment.merge(database=url, endpoint=endpoint, bucket=AMAZON, files=files, way=way, lines=taken)
        for way in ("read_csv", "arrow")
    }


def _memory(engine: Engine, aws: Aws, megabytes: float, number: int) -> float:
    """Peak memory, in MB, of a process of its own that copies and takes in one file of that size."""
    key = f"{feed_files.MERCHANT}/{feed_files.STORE}/orders_20260305_{number:02d}15.csv"
    _announce(aws, [_put(aws, key, feed_files.big_file(megabytes=megabytes), 1_000_000 + number)])
    url = engine.url.render_as_string(hide_password=False)
    with multiprocessing.get_context("spawn").Pool(1) as alone:
        return alone.apply(_take_one, (url, aws.s3.meta.endpoint_url))


def _take_one(url: str, endpoint: str) -> float:
    engine, aws = make_engine(url), clients(endpoint)
    (result,) = take_in(engine, aws, now=NOW)
    if result.state != "INGESTED" or result.rows_applied != result.rows_read:
        raise RuntimeError(f"the large file came out as {result}")
    # the kernel's peak of this program alone: what getrusage tells has the parent's from before the start in it
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


@contextmanager
def _s3() -> Iterator[str]:
    """moto in a process of its own, so that it does not take part in ours."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the S3 stand-in did not start")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def main(
    lines: int = LINES,
    windows: int = 96,
    big: float = BIG,
    small: float = SMALL,
    full: bool = False,
    by_dlt: int = BY_DLT,
) -> None:
    """Measures and prints; `--full` takes a file of 1 GB for the memory, `--by-dlt 0` leaves dlt out."""
    console = Console()
    goals, reference = measure(
        lines=lines, windows=windows, big=1000 if full else big, small=small, by_dlt=by_dlt, console=console
    )
    sys.exit(show(console, "intra-day files", goals, reference))


if __name__ == "__main__":
    typer.run(main)
