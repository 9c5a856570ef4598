"""The field rules of inbound.md, tables 1 and 5: each missing field, each bad format, in Amazon's error envelope."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.connector_app.conftest import MISSING, Amazon, cart_body, changed, gate_body, line, new_uuid

A_UUID = "018f3e5c-9b7a-7ccc-8ddd-1234567890ab"
BAD_UUIDS = [
    "",
    "not-a-uuid",
    "0" * 36,
    A_UUID + "0",
    A_UUID.replace("-", ""),
    A_UUID + "\n",
    "g" + A_UUID[1:],
    7,
    None,
]
BAD_INSTANTS = [
    "", "yesterday", "2026-03-22", "2026-03-22T17:00:00", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
    "2026-03-22T25:00:00Z", "20260322T170000Z", "2026-03-22 17:00:00Z", "1999-12-31T23:59:59Z", "2026-03-22T17:00:00Z ",
    "٢٠٢٦-03-22T17:00:00Z", 1711126800, None, True,
]  # fmt: skip
TOO_LONG = base64.b64encode(b"x" * 751).decode()
BAD_NAMES = ["", "x" * 256, 7, None, True, {}, []]

IDENTITY = [
    *(("requestId", value) for value in [MISSING, *BAD_UUIDS]),
    *(("identityKey", value) for value in [MISSING, "", "!!!", "YWJ", "YWJj\n", TOO_LONG, "é", 7, None]),
    *(("storeId", value) for value in [MISSING, "STORE-404", *BAD_NAMES]),
    *(("authEvent", value) for value in [MISSING, None, "x", [], {}]),
    *(("authEvent.id", value) for value in [MISSING, *BAD_UUIDS]),
    *(("authEvent.timestamp", value) for value in [MISSING, *BAD_INSTANTS]),
    *(("authEvent.location", value) for value in [MISSING, "", "entry", "ROOF", 7, None]),
    *(("keyChannel", value) for value in ["", "optical", "SMOKE", 7, []]),
]  # fmt: skip

PURCHASES = [
    *(("requestId", value) for value in [MISSING, *BAD_UUIDS]),
    *(("idempotentShoppingTripId", value) for value in [MISSING, *BAD_NAMES]),
    *(("storeId", value) for value in [MISSING, "STORE-404", *BAD_NAMES]),
    *(("shoppingTrip", value) for value in [MISSING, None, "x", [], {}]),
    *(("shoppingTrip.startTime", value) for value in [MISSING, *BAD_INSTANTS, "2026-03-22T17:09:40Z"]),
    *(("shoppingTrip.endTime", value) for value in [MISSING, *BAD_INSTANTS, "2026-03-22T16:59:59Z"]),
    *(("shoppingTrip.authEvents", value) for value in [MISSING, None, {}, [], ["x"]]),
    *(("shoppingTrip.authEvents.0.id", value) for value in [MISSING, *BAD_UUIDS]),
    *(("shoppingTrip.authEvents.0.payloadType", value) for value in [MISSING, "", "financial", "CASH", 7, None]),
    *(("shoppingTrip.authEvents.0.timestamp", value) for value in BAD_INSTANTS if value is not None),
    *(("shoppingTrip.authEvents.0.location", value) for value in ["", "ROOF", 7]),
    *(("shoppingTrip.authEvents.0.scanResult", value) for value in ["x", []]),
    *(("shoppingTrip.authEvents.0.scanResult.id", value) for value in ["x" * 256, 7]),
    *(("shoppingTrip.authEvents.0.scanResult.type", value) for value in ["", "VIP", "shopper", 7]),
    *(("cartItems", value) for value in [MISSING, None, {}, "x", [None], ["x"]]),
    *(("cartItems.0.id", value) for value in [MISSING, *BAD_NAMES]),
    *(("cartItems.0.type", value) for value in [MISSING, "", "sku", "PLU", 7, None]),
    *(("cartItems.0.quantity", value) for value in [MISSING, None, "1", 1, {}]),
    *(
        ("cartItems.0.quantity.value", value)
        for value in [
            MISSING, None, 1, 1.5, True, "", " 1", "1 ", "1\n", "-1", "+1", "1e3", "NaN", "Infinity", ".5", "1.", "1,5",
            "0", "0.0", "00.000", "1_000", "0x10", "١", "12345678901", "1.123456789",
        ]
    ),
    *(("cartItems.0.quantity.unit", value) for value in [MISSING, None, "", "UNIT", "stone", 7]),
    *(("cartItems.0.externalIdentifiers", value) for value in ["x", {}, ["x"]]),
    *(("cartItems.0.externalIdentifiers.0.id", value) for value in ["x" * 256, 7]),
    *(("cartItems.0.externalIdentifiers.0.type", value) for value in ["", "upc", "QR", 7]),
    *(("cartItems.0.lineItemId", value) for value in ["x" * 256, 7, "2"]),
    *(("shopperIdentity", value) for value in ["x", []]),
    *(("shopperIdentity.id", value) for value in ["x" * 256, 7]),
    *(("shopperDeviceId", value) for value in ["x" * 256, 7, {}]),
    *(("paymentSource", value) for value in ["x", 7]),
    *(("paymentSource.id", value) for value in ["x" * 256, 7]),
]  # fmt: skip


def full_cart() -> dict[str, Any]:
    """Every field of the table, filled."""
    body = cart_body(
        line("MILK", lineItemId="1", externalIdentifiers=[{"id": "0123", "type": "UPC"}]),
        line("SOAP", lineItemId="2"),
        shopperIdentity={"id": "amzn-token"},
        shopperDeviceId="device",
        paymentSource={"id": "source"},
    )
    event = {
        "id": new_uuid(), "timestamp": "2026-03-22T17:00:00Z", "location": "ENTRY", "payloadType": "FINANCIAL",
        "scanResult": {"id": "ana", "type": "SHOPPER"},
    }  # fmt: skip
    return changed(body, "shoppingTrip.authEvents", [event])


def named(path: str) -> str:
    """cartItems.0.id → cartItems[0].id."""
    field = ""
    for part in path.split("."):
        field += f"[{part}]" if part.isdigit() else f".{part}" if field else part
    return field


def about(error: str, path: str) -> bool:
    """Whether the message names the field, or the object around it (times out of order, a line id twice)."""
    field, _, message = error.partition(": ")
    return bool(message) and (field.startswith(named(path)) or named(path).startswith(field))


@pytest.mark.parametrize(("path", "value"), IDENTITY, ids=lambda value: "MISSING" if value is MISSING else None)
def test_identity_keys_refuses(amazon: Amazon, path: str, value: Any) -> None:
    answer = amazon.gate(changed(gate_body(), path, value))
    assert answer.status_code == 400
    assert about(answer.get_json()["errorMsg"], path), answer.get_json()
    assert set(answer.get_json()) == {"errorMsg"}


@pytest.mark.parametrize(("path", "value"), PURCHASES, ids=lambda value: "MISSING" if value is MISSING else None)
def test_purchases_refuses(amazon: Amazon, path: str, value: Any) -> None:
    answer = amazon.purchases(changed(full_cart(), path, value))
    assert answer.status_code == 400
    assert about(answer.get_json()["errorMsg"], path), answer.get_json()
    assert set(answer.get_json()) == {"errorMsg"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("requestId", "018F3E5C-9B7A-7CCC-0DDD-1234567890AB"),
        ("identityKey", base64.b64encode(b"x" * 750).decode()),
        ("authEvent.timestamp", "2026-03-22T13:10:00.123456789-04:00"),
        ("authEvent.location", "MANUAL_IN_STORE"),
        ("authEvent.location", "EXIT"),
        ("keyChannel", MISSING),
        ("keyChannel", None),
        ("keyChannel", "NFC"),
        ("news", {"anything": [1, None]}),
        ("authEvent.news", 0.5),
    ],
    ids=lambda value: "MISSING" if value is MISSING else None,
)
def test_identity_keys_takes(amazon: Amazon, path: str, value: Any) -> None:
    assert amazon.gate(changed(gate_body(), path, value)).status_code in (200, 401)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("idempotentShoppingTripId", "x" * 255),
        ("shoppingTrip.startTime", "2026-03-22T17:09:39Z"),
        *((f"shoppingTrip.authEvents.0.{name}", MISSING) for name in ("timestamp", "location", "scanResult")),
        *((f"shoppingTrip.authEvents.0.scanResult.{name}", MISSING) for name in ("id", "type")),
        ("shoppingTrip.authEvents.0.scanResult.type", "ASSOCIATE"),
        ("shoppingTrip.authEvents.0.scanResult.type", "CASH"),
        ("shoppingTrip.authEvents.0.scanResult.type", "CASH_SHOPPER"),
        ("shoppingTrip.authEvents.0.scanResult.type", "LOYALTY"),
        ("cartItems.0.quantity.value", "0.00000001"),
        ("cartItems.0.quantity.value", "1234567890"),
        *(("cartItems.0.quantity.unit", unit) for unit in ("kg", "g", "lb", "oz")),
        ("cartItems.0.externalIdentifiers", MISSING),
        ("cartItems.0.externalIdentifiers", []),
        ("cartItems.0.externalIdentifiers.0.id", MISSING),
        *(("cartItems.0.externalIdentifiers.0.type", kind) for kind in ("EAN", "EAN8", "ISBN", "GTIN", "PLU")),
        ("cartItems.0.lineItemId", MISSING),
        *((name, MISSING) for name in ("shopperIdentity", "shopperDeviceId", "paymentSource")),
        ("shopperIdentity.id", ""),
        ("shopperDeviceId", ""),
        ("paymentSource.id", ""),
        ("paymentSource.id", None),
        ("cartItems.0.news", {"a": 1}),
    ],
    ids=lambda value: "MISSING" if value is MISSING else None,
)  # fmt: skip
def test_purchases_takes(amazon: Amazon, path: str, value: Any) -> None:
    answer = amazon.purchases(changed(full_cart(), path, value))
    assert (answer.status_code, list(answer.get_json())) == (201, ["purchaseId"])


def nested(levels: int) -> bytes:
    return b'{"a":' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize("path", ["/v1/order/purchases", "/v1/identity/identity-keys"])
@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"null", b"[]", b'"x"', b"7", b"{'a': 1}", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e400}',
        b'{"a": ' + b"9" * 5000 + b"}", b'\xff\xfe{"a": 1}', b'\xef\xbb\xbf{"a": 1}', b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}', b'{"a": "\\ud800"}', b'{"a": ["\\udfff x"]}', nested(51), nested(100_000), b'{"a": 1} x',
    ],
    ids=lambda raw: raw[:20].decode("latin-1") if isinstance(raw, bytes) else raw,
)  # fmt: skip
def test_what_is_not_a_sound_json_object_is_a_400(amazon: Amazon, path: str, raw: bytes) -> None:
    answer = amazon.client.post(path, data=raw, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["errorMsg"].startswith("body: ")


def test_paired_surrogates_are_text(amazon: Amazon) -> None:
    raw = json.dumps(cart_body(line(), news="😀"), ensure_ascii=True)
    assert amazon.client.post("/v1/order/purchases", data=raw, content_type="application/json").status_code == 201


@pytest.mark.parametrize("path", ["/v1/order/purchases", "/v1/identity/identity-keys"])
def test_another_content_type_is_a_415(amazon: Amazon, path: str) -> None:
    answer = amazon.client.post(path, data=b"<cart/>", content_type="application/xml")
    assert (answer.status_code, answer.get_json()) == (415, {"errorMsg": "Content-Type: must be application/json"})


@pytest.mark.parametrize("path", ["/v1/order/purchases", "/v1/identity/identity-keys"])
@pytest.mark.parametrize("size", [2_000_001, 17_000_000])
def test_a_body_beyond_the_limit_is_a_413(amazon: Amazon, path: str, size: int) -> None:
    answer = amazon.client.post(path, data=b" " * size, content_type="application/json")
    assert (answer.status_code, answer.get_json()) == (413, {"errorMsg": "body: too large"})


def test_a_path_or_method_that_does_not_exist_is_told_in_the_envelope(amazon: Amazon) -> None:
    assert amazon.client.post("/v1/order/nothing").get_json() == {"errorMsg": "request: not found"}
    wrong = amazon.client.get("/v1/order/purchases")
    assert (wrong.status_code, wrong.get_json()) == (405, {"errorMsg": "request: method not allowed"})
    assert "POST" in wrong.headers["Allow"]
