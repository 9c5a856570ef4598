"""Real processors over HTTP (localstripe, the sandbox's own), and a store that charges by one of them."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe
from sqlalchemy import Engine, text

from backroom.charges.lifecycle import Worked, gather_evidence, work_due
from backroom.charges.opening import open_charge
from backroom.db.embedded import free_port
from backroom.db.serving import serving_engine
from backroom.entry.decision import GateRules
from backroom.entry.gate import Gate, GateEvent
from backroom.ledger.book import post_new
from backroom.ledger.verification import verify
from backroom.processors import instruments, preauthorizing
from backroom.processors.calls import Calls
from backroom.processors.charge_adapter import ProcessorPayments
from backroom.processors.evidence import look_up_captures
from backroom.processors.port import Instrument, Processor
from backroom.processors.sandbox_adapter import SandboxProcessor
from backroom.processors.stripe_adapter import StripeProcessor
from backroom.settings import settings
from backroom.shoppers.registry import register
from backroom_stack.stripe_stand_in import HEALTH
from tests.charges.conftest import add_store
from tests.sandbox_fixtures import wait_until_healthy

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
STRIPE_KEY = "sk_test_of_the_tests"
SANDBOX_KEY = "key-of-the-tests"
GOOD, DECLINED = "4242424242424242", "4000000000000341"
PATIENCE = 0.6
_numbers = itertools.count(1)
_http = httpx.Client(timeout=10)


@pytest.fixture(scope="session")
def stripe_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A localstripe of this worker's own."""
    port = free_port()
    command = [sys.executable, "-m", "backroom_stack.stripe_stand_in", "--port", str(port)]
    with (tmp_path_factory.mktemp("stripe") / "stripe.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(f"{url}{HEALTH}", process)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def processor_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox of this worker's own: only its card processor is used."""
    port, folder = free_port(), tmp_path_factory.mktemp("processor")
    with (folder / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jwo_sandbox", "serve"],
            stdout=log,
            stderr=log,
            env=os.environ
            | {
                "BACKROOM_SANDBOX_PORT": str(port),
                "BACKROOM_SANDBOX_AUTH": "off",
                "BACKROOM_SANDBOX_PROCESSOR_KEY": SANDBOX_KEY,
                "JWO_SANDBOX_STATE": str(folder / "state"),
                "JWO_SANDBOX_HANG_SECONDS": str(2 * PATIENCE),
            },
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_healthy(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            if _http.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, "the server ended"
        time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


@pytest.fixture(scope="module")
def _configured(
    database: Engine, stripe_url: str, processor_url: str, module_patch: pytest.MonkeyPatch
) -> Iterator[None]:
    for name, value in {
        "BACKROOM_STRIPE_URL": stripe_url,
        "BACKROOM_STRIPE_SECRET_KEY": STRIPE_KEY,
        "BACKROOM_SANDBOX_PROCESSOR_URL": processor_url,
        "BACKROOM_SANDBOX_PROCESSOR_KEY": SANDBOX_KEY,
        "BACKROOM_PROCESSOR_TIMEOUT_SECONDS": str(PATIENCE),
    }.items():
        module_patch.setenv(name, value)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def processors(_configured: None) -> Iterator[dict[str, Processor]]:
    """Clients that the tests of a module share."""
    made: dict[str, Processor] = {"STRIPE": StripeProcessor(settings()), "SANDBOX": SandboxProcessor(settings())}
    yield made
    for one in made.values():
        one.close()


@pytest.fixture(scope="module")
def stripe_client(stripe_url: str, _configured: None) -> stripe.StripeClient:
    """Stripe as the shopper's app would use it: makes customers and payment methods."""
    return stripe.StripeClient(STRIPE_KEY, base_addresses={"api": stripe_url})


@dataclass
class Shop:
    """A store of its own, its processor, its shoppers."""

    engine: Engine
    store_id: str
    processor: Processor
    url: str
    stripe: stripe.StripeClient | None = None

    def card(self, number: str = GOOD, *, shopper: str | None = None, brand: str = "VISA") -> Instrument:
        """A shopper (a new one, where none is named) with an instrument at the processor."""
        who = shopper or f"shopper-{next(_numbers)}"
        customer, method = self._tokens(number)
        with self.engine.begin() as connection:
            register(connection, who, "SHOPPER", keys=[f"key of {who}"])
            instruments.add(
                connection, shopper_id=who, processor=self.processor.name, customer_token=customer,
                method_token=method, brand=brand, last_four=number[-4:], actor="a test", reason="a test", now=NOON,
            )  # fmt: skip
            found = instruments.of_shopper(connection, who, self.processor.name)
        assert found is not None
        return found

    def _tokens(self, number: str) -> tuple[str, str]:
        if self.stripe is None:
            kind = "pm_declined" if number == DECLINED else "pm_good"
            return f"cus_{next(_numbers)}", f"{kind}_{next(_numbers)}"
        customer = self.stripe.v1.customers.create({"email": "a@example.com"})
        asked: Any = {"type": "card", "card": {"number": number, "exp_month": 12, "exp_year": 2035, "cvc": "123"}}
        method = self.stripe.v1.payment_methods.create(asked)
        self.stripe.v1.payment_methods.attach(method.id, {"customer": customer.id})
        return customer.id, method.id

    def shopper_of(self, card: Instrument) -> str:
        row = self.one("select shopper_id from payment_instrument where instrument_id = :i", i=card.instrument_id)
        return str(row["shopper_id"])

    def enter(self, shopper: str, *, at: datetime = NOON) -> str:
        """The shopper shows their key at the gate and is let in; the gate event's id."""
        rules = GateRules(prefix="IMAG", freshness=timedelta(seconds=60))
        event = GateEvent(str(uuid.uuid4()), self.store_id, f"key of {shopper}".encode(), str(uuid.uuid4()), at)
        serving = serving_engine(self.engine.url, connections=2, timeout_seconds=5, application="gate")
        answer = Gate(serving, rules).verify(event, {"requestId": event.request_id}, now=at)
        serving.dispose()
        assert answer.status == 200, answer
        return event.auth_event_id

    def leave(self, shopper: str, event: str | None, total: str, *, at: datetime = NOON) -> str:
        """The shopper's priced cart, with its charge due."""
        trip, amount = f"trip-{next(_numbers)}", Decimal(total)
        events = [{"id": event, "payloadType": "SCAN_CODE"}] if event else []
        body = json.dumps({"shoppingTrip": {"authEvents": events}})
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "insert into purchase (purchase_id, shopping_trip_id, request_id, store_id, business_date,"
                    " entry_method, shopper_id, shopper_type, trip_started_at, trip_ended_at, state, currency,"
                    " list_total, promotion_total, tax_total, total, body_hash, raw_body, response_body, received_at)"
                    " values (cast(:trip as text), cast(:trip as text), cast(:trip as text), :store, :day, 'APP',"
                    " :shopper, 'SHOPPER', :at, :at, :state, 'USD', :total, 0, 0, :total, 'h', cast(:body as jsonb),"
                    " '', :at)"
                ),
                {
                    "trip": trip, "store": self.store_id, "day": at.date(), "shopper": shopper, "at": at,
                    "state": "PRICED" if amount else "EMPTY", "total": amount, "body": body,
                },
            )  # fmt: skip
            if amount:
                connection.execute(
                    text(
                        "insert into purchase_line (shopping_trip_id, line_number, item_id, item_type, item_sku,"
                        " quantity, unit, list_price, list_amount, promotion_amount, tax_amount, total)"
                        " values (:trip, 1, 'A', 'SKU', 'A', 1, 'unit', :total, :total, 0, 0, :total)"
                    ),
                    {"trip": trip, "total": amount},
                )
            open_charge(
                connection, shopping_trip_id=trip, store_id=self.store_id, currency="USD", total=amount,
                trip_started_at=at, now=at, reason="a cart",
            )  # fmt: skip
        return trip

    def work_holds(self, at: datetime = NOON) -> dict[str, int]:
        with self.engine.begin() as connection:
            preauthorizing.apply_decisions(connection, now=at)
        return preauthorizing.work_due(self.engine, self.processor, now=at)

    def work(self, at: datetime = NOON, processor: Processor | None = None) -> Worked:
        """Charges of the store, through its processor."""
        client = ProcessorPayments(self.engine, processor or self.processor, now=at)
        return work_due(self.engine, client, store_id=self.store_id, now=at, concurrency=2)

    def look_up(self, at: datetime) -> int:
        return look_up_captures(self.engine, self.processor, now=at)

    def gather(self, at: datetime) -> None:
        with self.engine.begin() as connection:
            gather_evidence(connection, now=at)

    def calls(self, at: datetime = NOON, processor: Processor | None = None) -> Calls:
        return Calls(self.engine, processor or self.processor, now=at)

    def hold(self, event: str) -> dict[str, Any]:
        return self.one("select * from preauthorization where auth_event_id = :event", event=event)

    def charge(self, trip: str) -> dict[str, Any]:
        return self.one("select * from charge where shopping_trip_id = :trip", trip=trip)

    def unheard(self, trip: str) -> list[str]:
        """Calls that tell of a capture and that no charge has heard."""
        return [
            row["operation"]
            for row in self.rows(
                "select operation from processor_call where subject = :trip and to_hear"
                " and answer ->> 'state' = 'CAPTURED'",
                trip=trip,
            )
        ]

    def operations(self, *subjects: str) -> list[tuple[str, str | None]]:
        rows = self.rows(
            "select operation, outcome from processor_call where subject = any(:s) order by call_id", s=list(subjects)
        )
        return [(row["operation"], row["outcome"]) for row in rows]

    def post(self, at: datetime) -> None:
        with self.engine.begin() as connection:
            post_new(connection, now=at)
            assert verify(connection) == []

    def faults(self, **subjects: dict[str, list[str]]) -> None:
        """Faults of the sandbox's processor, by subject."""
        self.control("faults", {"subjects": subjects})

    def control(self, what: str, body: dict[str, Any]) -> None:
        answer = _http.post(f"{self.url}/sandbox/processor/{what}", json=body)
        assert answer.status_code == 200, answer.text

    def books(self) -> dict[str, Any]:
        """What the sandbox's processor holds, took and gave back."""
        told: dict[str, Any] = _http.get(f"{self.url}/sandbox/processor/books").json()
        return told

    def payments(self) -> list[tuple[str, Decimal, Decimal]]:
        """State, held and captured of each payment that the processor knows of this store's calls, the oldest first."""
        rows = self.rows(
            "select answer ->> 'processor_reference' as name, min(call_id) as first from processor_call k"
            " where answer ? 'held' and (subject in (select auth_event_id from preauthorization where store_id = :s)"
            " or subject in (select shopping_trip_id from purchase where store_id = :s)) group by 1 order by first",
            s=self.store_id,
        )
        found = []
        for row in rows:
            payment = self.processor.look_at(row["name"]).payment
            assert payment is not None
            found.append((payment.state.value, payment.held, payment.captured))
        return found

    def one(self, query: str, **values: Any) -> dict[str, Any]:
        return self.rows(query, **values)[0]

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]


def open_shop(engine: Engine, processor: Processor, url: str, client: stripe.StripeClient | None = None) -> Shop:
    store_id = f"OWN-{processor.name}-{next(_numbers)}"
    add_store(engine, store_id)
    with engine.begin() as connection:
        connection.execute(
            text("update store set payment_processor = :name, preauthorization_amount = 20 where store_id = :store"),
            {"name": processor.name, "store": store_id},
        )
    return Shop(engine, store_id, processor, url, client)


@pytest.fixture
def sandbox_shop(database: Engine, processor_url: str, processors: dict[str, Processor]) -> Shop:
    shop = open_shop(database, processors["SANDBOX"], processor_url)
    shop.control("reset", {})
    return shop


@pytest.fixture
def stripe_shop(
    database: Engine, stripe_url: str, stripe_client: stripe.StripeClient, processors: dict[str, Processor]
) -> Shop:
    return open_shop(database, processors["STRIPE"], stripe_url, stripe_client)


@pytest.fixture(params=["SANDBOX", "STRIPE"])
def shop(request: pytest.FixtureRequest) -> Shop:
    """The same on both processors."""
    found: Shop = request.getfixturevalue("sandbox_shop" if request.param == "SANDBOX" else "stripe_shop")
    return found


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def log_of(path: Path) -> str:
    return path.read_text(errors="replace")
