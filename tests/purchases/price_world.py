"""Builders for the tests of the price sources: files, a point of sale that answers as it is told, the book."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

HEADERS = {
    "prices.csv": "store_id,item_sku,price,currency,valid_from,valid_to\n",
    "promotions.csv": (
        "promotion_id,store_id,kind,item_sku,shopping_trip_id,percentage,valid_from,valid_to,description\n"
    ),
    "taxes.csv": "store_id,product_tax_code,jurisdiction,rate,valid_from,valid_to\n",
}


def instant(clock: str, day: int = 2) -> datetime:
    """A time of 2026-03-02 (or another day of that March) in UTC: `09:30`."""
    hour, minute = clock.split(":")
    return datetime(2026, 3, day, int(hour), int(minute), tzinfo=UTC)


def iso(moment: datetime) -> str:
    """As files and the point of sale write it."""
    return moment.isoformat().replace("+00:00", "Z")


def write(folder: Path, name: str, *lines: str) -> Path:
    """A price file of data lines under its header."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(HEADERS[name] + "".join(f"{line}\n" for line in lines))
    return file


def add_store(engine: Engine, store_id: str, *, point_of_sale_url: str | None = None, currency: str = "USD") -> None:
    """A store that prices by the book, or by the point of sale at that URL."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds, pricing_provider, point_of_sale_url)"
                " values (:id, 'a store', 'm', 'America/New_York', :currency, 'X', 'RETAILER_MANAGED', 75, '{FILES}',"
                " :provider, :url)"
            ),
            {
                "id": store_id,
                "currency": currency,
                "provider": "POINT_OF_SALE" if point_of_sale_url else "PRICE_BOOK",
                "url": point_of_sale_url,
            },
        )


def timeline(engine: Engine, store_id: str, sku: str) -> list[tuple[str, str, str]]:
    """(from, to, amount) of each period, times as HH:MM of their day (`..` where open or of another day)."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select valid_from, valid_to, amount from shelf_price where store_id = :store and item_sku = :sku"
                " order by valid_from"
            ),
            {"store": store_id, "sku": sku},
        ).all()
    return [(_clock(row.valid_from), _clock(row.valid_to), f"{row.amount.normalize():f}") for row in rows]


def price_at(engine: Engine, store_id: str, sku: str, at: datetime) -> Decimal | None:
    """The price in force then."""
    return prices_at(engine, store_id, sku, [at])[at]


def prices_at(engine: Engine, store_id: str, sku: str, moments: list[datetime]) -> dict[datetime, Decimal | None]:
    """The price in force at each of these moments."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select moment, amount from unnest(cast(:moments as timestamptz[])) as moment"
                " left join shelf_price on store_id = :store and item_sku = :sku and valid_from <= moment"
                " and (valid_to is null or valid_to > moment)"
            ),
            {"store": store_id, "sku": sku, "moments": moments},
        ).all()
    return {row.moment: row.amount for row in rows}


def overlaps(engine: Engine) -> int:
    """How many pairs of one product's periods hold the same instant: none may."""
    with engine.connect() as connection:
        found: int = connection.scalar(
            text(
                "select count(*) from shelf_price a join shelf_price b using (store_id, item_sku)"
                " where a.valid_from < b.valid_from and (a.valid_to is null or a.valid_to > b.valid_from)"
            )
        )
    return found


def alerts(engine: Engine) -> list[str]:
    """The titles of all alerts, in order."""
    with engine.connect() as connection:
        return list(connection.scalars(text("select title from alert order by alert_id")))


def open_questions(engine: Engine) -> list[Any]:
    """The open cases about prices."""
    with engine.connect() as connection:
        return list(
            connection.execute(
                text("select case_id, question from review_case where kind = 'PRICE_DROP' and decision is null")
            ).all()
        )


class PointOfSale:
    """A point of sale over real HTTP: `answer` decides what each request gets."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answer: Callable[[BaseHTTPRequestHandler, dict[str, Any]], None] = lambda handler, _: reply(handler, 500)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._serve(b"")

            def do_POST(self) -> None:
                self._serve(self.rfile.read(int(self.headers["Content-Length"])))

            def _serve(self, body: bytes) -> None:
                request = {
                    "path": self.path,
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                    "body": json.loads(body) if body else None,
                }
                outer.requests.append(request)
                outer.answer(self, request)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """No connection is accepted any more."""
        self._server.shutdown()
        self._server.server_close()

    def has_prices(self, *lines: dict[str, Any]) -> None:
        """`GET /prices` answers these lines as NDJSON."""
        body = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        self.answer = lambda handler, _: reply(handler, 200, body)


@contextmanager
def point_of_sale() -> Iterator[PointOfSale]:
    """A running point of sale."""
    running = PointOfSale()
    try:
        yield running
    finally:
        running.close()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"{}") -> None:
    """Answers with that status and body."""
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _clock(moment: datetime | None) -> str:
    return ".." if moment is None or moment.date() != instant("00:00").date() else f"{moment:%H:%M}"
