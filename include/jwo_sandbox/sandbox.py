"""The sandbox put together: books, clock, services, and what happens when its clock moves on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import uuid
from datetime import date
from pathlib import Path
from typing import Any

from jwo_sandbox import exact_json, instants
from jwo_sandbox.arithmetic import Line, price_cart
from jwo_sandbox.books import Books
from jwo_sandbox.catalog_api import CatalogApi
from jwo_sandbox.conduct import LEFT
from jwo_sandbox.configuration import Configuration
from jwo_sandbox.events import EventLog
from jwo_sandbox.faults import FaultPlan, make_plan
from jwo_sandbox.minor_amounts import to_decimal, to_minor
from jwo_sandbox.outbox import KeptOutbox, Outbox
from jwo_sandbox.payments import IN_STORE, LIVE, Payments
from jwo_sandbox.reporting import Reporting
from jwo_sandbox.retailer_files import RetailerFiles, read
from jwo_sandbox.sandbox_clock import SandboxClock

WAITING, DENIED = "WAITING", "DENIED"
LOYALTY = "LOYALTY"
"""Type of a scan result that names a loyalty account."""
UNKNOWN_CART = "UNKNOWN-CART"
"""SKU in the order of a live trip whose cart only the retailer knows."""
BRANDS = ("VISA", "MASTERCARD", "AMEX", "DISCOVER")


class Sandbox:
    """One Amazon. After a restart it goes on with the world that it was playing."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.books = Books(configuration.state)
        self.clock = SandboxClock(self.books)
        outbox = KeptOutbox if configuration.keeps_outbox else Outbox
        self.outbox = outbox(configuration.aws_endpoint_url, configuration.region)
        self.files = RetailerFiles()
        self._assemble(FaultPlan())
        world = self.books.setting("world")
        if world:
            self.files = read(Path(world["folder"]))
            self._play_by(world["seed"], world["faults"])

    def load(self, folder: Path, seed: int, asked_faults: Any) -> dict[str, Any]:
        """Start a world anew. Raises OSError or ValueError, and then nothing has changed.

        Its world.json tells the `date` with which it begins, and of a store that opens later the day, in `opens`.
        """
        files = read(folder)
        world = json.loads((folder / "world.json").read_text())
        with (folder / "trips.jsonl").open(encoding="utf-8") as lines:
            scripts = [json.loads(line) for line in lines]
        make_plan(asked_faults, seed)
        starts = _first_moments(world, files)
        with self.books:
            self.books.clear()
            self.books.insert("trip", [self._trip_row(script, files) for script in scripts])
            kept = {"folder": str(folder.resolve()), "seed": seed, "faults": asked_faults}
            self.books.insert("setting", [{"name": "world", "value": exact_json.dumps(kept)}])
        self.files = files
        self._play_by(seed, asked_faults)
        self.reporting.start(starts)
        self.clock.start_at(min(starts.values()))
        return {"trips": len(scripts), "stores": sorted(files.stores), "clock": instants.text(self.clock.now())}

    def move_to(self, moment: int, *, running: bool = False) -> None:
        """Move the clock on: what is due happens in its order, and each window that closes gets its files."""
        self._pass_time(moment)
        self.clock.set(moment, running=running)
        self.catalog.tick()
        self.outbox.send_events(self.events.take())

    def catch_up(self) -> None:
        """Let happen what a running clock has reached."""
        self._pass_time(self.clock.now())
        self.catalog.tick()
        self.outbox.send_events(self.events.take())

    def _pass_time(self, moment: int) -> None:
        while (window_end := self.reporting.next_window()) is not None and window_end <= moment:
            self.payments.mature(window_end)
            self.reporting.close_windows(window_end)
        self.payments.mature(moment)

    def open_trip(self, trip_id: str, at: int, *, amount: int | None = None, **changes: Any) -> None:
        """The gate has opened: the shopper is in the store, and the pre-authorization is held.

        `amount`: whole minor units; None: the store's own.
        """
        trip = self.books.trip(trip_id)
        if trip is None:
            raise KeyError(trip_id)
        if amount is None:
            amount = to_minor(self.files.stores[trip["store_id"]].preauthorization_amount, trip["currency"])
        self.books.update_trip(
            trip_id, stage=IN_STORE, held=amount, authorized=amount, updated_at=at + instants.SECOND, **changes
        )

    def close_cart(self, trip_id: str, cart: list[dict[str, Any]], at: int) -> None:
        """The shopper has left: price the cart, write the order, tell the event feed. A second time changes nothing."""
        trip = self.books.trip(trip_id)
        if trip is None or trip["stage"] == LEFT:
            return
        lines = price_cart(
            self.files,
            trip["store_id"],
            trip_id,
            trip["ended_at"],
            cart,
            loyalty_ids=_scanned_accounts(trip),
            shopper_id=trip["shopper_id"] if trip["entry_method"] == "APP" else None,
        )
        with self.books:
            self.books.insert("line", [_line_row(trip_id, line) for line in lines])
            self.books.insert("line_promotion", [row for line in lines for row in _promotion_rows(trip_id, line)])
            self.books.update_trip(
                trip_id,
                stage=LEFT,
                priceable=int(all(line.list_price is not None for line in lines)),
                list_total=sum(line.list_amount for line in lines),
                promotion_total=sum(line.promotion_amount for line in lines),
                tax_total=sum(line.tax_amount for line in lines),
                total=sum(line.total for line in lines),
                updated_at=max(at, trip["updated_at"]) + instants.SECOND,
            )
            rows = self.books.all("select * from line where shopping_trip_id = ? order by line_number", (trip_id,))
            self.events.cart(trip, rows, at)

    def close_live_cart(self, trip: sqlite3.Row, charged: int) -> None:
        """A live trip's cart: the SKUs that were asked for; without any, one line of what the retailer charges."""
        cart = json.loads(trip["script"])["cart"]
        self.close_cart(trip["shopping_trip_id"], cart, self.clock.now())
        if not cart:
            amount = to_decimal(charged, trip["currency"])
            line = Line(1, UNKNOWN_CART, UNKNOWN_CART, "1.0", "unit", amount, list_amount=charged)
            self.books.insert("line", [_line_row(trip["shopping_trip_id"], line)])
            self.books.update_trip(trip["shopping_trip_id"], priceable=0, total=charged, list_total=charged)

    def live_trips(self, store_id: str, skus: list[str], count: int = 1) -> list[str]:
        """Trips with a held pre-authorization whose carts are not final. Raises KeyError for an unknown store."""
        with self.books:
            return [self._live_trip(store_id, skus) for _ in range(count)]

    def _live_trip(self, store_id: str, skus: list[str]) -> str:
        store = self.files.stores[store_id]
        now, trip_id = self.clock.now(), str(uuid.uuid4())
        script = {
            "shopping_trip_id": trip_id,
            "store_id": store_id,
            "kind": LIVE,
            "business_date": instants.business_date(now, store.time_zone).isoformat(),
            "started_at": instants.text(now),
            "ended_at": instants.text(now + 5 * instants.MINUTE),
            "entries": [{"method": "FINANCIAL"}],
            "cart": [{"id": sku, "type": "SKU", "quantity": "1.0", "unit": "unit"} for sku in skus],
        }
        self.books.insert("trip", [self._trip_row(script, self.files)])
        self.open_trip(trip_id, now)
        return trip_id

    def close(self) -> None:
        """Finish what is under way and close the books."""
        self.outbox.send_events(self.events.take())
        self.outbox.close()
        self.books.close()

    def _play_by(self, seed: int, asked_faults: Any) -> None:
        rows = self.books.all("select shopping_trip_id, script from trip where kind <> 'LIVE'")
        carts = {row["shopping_trip_id"]: bool(json.loads(row["script"])["cart"]) for row in rows}
        self._assemble(make_plan(asked_faults, seed, carts))

    def _assemble(self, plan: FaultPlan) -> None:
        stores = self.files.stores
        self.plan = plan
        self.events = EventLog(self.books, stores, plan)
        self.payments = Payments(self.books, self.clock, self.events, stores, plan, self.close_live_cart)
        self.reporting = Reporting(self.books, self.outbox, stores, plan)
        self.catalog = CatalogApi(
            self.books,
            self.clock,
            self.outbox,
            stores,
            plan,
            url=self.configuration.public_url,
            region=self.configuration.region,
        )

    @staticmethod
    def _trip_row(script: dict[str, Any], files: RetailerFiles) -> dict[str, Any]:
        trip_id = script["shopping_trip_id"]
        digest = hashlib.sha256(trip_id.encode()).hexdigest()
        number = int(digest[:12], 16)
        by_card = script["entries"][0]["method"] == "FINANCIAL"
        brand, last_four = BRANDS[number % len(BRANDS)], f"{number // 7 % 10_000:04d}"
        return {
            "shopping_trip_id": trip_id,
            "store_id": script["store_id"],
            "kind": script["kind"],
            "stage": WAITING,
            "entry_method": "CREDIT_CARD" if by_card else "APP",
            "started_at": instants.parse(script["started_at"]),
            "ended_at": instants.parse(script["ended_at"]),
            "business_date": script["business_date"],
            "script": json.dumps(script),
            "order_id": f"D01-{number % 10**7:07d}-{number // 10**7 % 10**7:07d}",
            "currency": files.stores[script["store_id"]].currency,
            "card_brand": brand,
            "card_last_four": last_four,
            "identity_id": "amzn1.card." + hashlib.sha256(f"{brand} {last_four}".encode()).hexdigest()[:20],
            "reconciliation_id": digest[12:28],
        }


def _first_moments(world: dict[str, Any], files: RetailerFiles) -> dict[str, int]:
    """When the first day of each store begins. Raises ValueError for what is no date, and for a store unknown."""
    opens = world.get("opens", {})
    if unknown := sorted(set(opens) - set(files.stores)):
        raise ValueError(f"world.json: opens {unknown}, which are no stores of stores.json")
    return {
        store.store_id: instants.day_start(
            date.fromisoformat(opens.get(store.store_id, world["date"])), store.time_zone
        )
        for store in files.stores.values()
    }


def _scanned_accounts(trip: sqlite3.Row) -> list[str]:
    """Loyalty accounts that were scanned during the trip."""
    results = [event.get("scanResult") or {} for event in json.loads(trip["script"]).get("auth_events", [])]
    return [result["id"] for result in results if result.get("type") == LOYALTY]


def _promotion_rows(trip_id: str, line: Line) -> list[dict[str, Any]]:
    return [
        {
            "shopping_trip_id": trip_id,
            "line_number": line.line_number,
            "place": place,
            "promotion_id": promotion_id,
            "amount": amount,
        }
        for place, (promotion_id, amount) in enumerate(line.promotions)
    ]


def _line_row(trip_id: str, line: Line) -> dict[str, Any]:
    return {
        "shopping_trip_id": trip_id,
        "line_number": line.line_number,
        "item_id": line.item_id,
        "item_sku": line.item_sku,
        "quantity": line.quantity,
        "unit": line.unit,
        "list_price": None if line.list_price is None else format(line.list_price, "f"),
        "list_amount": line.list_amount,
        "promotion_amount": line.promotion_amount,
        "tax_amount": line.tax_amount,
        "total": line.total,
    }
