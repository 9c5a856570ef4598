"""Amazon's payment service: adjust, capture, cancel (payments.md). A call is one attempt; nothing is retried here.

`PaymentsClient` makes one call at a time, `AsyncPaymentsClient` many at once in an event loop; both send and understand
the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Self

from backroom.amazon.async_transport import AsyncTransport
from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.amazon.transport import Transport, require_deliberate
from backroom.errors import BackroomError
from backroom.money import Money
from backroom.settings import Settings

TRIP_ID: Final = re.compile(r"[0-9a-zA-Z_-]{1,255}")
ADJUST, CAPTURE, CANCEL = "/v1/adjust/charge", "/v1/capture/charge", "/v1/cancel/charge"
STORE_ID: Final = re.compile(r"[0-9a-zA-Z_-]{1,255}")


class MalformedRequest(BackroomError):
    """A call that Amazon would refuse was not made."""


@dataclass(frozen=True)
class Adjustment:
    """What an adjustment that was answered says. Only `status` tells whether money is held."""

    status: str  # APPROVED, DECLINED, PENDING
    authorized: Money


class PaymentsClient:
    """Thread-safe; one per process."""

    def __init__(self, config: Settings) -> None:
        """Raises ConfigurationError for a host that moves real money without the setting that allows it."""
        require_deliberate(config.amazon_payments_url, config)
        self._config = config
        self._transport = Transport(config.amazon_payments_url, config, successes=(200,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def adjust(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> tuple[Answer, Adjustment | None]:
        """Asks to hold the whole cart total, never a difference. A repeat is harmless: it sets the total.

        The adjustment is None unless the answer is SUCCEEDED. A 200 that can't be understood is
        UNKNOWN.
        """
        return _adjusted(self._transport.post(ADJUST, _asking(store_id, shopping_trip_id, amount)))

    def capture(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> Answer:
        """Asks to take what is held. Success means begun, not done. A repeat may take it twice."""
        return self._transport.post(CAPTURE, _asking(store_id, shopping_trip_id, amount))

    def cancel(self, *, store_id: str, shopping_trip_id: str) -> Answer:
        """Asks to end the hold. Success means begun. A repeat is harmless."""
        return self._transport.post(CANCEL, _trip(store_id, shopping_trip_id))

    def at_once(self, connections: int) -> AsyncPaymentsClient:
        """The same, for so many calls at once in a running event loop; it is closed there."""
        return AsyncPaymentsClient(self._config, connections)


class AsyncPaymentsClient:
    """As PaymentsClient, in one event loop."""

    def __init__(self, config: Settings, connections: int) -> None:
        """Raises ConfigurationError as PaymentsClient does."""
        require_deliberate(config.amazon_payments_url, config)
        self._transport = AsyncTransport(config.amazon_payments_url, config, connections=connections, successes=(200,))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    async def adjust(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> tuple[Answer, Adjustment | None]:
        """As PaymentsClient.adjust."""
        return _adjusted(await self._transport.post(ADJUST, _asking(store_id, shopping_trip_id, amount)))

    async def capture(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> Answer:
        """As PaymentsClient.capture."""
        return await self._transport.post(CAPTURE, _asking(store_id, shopping_trip_id, amount))

    async def cancel(self, *, store_id: str, shopping_trip_id: str) -> Answer:
        """As PaymentsClient.cancel."""
        return await self._transport.post(CANCEL, _trip(store_id, shopping_trip_id))


def _asking(store_id: str, shopping_trip_id: str, amount: Money) -> dict[str, Any]:
    return {**_trip(store_id, shopping_trip_id), "amount": _amount(amount)}


def _adjusted(answer: Answer) -> tuple[Answer, Adjustment | None]:
    if answer.outcome is not Outcome.SUCCEEDED:
        return answer, None
    try:
        return answer, _adjustment(answer.body)
    except (ValueError, TypeError) as error:
        unclear = replace(
            answer, outcome=Outcome.UNKNOWN, problem=Problem.UNINTELLIGIBLE, message=f"adjust answered: {error}"
        )
        return unclear, None


def _trip(store_id: str, shopping_trip_id: str) -> dict[str, Any]:
    if not STORE_ID.fullmatch(store_id):
        raise MalformedRequest(f"{store_id!r} is not a store id that Amazon accepts")
    if not TRIP_ID.fullmatch(shopping_trip_id):
        raise MalformedRequest(f"{shopping_trip_id!r} is not a trip id that Amazon's payment service accepts")
    return {"storeId": store_id, "shoppingTripId": shopping_trip_id}


def _amount(money: Money) -> dict[str, Any]:
    if money.amount <= 0:
        raise MalformedRequest(f"{money} can't be asked for; an empty cart is cancelled")
    return {"amount": money.amount, "code": money.currency}


def _adjustment(body: Any) -> Adjustment:
    if not isinstance(body, dict) or body.get("status") not in ("APPROVED", "DECLINED", "PENDING"):
        raise ValueError("no status that is known")
    held = body.get("authorizedAmount")
    if not isinstance(held, dict):
        raise TypeError("no authorizedAmount")
    number, code = held.get("amount"), held.get("code")
    if isinstance(number, bool) or not isinstance(number, int | Decimal) or not isinstance(code, str):
        raise TypeError("authorizedAmount is not an amount and a currency")
    return Adjustment(body["status"], Money.of(number, code))
