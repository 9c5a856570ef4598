"""A whole day of the sandbox's files and events, as Amazon announces them, comes in whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from backroom.feeds import events
from backroom.feeds.aws import aws
from backroom.feeds.completeness import newly_complete_days
from backroom.feeds.intraday import collect, ingest_all, waiting
from backroom.stores.registry import load_stores
from tests.feeds.test_intraday import ask
from tests.sandbox_fixtures import SandboxClient

END = datetime(2026, 11, 24, 12, tzinfo=UTC)
FAULTS = {
    "rates": {
        "file": {"ANNOUNCED_TWICE": 0.1, "REWRITTEN": 0.2, "BROKEN_ROW": 0.2},
        "event": {"DELIVERED_TWICE": 0.2},
    }
}


class _YesToAll(BaseHTTPRequestHandler):
    """A connector that lets everyone in and takes every cart: here the feeds alone are looked at."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        trip = body.get("idempotentShoppingTripId")
        answer = {"purchaseId": trip} if trip else {"visitorDetails": {"id": "shopper-1", "type": "SHOPPER"}}
        content = json.dumps(answer).encode()
        self.send_response(201 if trip else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def connector(sandbox: SandboxClient) -> Iterator[None]:
    """Where the sandbox looks for one."""
    server = ThreadingHTTPServer(("127.0.0.1", sandbox.connector_port), _YesToAll)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


def test_a_day_with_faults_comes_in_whole(
    database: Engine, sandbox: SandboxClient, connector: None, small_world: Path
) -> None:
    with database.begin() as connection:
        load_stores(connection, small_world / "stores.json")
    sandbox.post("/sandbox/load", {"world": str(small_world), "seed": 3, "faults": FAULTS})
    sandbox.post("/sandbox/advance", {"until": END.isoformat()})
    collect(database, aws(), now=END)
    with database.connect() as connection:
        ids = waiting(connection)
    results = ingest_all(database, aws(), file_ids=ids, now=END)
    assert {result.state for result in results} <= {"INGESTED", "SAME_CONTENT"}
    assert ask(database, "select distinct column_name, reason from feed_quarantine") == [
        ("priceValue", "is not a number of at most four decimal places")
    ]
    trips = [trip for trip in sandbox.get("/sandbox/books")["trips"] if trip["lines"]]
    ours = {
        trip: (total, incomplete)
        for trip, total, incomplete in ask(
            database, "select shopping_trip_id, order_total, incomplete from amazon_order"
        )
    }
    assert ours == {
        trip["shopping_trip_id"]: (sum(Decimal(line["total"] or 0) for line in trip["lines"]), False) for trip in trips
    }
    with database.begin() as connection:
        days = newly_complete_days(connection, now=END)
        assert {store for store, _ in days} == {"STORE-001", "STORE-002"}
    counts = events.drain(database, aws(), now=END)
    assert counts.new > 0
    assert (counts.unknown, counts.malformed) == (0, 0)
    with database.connect() as connection:
        assert connection.execute(text("select count(*) from alert where severity = 'critical'")).scalar_one() == 0
