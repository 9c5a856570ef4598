"""The demo's two stores: their files made from real baskets, loaded on both sides."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from sqlalchemy import Engine

from backroom.db.engine import make_engine
from backroom.purchases import price_sources
from backroom.purchases.price_book import load_prices, load_promotions, load_taxes
from backroom.purchases.price_files import where
from backroom.shoppers.loyalty import load_loyalty
from backroom.shoppers.registry import load_shoppers
from backroom.shoppers.sealing import Seal
from backroom.stores.registry import load_stores
from backroom_stack.part import PartFailed
from backroom_stack.supervisor import Supervisor

WESTMOST = ZoneInfo("America/Los_Angeles")
SEED = 7


def last_closed_day(now: datetime) -> date:
    """Yesterday, by the clock of the store that closes last."""
    return (now.astimezone(WESTMOST) - timedelta(hours=2)).date() - timedelta(days=1)


def make_world(folder: Path, day: date, trips: int) -> subprocess.Popen[str]:
    """Starts making the stores' files; `finish_world` waits for it."""
    command = [sys.executable, "-m", "jwo_sandbox", "world", "--out", str(folder), "--date", day.isoformat()]
    return subprocess.Popen(
        [*command, "--trips", str(trips), "--seed", str(SEED)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish_world(making: subprocess.Popen[str]) -> None:
    """Raises PartFailed with what it said."""
    said, _ = making.communicate(timeout=300)
    if making.returncode:
        raise PartFailed(f"the stores' files could not be made: {said.strip().splitlines()[-1]}")


def describe_world(folder: Path) -> list[str]:
    """What of the day is real, what is generated, and what was left out as dirt, a line each."""
    said = json.loads((folder / "world.json").read_text())
    made = said["generated"]
    dirt = ", ".join(f"{count} of {what}" for what, count in said["source"]["dropped_as_dirt"].items())
    return [
        f"real: {said['cart_lines']} lines of baskets of {said['source']['shops']} shops on "
        f"{len(said['source']['days'])} days, their products, prices and discounts",
        f"generated: {made['tax_rates']} tax rates, {made['promotions']['offers']} offers of the stores, "
        f"{made['weighed_products']} weighed products ({made['weighed_lines']} lines), {made['barcodes']} barcodes, "
        "payments and their faults",
        f"left out as dirt: {dirt}",
    ]


def load_retailer_side(engine: Engine, seal: Seal, world: Path, *, source_at: datetime | None = None) -> None:
    """Stores, shoppers, prices, promotions, who has been given them, and taxes into the back office, all or nothing.

    `source_at`: the folder is the retailer's source of prices, looked at then (UTC); None: it is none that is followed.
    """
    with engine.begin() as connection:
        load_stores(connection, world / "stores.json")
        load_shoppers(connection, world / "shoppers.json")
        rows = {
            "prices.csv": load_prices(connection, world / "prices.csv"),
            "promotions.csv": load_promotions(connection, world / "promotions.csv"),
            "taxes.csv": load_taxes(connection, world / "taxes.csv"),
        }
        if (world / "loyalty.json").exists():  # not in a world that an earlier version made
            load_loyalty(connection, seal, world / "loyalty.json")
        if source_at is not None:
            price_sources.files_loaded(connection, world, rows, now=source_at)


def load_amazon_side(sandbox_url: str, world: Path, faults: str) -> None:
    """The same stores and the day's trips into the sandbox; its books start empty."""
    answer = httpx.post(
        f"{sandbox_url}/sandbox/load", json={"world": str(world), "seed": SEED, "faults": faults}, timeout=60
    )
    if answer.is_error:
        raise PartFailed(f"the sandbox did not take the stores: {answer.text}")


def prepare_for_use(supervisor: Supervisor, console: Console) -> None:
    """After `make up`: the demo's stores, prices and catalog are there, on both sides, if their parts run.

    The sandbox keeps its books over a restart; its clock runs with the wall clock.
    """
    if not {"sandbox", "db"} <= set(supervisor.services):
        return
    from backroom_stack.live import run_clock, synchronise_catalog

    world = supervisor.config.home / "world"
    today = datetime.now(UTC).astimezone(WESTMOST).date()
    if not (world / "world.json").exists():
        with console.status("making the demo's stores from real baskets"):
            finish_world(make_world(world, today, 200))
    engine = make_engine(supervisor.environment.role_url("pipeline"))
    followed = where(supervisor.config) == str(world)
    load_retailer_side(
        engine, Seal(supervisor.environment.privacy_keys), world, source_at=datetime.now(UTC) if followed else None
    )
    engine.dispose()
    sandbox = f"http://127.0.0.1:{supervisor.config.sandbox_port}"
    if not httpx.get(f"{sandbox}/sandbox/progress", timeout=30).json()["trips_total"]:
        load_amazon_side(sandbox, world, "none")
    run_clock(sandbox, datetime.now(UTC))
    console.print("  the demo's stores, shoppers and prices are loaded")
    if "aws" in supervisor.services:
        synchronise_catalog(supervisor, console)
