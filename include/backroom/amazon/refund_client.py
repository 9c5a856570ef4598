"""Refund (payments.md): gives back a part of what a trip's capture took. A call is one attempt."""

from __future__ import annotations

import re
from typing import Any, Final, Self

from backroom.amazon.outcomes import Answer, Outcome
from backroom.amazon.payments import STORE_ID, TRIP_ID, MalformedRequest
from backroom.amazon.transport import Transport, require_deliberate
from backroom.money import Money
from backroom.settings import Settings

PATH: Final = "/v1/refund"
REASONS: Final = ("DAMAGED_ITEM", "EXPIRED_ITEM", "UNWANTED_ITEM", "JWO_TECH_ERROR", "OTHER")
REFUND_REQUEST_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-5][0-9a-f]{3}-[089ab][0-9a-f]{3}-[0-9a-f]{12}")


class RefundClient:
    """Thread-safe; one per process."""

    def __init__(self, config: Settings) -> None:
        """Raises ConfigurationError for a host that moves real money without the setting that allows it."""
        url = config.amazon_refund_url or config.amazon_payments_url
        require_deliberate(url, config)
        self._transport = Transport(url, config, successes=(200,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def refund(
        self, *, store_id: str, shopping_trip_id: str, amount: Money, refund_request_key: str, reason: str
    ) -> tuple[Answer, str | None]:
        """Asks to give back `amount`. Success means begun, not done; with it comes Amazon's reconciliation id, if any.

        A repeat with the same key and amount has no further effect. Raises MalformedRequest for what Amazon would
        refuse.
        """
        body = request(
            store_id=store_id,
            shopping_trip_id=shopping_trip_id,
            amount=amount,
            refund_request_key=refund_request_key,
            reason=reason,
        )
        answer = self._transport.post(PATH, body)
        found = answer.body.get("reconciliationId") if isinstance(answer.body, dict) else None
        return answer, found if answer.outcome is Outcome.SUCCEEDED and isinstance(found, str) and found else None


def request(
    *, store_id: str, shopping_trip_id: str, amount: Money, refund_request_key: str, reason: str
) -> dict[str, Any]:
    """The call's body. Raises MalformedRequest."""
    if not STORE_ID.fullmatch(store_id):
        raise MalformedRequest(f"{store_id!r} is not a store id that Amazon accepts")
    if not TRIP_ID.fullmatch(shopping_trip_id):
        raise MalformedRequest(f"{shopping_trip_id!r} is not a trip id that Amazon's payment service accepts")
    if amount.amount <= 0:
        raise MalformedRequest(f"{amount} can't be refunded")
    if not REFUND_REQUEST_ID.fullmatch(refund_request_key):
        raise MalformedRequest(f"{refund_request_key!r} is not a refundRequestId: a UUID of version 0 to 5, lower case")
    if reason not in REASONS:
        raise MalformedRequest(f"{reason!r} is not a reason for a refund; use one of {', '.join(REASONS)}")
    return {
        "storeId": store_id,
        "shoppingTripId": shopping_trip_id,
        "amount": {"amount": amount.amount, "code": amount.currency},
        "refundRequestId": refund_request_key,
        "refundReasonCode": reason,
    }
