"""A month from its first trip to the morning on which finance looks at it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from backroom.catalog.source import Source
from backroom.catalog.sync import start_run
from backroom.feeds.aws import aws
from backroom.processors import instruments
from backroom.purchases.price_book import load_prices, load_promotions, load_taxes
from backroom.reconciliation import payout_files
from backroom.settings import settings
from backroom.shoppers.registry import load_shoppers
from backroom.stores.registry import load_stores
from tests.reconciliation.conftest import Books
from tests.reconciliation.played.player import Month, connector
from tests.reconciliation.played.world import OWN, MonthWorld, currency_of, make
from tests.sandbox_fixtures import SandboxClient

SETTINGS = {
    # a token that ends on its own day, so that what nobody resolves is charged in part while the day is played
    "BACKROOM_TOKEN_LIFE_HOURS": "12",
    "BACKROOM_SANDBOX_PROCESSOR_KEY": "the-month's-key",
}


@contextmanager
def played(
    engine: Engine, sandbox: SandboxClient, folder: Path, patch: pytest.MonkeyPatch, *, first: date, last: date,
    stores: tuple[str, ...], plain: int, opens: dict[str, date] | None = None,
) -> Iterator[Month]:  # fmt: skip
    """The month with every break in it, on the morning on which each of them is late, all its days reconciled."""
    for name, value in (SETTINGS | {"BACKROOM_SANDBOX_PROCESSOR_URL": sandbox.url}).items():
        patch.setenv(name, value)
    settings.cache_clear()
    world = make(folder, first=first, last=last, stores=stores, plain=plain, opens=opens)
    start = datetime.combine(first, time(), UTC)
    with engine.begin() as connection:
        load_stores(connection, folder / "stores.json")
        load_shoppers(connection, folder / "shoppers.json")
        load_prices(connection, folder / "prices.csv")
        load_promotions(connection, folder / "promotions.csv")
        load_taxes(connection, folder / "taxes.csv")
    start_run(engine, source=Source(str(folder / "catalog")), business_date=first, now=start)
    _give_instruments(engine, world, start)
    sandbox.post("/sandbox/load", {"world": str(folder), "seed": 1, "faults": world.plan()})
    month = Month(world, engine, sandbox, aws(), now=start)
    with connector(month):
        month.play()
        _grow_late(month, folder)
        yield month


def _grow_late(month: Month, folder: Path) -> None:
    """The days after: what was begun is booked, the processor pays out, our own mistake is made, and all is judged."""
    month.now += timedelta(hours=12)
    month.work(reconciles=False)
    if OWN in month.world.stores:
        file = folder / "payouts.csv"
        file.write_text(month.sandbox.text("/sandbox/processor/payouts"))
        with month.engine.begin() as connection:
            payout_files.take_in(connection, file, processor="SANDBOX", now=month.now)
    for trip in month.world.with_fate("LEDGER"):
        post_wrongly(month, trip, "1.00")
        month.sandbox.post("/sandbox/truth", {"trip": trip, "kind": "LEDGER"})
    month.now += timedelta(days=8)  # payouts are late by now
    month.reconcile_all()


def post_wrongly(month: Month, trip: str, amount: str) -> None:
    """A posting that no purchase is behind; of the opposite amount it is mended."""
    of = next(one for one in month.world.trips if one["shopping_trip_id"] == trip)
    with month.engine.begin() as connection:
        store = of["store_id"]
        books, day = Books(connection, store, currency_of(store)), date.fromisoformat(of["business_date"])
        opposite = amount.removeprefix("-") if amount.startswith("-") else f"-{amount}"
        books.post(trip, day=day, sales=opposite, write_off=amount)


def write_truth(month: Month, path: Path) -> list[str]:
    """The sandbox's truth file; the kinds in it, in order."""
    path.write_text(month.sandbox.text("/sandbox/truth"))
    return sorted(json.loads(line)["kind"] for line in path.read_text().splitlines())


def _give_instruments(engine: Engine, world: MonthWorld, now: datetime) -> None:
    """Shoppers of the store that charges by itself have a card there."""
    shoppers = {trip["entries"][0]["key"].removeprefix("key-of-") for trip in world.trips if trip["store_id"] == OWN}
    with engine.begin() as connection:
        for number, shopper in enumerate(sorted(shoppers)):
            instruments.add(
                connection, shopper_id=shopper, processor="SANDBOX", customer_token=f"cus_{number}",
                method_token=f"pm_good_{number}", brand="VISA", last_four="4242", actor="a test", reason="a test",
                now=now,
            )  # fmt: skip
