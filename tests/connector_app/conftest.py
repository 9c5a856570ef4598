"""A small retailer, the connector over it, and calls as Amazon makes them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from backroom.db.embedded import free_port
from backroom.settings import Settings
from backroom.shoppers.registry import register, set_flag
from connector_app.amazon import create_app

NOW = datetime(2026, 3, 22, 17, 10, tzinfo=UTC)
KEY_ID, SECRET = "AKIDTEST", "a-secret-of-this-test"
TOKENS = {"ana": "a" * 21, "flagged": "b" * 21, "debtor": "c" * 21}


@pytest.fixture(scope="module")
def retailer(database: Engine) -> Engine:
    """Two stores (ours to decide, Amazon's to decide), five products, four shoppers."""
    with database.begin() as connection:
        for store_id, zone, strategy in (
            ("STORE-001", "America/New_York", "RETAILER_MANAGED"),
            ("STORE-002", "America/Los_Angeles", "AMAZON_MANAGED"),
        ):
            connection.execute(
                text(
                    "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction,"
                    " risk_strategy, preauthorization_amount, feeds) values (:id, 'a store', 'm', :zone, 'USD', 'X',"
                    " :strategy, 75, '{FILES}')"
                ),
                {"id": store_id, "zone": zone, "strategy": strategy},
            )
        connection.execute(
            text(
                "insert into catalog_run (business_date, source, state, started_at)"
                " values ('2026-03-22', 's', 'DONE', now())"
            )
        )
        for sku, unit, tax_code, price in (
            ("MILK", "unit", "FOOD", "2.49"),
            ("SOAP", "unit", "GOODS", "3.99"),
            ("HAM", "kg", "FOOD", "19.90"),
            ("UNPRICED", "unit", "FOOD", None),
        ):
            connection.execute(
                text(
                    "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, product_tax_code,"
                    " unit, seen_in_run) values ('STORE-001', :sku, '{}', 'h', 'an item', :tax_code, :unit, 1)"
                ),
                {"sku": sku, "unit": unit, "tax_code": tax_code},
            )
            if price:
                connection.execute(
                    text(
                        "insert into shelf_price (store_id, item_sku, valid_from, amount, currency)"
                        " values ('STORE-001', :sku, '2026-01-01Z', :price, 'USD')"
                    ),
                    {"sku": sku, "price": price},
                )
        connection.execute(text("insert into catalog_barcode values ('STORE-001', '4006381333931', 'SOAP', 'EAN')"))
        connection.execute(
            text("insert into tax_rate values ('STORE-001', 'GOODS', '2026-01-01Z', null, 'US-NY', 0.08875)")
        )
        connection.execute(
            text(
                "insert into promotion (promotion_id, store_id, kind, percentage, valid_from)"
                " values ('SPRING', 'STORE-001', 'LINE_PERCENTAGE', 0.25, '2026-03-01Z')"
            )
        )
        connection.execute(text("insert into promotion_item values ('STORE-001', 'SOAP', 'SPRING')"))
        for shopper_id, kind in (
            ("ana", "SHOPPER"), ("flagged", "SHOPPER"), ("debtor", "SHOPPER"), ("kim", "ASSOCIATE"),
        ):  # fmt: skip
            register(
                connection, shopper_id, kind, keys=[f"{shopper_id}_key"],
                tokens=[TOKENS[shopper_id]] if shopper_id in TOKENS else [],
            )  # fmt: skip
        set_flag(connection, "flagged", flagged=True, reason="fraud", actor="a test", now=NOW)
        connection.execute(
            text(
                "insert into debt (shopping_trip_id, store_id, shopper_id, cause, currency, amount, opened_at)"
                " values ('old-trip', 'STORE-002', 'debtor', 'CAPTURE_DECLINED', 'USD', 12, '2026-03-01Z')"
            )
        )
    return database


@dataclass
class Amazon:
    """Calls the connector in-process, signed or not."""

    client: FlaskClient

    def purchases(self, body: Any) -> TestResponse:
        return self.client.post("/v1/order/purchases", json=body)

    def gate(self, body: Any) -> TestResponse:
        return self.client.post("/v1/identity/identity-keys", json=body)


@pytest.fixture(scope="module")
def amazon(retailer: Engine) -> Amazon:
    """The connector with authentication off."""
    return Amazon(create_app(Settings(connector_auth="off"), lambda: NOW).test_client())


def new_uuid() -> str:
    return str(uuid.uuid4())


def gate_body(key: str | bytes = "ana_key", **changes: Any) -> dict[str, Any]:
    """A gate call at NOW."""
    raw = key.encode() if isinstance(key, str) else key
    return {
        "requestId": new_uuid(),
        "identityKey": base64.b64encode(raw).decode(),
        "storeId": "STORE-001",
        "authEvent": {"id": new_uuid(), "timestamp": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"), "location": "ENTRY"},
        "keyChannel": "OPTICAL",
        **changes,
    }


def scan_code(token: str = TOKENS["ana"], *, prefix: str = "IMAG", age: float = 5) -> str:
    """A code that was made `age` seconds before NOW."""
    return f"JWO{prefix}{int((NOW.timestamp() - age) * 1000):011x}{token}"


def line(
    item_id: str = "MILK", value: str = "1.0", unit: str = "unit", kind: str = "SKU", **more: Any
) -> dict[str, Any]:
    return {"id": item_id, "type": kind, "quantity": {"value": value, "unit": unit}, **more}


def cart_body(*lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A cart of a trip that ended at NOW, entered by card."""
    return {
        "requestId": new_uuid(),
        "idempotentShoppingTripId": f"trip-{new_uuid()}",
        "storeId": "STORE-001",
        "shoppingTrip": {
            "startTime": "2026-03-22T17:00:00Z",
            "endTime": "2026-03-22T17:09:39Z",
            "authEvents": [{"id": new_uuid(), "payloadType": "FINANCIAL"}],
        },
        "cartItems": list(lines),
        **changes,
    }


MISSING = object()


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one field set (or, for MISSING, taken away): `cartItems.0.quantity.value`."""
    copy = deepcopy(body)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target: Any = copy
    for part in parents:
        target = target[part]
    if value is MISSING:
        del target[last]
    else:
        target[last] = value
    return copy


def signed_headers(
    method: str, url: str, body: bytes, *, key_id: str = KEY_ID, secret: str = SECRET, service: str = "execute-api",
    region: str = "us-east-1", token: str | None = None, headers: dict[str, str] | None = None,
) -> dict[str, str]:  # fmt: skip
    """What a client of Amazon's adds to a call, at the time that botocore has now."""
    request = AWSRequest(method, url, data=body, headers={"Content-Type": "application/json", **(headers or {})})
    SigV4Auth(Credentials(key_id, secret, token), service, region).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


@dataclass
class LiveConnector:
    """The connector as it is served: granian, processes, signatures."""

    url: str
    log: Any
    client: httpx.Client

    def post(self, path: str, body: Any, client: httpx.Client | None = None) -> httpx.Response:
        """Over a connection of its own, but for a caller who brings a client."""
        raw = json.dumps(body).encode()
        headers = signed_headers("POST", self.url + path, raw)
        return (client or self.client).post(self.url + path, content=raw, headers=headers, timeout=20)


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[LiveConnector]:
    """The connector as a server of its own, over the database of this process's environment."""
    port = free_port()
    log = folder / f"log-{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "connector_app.amazon"],
            env={
                **os.environ,
                "BACKROOM_CONNECTOR_PORT": str(port),
                "BACKROOM_CONNECTOR_ACCESS_KEY_ID": KEY_ID,
                "BACKROOM_CONNECTOR_SECRET_ACCESS_KEY": SECRET,
                **environment,
            },
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process, log.read_text)
        no_reuse = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        with httpx.Client(limits=no_reuse) as client:
            yield LiveConnector(url, log, client)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def live(retailer: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveConnector]:
    """A served connector over the module's database."""
    with serving(tmp_path_factory.mktemp("connector")) as server:
        yield server


@pytest.fixture
def served(retailer: Engine, tmp_path: Path) -> Callable[..., AbstractContextManager[LiveConnector]]:
    """Starts servers over the module's database; each ends with its `with`."""
    return lambda **environment: serving(tmp_path, **environment)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], said: Callable[[], str]) -> None:
    deadline = time.monotonic() + 90  # a machine that runs other things too
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the connector did not come up: {said()}")
