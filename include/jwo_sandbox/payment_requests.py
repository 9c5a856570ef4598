"""The seven payment calls' bodies, by the interface's own rules. A wrong JSON type is an error, never coerced."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from jwo_sandbox import exact_json

STORE_ID = re.compile(r"[0-9a-zA-Z_-]{1,255}")
TRIP_ID = re.compile(r"[0-9a-zA-Z_-]{1,255}")
CURRENCY = re.compile(r"[A-Z]{3}")
SHOPPER_ID = re.compile(r"[0-9a-zA-Z_.-]{1,255}")
REFUND_REQUEST_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-5][0-9a-f]{3}-[089ab][0-9a-f]{3}-[0-9a-f]{12}")
REFUND_REASONS = frozenset({"DAMAGED_ITEM", "EXPIRED_ITEM", "UNWANTED_ITEM", "JWO_TECH_ERROR", "OTHER"})


class BadRequest(ValueError):
    """A body that breaks the interface's rules; the message names the field."""


@dataclass(frozen=True)
class Amount:
    """Money as the payment service writes it."""

    amount: Decimal
    code: str


@dataclass(frozen=True)
class PaymentRequest:
    """What a body said; fields that its operation does not have are None."""

    store_id: str
    shopping_trip_id: str = ""
    amount: Amount | None = None
    refund_request_id: str = ""
    total: Amount | None = None
    settled: Amount | None = None
    status_time: Decimal | None = None
    shopper_id: str = ""


def read(operation: str, body: bytes) -> PaymentRequest:
    """The request. Raises BadRequest."""
    try:
        value = exact_json.loads(body)
    except ValueError as error:
        raise BadRequest("the body is not JSON") from error
    if not isinstance(value, dict):
        raise BadRequest("the body is not an object")
    return PaymentRequest(store_id=_text(value, "storeId", STORE_ID), **READERS[operation](value))


def _charge(body: dict[str, Any]) -> dict[str, Any]:
    return {**_trip(body), "amount": _amount(body, "amount")}


def _capture(body: dict[str, Any]) -> dict[str, Any]:
    found = _charge(body)
    if found["amount"].amount <= 0:
        raise BadRequest("amount: must be above zero")
    return found


def _trip(body: dict[str, Any]) -> dict[str, Any]:
    return {"shopping_trip_id": _text(body, "shoppingTripId", TRIP_ID)}


def _refund(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("refundReasonCode") not in REFUND_REASONS:
        raise BadRequest("refundReasonCode: not a reason")
    return {**_capture(body), "refund_request_id": _text(body, "refundRequestId", REFUND_REQUEST_ID)}


def _payment_status(body: dict[str, Any]) -> dict[str, Any]:
    at = body.get("paymentStatusTime")
    if isinstance(at, bool) or not isinstance(at, int | Decimal) or at < 0:
        raise BadRequest("paymentStatusTime: must be epoch seconds")
    found = {"total": _amount(body, "totalAmount"), "settled": _amount(body, "settledAmount")}
    return {**_trip(body), **found, "status_time": Decimal(at)}


def _shopper(body: dict[str, Any]) -> dict[str, Any]:
    shopper = body.get("shopperId")
    if not isinstance(shopper, dict):
        raise BadRequest("shopperId: must be an object")
    return {"shopper_id": _text(shopper, "id", SHOPPER_ID)}


READERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "adjust": _charge,
    "cancel": _trip,
    "capture": _capture,
    "refund": _refund,
    "payment_status": _payment_status,
    "transactional_data": _trip,
    "shopper_identity": _shopper,
}


def _text(body: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadRequest(f"{name}: missing or malformed")
    return value


def _amount(body: dict[str, Any], name: str) -> Amount:
    value = body.get(name)
    if not isinstance(value, dict):
        raise BadRequest(f"{name}: must be an object")
    number, code = value.get("amount"), value.get("code")
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        raise BadRequest(f"{name}.amount: must be a number")
    amount = Decimal(number)
    exponent = amount.normalize().as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -2 or amount < 0 or amount > 10**9:
        raise BadRequest(f"{name}.amount: must be from 0 up, with at most 2 decimals")
    if not isinstance(code, str) or not CURRENCY.fullmatch(code):
        raise BadRequest(f"{name}.code: must be a currency")
    return Amount(amount, code)
