"""Requests made before the clock runs: new carts, gate events, bare inserts; each with ids of its own."""

from __future__ import annotations

import base64
import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

from tests.benchmarks.load import request
from tests.benchmarks.retailer import PRODUCTS, SHOPPERS

SECRET = "of-this-benchmark"
GATE_ARN = "arn:aws:sts::123456789012:assumed-role/IdentityGateway/session"
ORDER_ARN = "arn:aws:sts::123456789012:assumed-role/OrderingGateway/session"
ARNS = {
    "BACKROOM_CONNECTOR_IDENTITY_ARNS": json.dumps(["arn:aws:iam::123456789012:role/IdentityGateway"]),
    "BACKROOM_CONNECTOR_ORDERING_ARNS": json.dumps(["arn:aws:iam::123456789012:role/OrderingGateway"]),
}
MADE = 4_000


_codes: set[str] = set()


def carts(port: int, lines: int, seed: int, number: int = MADE) -> Iterator[bytes]:
    """New carts of so many lines, entered by card."""
    chance = random.Random(seed)
    return iter([_cart(port, lines, chance, str(uuid.UUID(int=chance.getrandbits(128)))) for _ in range(number)])


def one_cart(port: int, lines: int, seed: int) -> Iterator[bytes]:
    """The same cart for ever."""
    chance = random.Random(seed)
    message = _cart(port, lines, chance, str(uuid.UUID(int=chance.getrandbits(128))))
    while True:
        yield message


def gate_events(port: int, seed: int, number: int = MADE) -> Iterator[bytes]:
    """New gate events: scan key codes, each its own, of shoppers who may enter."""
    chance = random.Random(seed)
    return iter([_gate_event(port, chance) for _ in range(number)])


def one_gate_event(port: int, seed: int) -> Iterator[bytes]:
    """The same gate event for ever."""
    message = _gate_event(port, random.Random(seed))
    while True:
        yield message


def bare(port: int, size: int, seed: int, number: int = MADE) -> Iterator[bytes]:
    """New rows for the reference, each with a body of so many bytes."""
    chance = random.Random(seed)
    made = []
    for _ in range(number):
        identifier = str(uuid.UUID(int=chance.getrandbits(128)))
        made.append(request(port, "/bare", b"x" * size, {"X-Id": identifier}))
    return iter(made)


def _cart(port: int, lines: int, chance: random.Random, trip_id: str) -> bytes:
    body = {
        "requestId": trip_id,
        "idempotentShoppingTripId": trip_id,
        "storeId": "STORE-001",
        "shoppingTrip": {
            "startTime": "2026-03-22T17:00:00Z",
            "endTime": "2026-03-22T17:09:39Z",
            "authEvents": [
                {"id": trip_id, "timestamp": "2026-03-22T17:00:00Z", "location": "ENTRY", "payloadType": "FINANCIAL"}
            ],
        },
        "cartItems": [
            {
                "id": f"SKU-{sku}",
                "type": "SKU",
                "quantity": {"value": str(chance.randint(1, 3)), "unit": "unit"},
                "lineItemId": str(number),
            }
            for number, sku in enumerate(chance.sample(range(1, PRODUCTS + 1), lines), 1)
        ],
        "shopperIdentity": {"id": f"card-{trip_id}"},
    }
    return request(port, "/v1/order/purchases", json.dumps(body).encode(), _gateway(ORDER_ARN))


def _gate_event(port: int, chance: random.Random) -> bytes:
    event_id = str(uuid.UUID(int=chance.getrandbits(128)))
    at = datetime.now(UTC)
    made_at = int(at.timestamp() * 1000) - chance.randrange(15_000)
    code = f"JWOIMAG{made_at:011x}{chance.randint(1, SHOPPERS):021x}"
    while code in _codes:  # a code opens one gate
        code = f"JWOIMAG{made_at:011x}{chance.randint(1, SHOPPERS):021x}"
    _codes.add(code)
    body = {
        "requestId": event_id,
        "identityKey": base64.b64encode(code.encode()).decode(),
        "storeId": "STORE-001",
        "authEvent": {"id": event_id, "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "location": "ENTRY"},
        "keyChannel": "OPTICAL",
    }
    return request(port, "/v1/identity/identity-keys", json.dumps(body).encode(), _gateway(GATE_ARN))


def _gateway(arn: str) -> dict[str, str]:
    return {"X-Backroom-Gateway-Secret": SECRET, "X-Caller-Arn": arn}
