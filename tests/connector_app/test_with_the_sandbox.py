"""A day of real baskets, played by the sandbox over HTTP: our prices are those that it reckons apart from us."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.catalog.source import Source
from backroom.catalog.sync import start_run
from backroom.purchases import price_views
from backroom.purchases.price_sync import sync_files
from backroom.settings import settings
from backroom.shoppers.loyalty_index import account_index
from backroom.shoppers.sealing import seal_of
from backroom_stack.store_world import load_retailer_side
from tests.connector_app.conftest import wait_until_ready
from tests.sandbox_fixtures import SMALL_WORLD_DATE, SandboxClient

OPENING = datetime(2026, 11, 23, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def played(database: Engine, sandbox: SandboxClient, small_world: Path, tmp_path_factory: Any) -> Iterator[list[Any]]:
    """The sandbox's books of both stores after the day."""
    load_retailer_side(database, seal_of(settings()), small_world, source_at=OPENING)
    day = date.fromisoformat(SMALL_WORLD_DATE)
    start_run(database, source=Source(str(small_world / "catalog")), business_date=day, now=OPENING)
    log = tmp_path_factory.mktemp("connector") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "connector_app.amazon"], stdout=output, stderr=output, env=os.environ.copy()
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{sandbox.connector_port}", process, log.read_text)
        sandbox.post("/sandbox/load", {"world": str(small_world), "seed": 7, "faults": "demo"})
        summary = sandbox.post("/sandbox/advance", {"until": "2026-11-24T12:00:00Z"})
        assert summary, log.read_text()
        yield [
            trip
            for store in ("STORE-001", "STORE-002")
            for trip in sandbox.get("/sandbox/books", store=store, date=SMALL_WORLD_DATE)["trips"]
        ]
    finally:
        process.terminate()
        process.wait(20)


def test_every_trip_was_taken(played: list[Any]) -> None:
    assert len(played) >= 50
    assert {status for trip in played for status in trip["purchase_answers"]} == {201}


def test_lines_and_totals_equal_the_sandboxs_to_the_cent(played: list[Any], database: Engine) -> None:
    compared = 0
    with database.connect() as connection:
        for trip in played:
            ours = (
                connection.execute(
                    text("select * from purchase where shopping_trip_id = :trip"), {"trip": trip["shopping_trip_id"]}
                )
                .mappings()
                .one()
            )
            assert str(ours["business_date"]) == trip["business_date"]
            if not trip["priceable"]:
                assert ours["state"] == "BAD_CART", trip["shopping_trip_id"]
                continue
            for name in ("list_total", "promotion_total", "tax_total", "total"):
                assert ours[name] == Decimal(trip[name]), (trip["shopping_trip_id"], name)
            lines = connection.execute(
                text("select * from purchase_line where shopping_trip_id = :trip order by line_number"),
                {"trip": trip["shopping_trip_id"]},
            ).mappings()
            for line, theirs in zip(lines, trip["lines"], strict=True):
                assert (line["line_number"], line["item_sku"]) == (theirs["line_number"], theirs["item_sku"])
                for name in ("list_price", "list_amount", "promotion_amount", "tax_amount", "total"):
                    assert line[name] == Decimal(theirs[name]), (trip["shopping_trip_id"], line["line_number"], name)
                compared += 1
    assert compared > 200


def test_entry_methods_are_the_sandboxs(played: list[Any], database: Engine) -> None:
    with database.connect() as connection:
        ours = {
            row[0]: row[1] for row in connection.execute(text("select shopping_trip_id, entry_method from purchase"))
        }
    assert {trip["shopping_trip_id"]: trip["entry_method"] for trip in played}.items() <= ours.items()
    assert set(ours.values()) == {"APP", "CREDIT_CARD"}


def test_nobody_comes_in_whom_the_gate_should_refuse(played: list[Any], database: Engine) -> None:
    with database.connect() as connection:
        reasons = {
            row[0]: row[1] for row in connection.execute(text("select reason, count(*) from gate_decision group by 1"))
        }
    assert reasons["ADMITTED"] > 0


def test_cards_at_a_store_of_ours_to_decide_were_decided_by_us(played: list[Any], database: Engine) -> None:
    asked = {trip["shopping_trip_id"]: trip["shopper_authorizations"] for trip in played}
    by_us = {trip_id: cards for trip_id, cards in asked.items() if cards}
    assert by_us
    assert {(card["decided_by"], card["admitted"]) for cards in by_us.values() for card in cards} == {
        ("RETAILER", True)
    }
    with database.connect() as connection:
        kept = connection.execute(text("select shopping_trip_id, store_id from shopper_authorization")).all()
    assert {row[0] for row in kept} == by_us.keys()
    assert {row[1] for row in kept} == {"STORE-001"}


def test_loyalty_cards_were_recognised_and_came_back_with_the_cart(played: list[Any], database: Engine) -> None:
    scans = {trip["shopping_trip_id"]: one for trip in played for one in trip["loyalty_scans"]}
    assert sorted(one["action"] for one in scans.values()) == ["ACCEPT", "ACCEPT", "ACCEPT", "REJECT"]
    with database.connect() as connection:
        for trip_id, scan in scans.items():
            came_back = connection.execute(
                text(
                    "select array(select jsonb_path_query(cast(raw_body as jsonb),"
                    " '$.shoppingTrip.authEvents[*].scanResult ? (@.type == \"LOYALTY\").id') #>> '{}')"
                    " from purchase where shopping_trip_id = :trip"
                ),
                {"trip": trip_id},
            ).scalar_one()
            named = scan["loyalty_id"]
            assert came_back == ([account_index(seal_of(settings()), named)] if named else [])


def test_the_demos_files_are_known_as_the_source_of_its_prices(
    played: list[Any], database: Engine, small_world: Path
) -> None:
    with database.connect() as connection:
        sources = [(row["source"], row["rows"] > 0, row["loaded_at"]) for row in price_views.sources(connection)]
    files = ["prices.csv", "promotions.csv", "taxes.csv"]
    assert sources == [(name, True, OPENING) for name in files]
    looked = sync_files(database, str(small_world), now=OPENING, drop_percent=20)
    assert {result.source: result.state for result in looked} == dict.fromkeys(files, "UNCHANGED")
