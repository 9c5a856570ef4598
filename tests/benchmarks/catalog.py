"""How fast the catalog is compared and uploaded: `make bench`.

The reading and judging of a source is held against a bare reading of the same CSV files, row by row. The difference is
held against a bare full join of the same rows by SKU and hash, in the same database and run; the
upload against Amazon's limit, by what the sandbox saw of it. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import typer
from rich.console import Console
from sqlalchemy import Connection, Engine, text
from stdnum import ean

from backroom.amazon.catalog import CatalogClient
from backroom.catalog import applying, difference, guard_rail, staging, sync
from backroom.catalog.source import Source, opened
from backroom.db import migrate
from backroom.db.embedded import EmbeddedPostgres, free_port
from backroom.db.engine import make_engine
from backroom.settings import settings
from tests.benchmarks.goals import Goal, show

CHECKOUT: Final = Path(__file__).resolve().parents[2]
NOW: Final = datetime(2026, 11, 24, 3, tzinfo=UTC)
STORES: Final = ("STORE-001", "STORE-002")
CHANGED_PERCENT: Final = 1
_COLUMNS: Final = (
    "item_sku", "external_product_id", "external_product_id_type", "item_name", "store_id", "standard_price",
    "brand_name", "product_category", "product_tax_code", "unit",
)  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """What a measurement runs against."""

    engine: Engine
    sandbox: str


def measure(parts: Parts, *, items: int, say: Any = lambda _: None) -> list[Goal]:
    """Runs everything on so many items. Raises RuntimeError where an upload is not taken as it should be."""
    say(f"a source of {items:,} rows")
    read_bare, read, read_megabytes = _read_source(parts.engine, items)
    say(f"{items:,} items, accepted and staged again")
    _fill(parts.engine, items)
    say("a bare join")
    bare = _bare_join(parts.engine)
    say("the difference")
    seconds, megabytes = _difference(parts.engine, items)
    say("the upload of all")
    seen = _upload_all(parts, items)
    rate = (seen["uploads"] - 1) / max(float(seen["upload_seconds"]), 0.001)
    return [
        Goal(f"{items:,} rows of a source read, judged and staged", read, 180, False, "s"),
        Goal("the same ÷ a bare reading of the files", read / read_bare, 100, False, "×", aim=40),
        Goal("memory of the process that reads", read_megabytes, 500, False, "MB"),
        Goal(f"difference of {items:,} items, {CHANGED_PERCENT} % changed", seconds, 10, False, "s"),
        Goal("the same ÷ reference", seconds / bare, 20, False, "×"),
        Goal("memory of its session in the database", megabytes, 1000, False, "MB"),
        Goal(f"uploads a second of {seen['uploads']} requests, at the sandbox", rate, 9.0, True, ""),
        Goal("most calls in any sliding second, at the sandbox", seen["most_calls_in_a_second"], 10, False, ""),
        Goal("calls that were throttled", seen["throttled"], 0, False, ""),
    ]


def _read_source(engine: Engine, items: int) -> tuple[float, float, float]:
    """(seconds of a bare reading, of ours up to the staged rows without duplicates, this process's peak memory in MB).

    One row in a thousand has a wrong check digit.
    """
    with tempfile.TemporaryDirectory(prefix="backroom-bench-") as place:
        folder, each = Path(place), items // len(STORES)
        for store in STORES:
            _write_source(folder / f"{store}.csv", store, each)
        started = time.perf_counter()
        for path in folder.iterdir():
            with path.open(newline="", encoding="utf-8") as lines:
                sum(1 for _ in csv.reader(lines))
        bare = time.perf_counter() - started
        with engine.connect() as connection:  # and no commit
            run_id = _run(connection)
            started = time.perf_counter()
            with opened(Source(str(folder)), STORES) as files:
                currencies = dict.fromkeys(STORES, "USD")
                staging.stage(connection, run_id=run_id, parts=files, currencies=currencies, stores=STORES)
            seconds, bad = time.perf_counter() - started, staging.rejected(connection, run_id)
    if bad != len(STORES) * -(-each // 1000):
        raise RuntimeError(f"one row in a thousand is bad, and {bad} of {items} were set aside")
    return bare, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _write_source(path: Path, store: str, rows: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for number in range(rows):
            digits = f"{number:011d}"
            check = (int(ean.calc_check_digit(digits)) + (number % 1000 == 0)) % 10
            writer.writerow(
                [f"SKU-{number}", f"{digits}{check}", "UPC", f"Product number {number}", store, "1.99",
                 f"Brand {number % 500}", "GROCERY", "FOOD", "unit"]
            )  # fmt: skip


def _fill(engine: Engine, items: int) -> None:
    """As many items as asked for, spread over the stores, each of which Amazon has accepted as it is."""
    with engine.begin() as connection:
        connection.execute(text("truncate catalog_run, catalog_item, catalog_barcode, catalog_accepted cascade"))
        run_id = _run(connection)
        batch_id = connection.execute(
            text(
                "insert into catalog_batch (run_id, kind, state, item_count, intended_at, settled_at)"
                " values (:run, 'UPLOAD', 'DONE', 0, :now, :now) returning batch_id"
            ),
            {"run": run_id, "now": NOW},
        ).scalar_one()
        given = {"run": run_id, "batch": batch_id, "now": NOW, "each": items // len(STORES), "stores": list(STORES)}
        for statement in (_ITEMS, _ACCEPTED, _BARCODES):
            connection.execute(
                text(statement), {name: value for name, value in given.items() if f":{name}" in statement}
            )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze catalog_item, catalog_accepted, catalog_barcode"))


def _bare_join(engine: Engine) -> float:
    """Seconds of one full join by key that counts unlike hashes."""
    started = time.perf_counter()
    with engine.connect() as connection:
        connection.execute(
            text(
                "select count(*) filter (where i.content_hash is distinct from a.content_hash)"
                " from catalog_item i full join catalog_accepted a using (store_id, item_sku)"
            )
        ).scalar_one()
    return time.perf_counter() - started


def _difference(engine: Engine, items: int) -> tuple[float, float]:
    """(seconds from a staged source to planned batches, the session's peak memory in MB)."""
    with engine.begin() as connection:
        run_id = _run(connection)
        staging.make_tables(connection)
        connection.execute(text(_STAGE), {"percent": CHANGED_PERCENT})
        connection.execute(text(_STAGE_BARCODES))
        connection.execute(text("analyze staged_item"))
        connection.execute(text("analyze staged_barcode"))
        process = Path(f"/proc/{connection.scalar(text('select pg_backend_pid()'))}")
        (process / "clear_refs").write_text("5")  # its peak counts from here
        started = time.perf_counter()
        connection.execute(text("select set_config('work_mem', :memory, true)"), {"memory": sync.WORK_MEMORY})
        limits = guard_rail.Limits(gone_percent=5, changed_percent=25, items=20)
        applying.find_differences(connection, run_id=run_id)
        if guard_rail.hold_back(connection, run_id=run_id, limits=limits, now=NOW):
            raise RuntimeError("a store was held back")
        applying.apply(connection, run_id=run_id)
        found = difference.count(connection)
        difference.plan_batches(connection, run_id=run_id, size=10_000, archive_retry_days=7, now=NOW)
        seconds = time.perf_counter() - started
        status = (process / "status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    wanted = items * CHANGED_PERCENT // 100
    if (found.changed, found.new, found.gone) != (wanted, 0, 0):
        raise RuntimeError(f"{wanted} items have changed, and this was found: {found}")
    return seconds, peak / 1000


def _upload_all(parts: Parts, items: int) -> dict[str, Any]:
    """What the sandbox saw of an upload of every item."""
    with parts.engine.begin() as connection:
        connection.execute(text("truncate catalog_accepted, catalog_batch cascade"))
        run_id = _run(connection)
    with CatalogClient(settings(), parts.engine) as client:
        sent = sync.upload(parts.engine, client, run_id=run_id, now=NOW)
    wanted = sum(-(-items // len(STORES) // settings().catalog_batch_items) for _ in STORES)
    if len(sent) != wanted:
        raise RuntimeError(f"{wanted} batches were to be sent, and {len(sent)} were")
    seen: dict[str, Any] = httpx.get(f"{parts.sandbox}/sandbox/catalog-rate").json()
    return seen


def _run(connection: Connection) -> int:
    return int(
        connection.execute(
            text(
                "insert into catalog_run (business_date, source, state, started_at)"
                " values (:day, 'benchmark', 'COMPARED', :now) returning run_id"
            ),
            {"day": NOW.date(), "now": NOW},
        ).scalar_one()
    )


@contextmanager
def running() -> Iterator[Parts]:
    """PostgreSQL with fsync on, and a sandbox with two stores; the settings point at them."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="backroom-bench-") as folder:
        postgres, port = EmbeddedPostgres(Path(folder) / "postgres", free_port()), free_port()
        postgres.start()
        url = f"http://127.0.0.1:{port}"
        os.environ.update(
            {
                "BACKROOM_HOME": folder,
                "BACKROOM_DATABASE_URL": postgres.url("postgres").render_as_string(hide_password=False),
                "BACKROOM_SANDBOX_PORT": str(port),
                "BACKROOM_AMAZON_CATALOG_URL": url,
                "BACKROOM_AMAZON_ACCESS_KEY_ID": "AKIDBENCHMARK",
                "BACKROOM_AMAZON_SECRET_ACCESS_KEY": "of-this-benchmark",
                "JWO_SANDBOX_STATE": f"{folder}/sandbox",
                "JWO_SANDBOX_OUTBOX": "kept",
            }
        )
        settings.cache_clear()
        engine = make_engine(postgres.url("postgres"), pool_size=24)
        process = subprocess.Popen([sys.executable, "-m", "jwo_sandbox", "serve"], cwd=CHECKOUT)
        try:
            migrate.upgrade(engine)
            with engine.begin() as connection:
                connection.execute(text(_ADD_STORES), {"stores": list(STORES)})
            _load_world(Path(folder) / "world", url)
            yield Parts(engine, url)
        finally:
            process.terminate()
            process.wait(20)
            engine.dispose()
            postgres.stop()
            os.environ.clear()
            os.environ.update(before)
            settings.cache_clear()


def _load_world(folder: Path, url: str) -> None:
    asked = ["world", "--out", str(folder), "--date", "2026-11-23", "--trips", "10", "--catalog", "400"]
    subprocess.run([sys.executable, "-m", "jwo_sandbox", *asked], check=True, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    for _ in range(300):
        try:
            httpx.post(f"{url}/sandbox/load", json={"world": str(folder), "seed": 1}).raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("the sandbox does not answer")


_ADD_STORES = """
insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,
    preauthorization_amount, feeds)
select unnest(cast(:stores as text[])), 'A shop', 'acme', 'America/New_York', 'USD', 'NY', 'NONE', 75, '{FILES}'
"""

_ITEMS = """
insert into catalog_item (store_id, item_sku, record, content_hash, item_name, seen_in_run)
select store_id, sku, record, encode(sha256(convert_to(record::text, 'UTF8')), 'hex'), record ->> 'item_name', :run
from (
    select s.store_id, 'SKU-' || n as sku, jsonb_build_object(
        'item_sku', 'SKU-' || n, 'store_id', s.store_id, 'item_name', 'Product number ' || n,
        'external_product_id', lpad(n::text, 6, '1'), 'standard_price', '1.99', 'brand_name', 'Brand ' || n % 500,
        'product_category', 'GROCERY', 'product_tax_code', 'FOOD') as record
    from unnest(cast(:stores as text[])) as s(store_id), generate_series(1, :each) n
) made
"""

_ACCEPTED = """
insert into catalog_accepted (store_id, item_sku, content_hash, batch_id, accepted_at)
select store_id, item_sku, content_hash, :batch, :now from catalog_item
"""

_BARCODES = """
insert into catalog_barcode (store_id, barcode, item_sku, barcode_type)
select store_id, 'B' || item_sku, item_sku, null from catalog_item
"""

_STAGE = """
insert into staged_item (number, file, line, store_id, item_sku, record, content_hash, unit)
select number, 'benchmark', 1, store_id, item_sku,
    case when changed then record || '{"standard_price": "2.49"}' else record end,
    case when changed then encode(sha256(convert_to(content_hash, 'UTF8')), 'hex') else content_hash end, unit
from (
    select c.*, row_number() over () as number, substr(item_sku, 5)::int % 100 < :percent as changed
    from catalog_item c
) numbered
"""

_STAGE_BARCODES = """
insert into staged_barcode (number, store_id, item_sku, barcode, barcode_type)
select number, store_id, item_sku, 'B' || item_sku, null from staged_item
"""


def main(items: int = 1_000_000) -> None:
    """Measures and prints."""
    console = Console()
    with running() as parts, console.status("starting") as status:
        goals = measure(parts, items=items, say=status.update)
    reference = (
        "csv.reader over the same files; one full join of the same rows by SKU and hash in the same database;"
        " Amazon's limit of 10 a second"
    )
    sys.exit(show(console, "catalog", goals, reference))


if __name__ == "__main__":
    typer.run(main)
