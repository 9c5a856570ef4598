"""Report Payment Status (payments.md): what a trip cost and how much of it is settled. A call is one attempt."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal, Self, cast

from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.amazon.payments import STORE_ID, TRIP_ID, MalformedRequest
from backroom.amazon.transport import Transport, require_deliberate
from backroom.money import Money
from backroom.settings import Settings

Status = Literal["Accepted", "Rejected"]
PATH: Final = "/v1/feedback/payment-status"


class PaymentStatusClient:
    """Thread-safe; one per process."""

    def __init__(self, config: Settings) -> None:
        """Raises ConfigurationError for a host beyond tests without the setting that allows it: what is reported there
        keeps real shoppers out of real stores.
        """
        url = config.amazon_payment_status_url or config.amazon_payments_url
        require_deliberate(url, config)
        self._transport = Transport(url, config, successes=(200,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def report(
        self, *, store_id: str, shopping_trip_id: str, total: Money, settled: Money, at: datetime
    ) -> tuple[Answer, Status | None]:
        """Says that of `total`, `settled` is paid as of `at`: the rest is owed. A repeat is harmless.

        The status is None unless the answer is SUCCEEDED; a Rejected one has SUCCEEDED too. A 200 that can't be
        understood is UNKNOWN. Raises MalformedRequest for what Amazon would refuse.
        """
        answer = self._transport.post(
            PATH, request(store_id=store_id, shopping_trip_id=shopping_trip_id, total=total, settled=settled, at=at)
        )
        if answer.outcome is not Outcome.SUCCEEDED:
            return answer, None
        status = answer.body.get("status") if isinstance(answer.body, dict) else None
        if status not in ("Accepted", "Rejected"):
            unclear = replace(
                answer,
                outcome=Outcome.UNKNOWN,
                problem=Problem.UNINTELLIGIBLE,
                message=f"payment status answered: {status!r}",
            )
            return unclear, None
        return answer, cast("Status", status)


def request(*, store_id: str, shopping_trip_id: str, total: Money, settled: Money, at: datetime) -> dict[str, Any]:
    """The call's body; `paymentStatusTime` is in whole epoch seconds (ours). Raises MalformedRequest."""
    if not STORE_ID.fullmatch(store_id):
        raise MalformedRequest(f"{store_id!r} is not a store id that Amazon accepts")
    if not TRIP_ID.fullmatch(shopping_trip_id):
        raise MalformedRequest(f"{shopping_trip_id!r} is not a trip id that Amazon's payment service accepts")
    if settled.currency != total.currency or not 0 <= settled.amount <= total.amount:
        raise MalformedRequest(f"{settled} of {total} can't be settled")
    return {
        "storeId": store_id,
        "shoppingTripId": shopping_trip_id,
        "totalAmount": {"amount": total.amount, "code": total.currency},
        "settledAmount": {"amount": settled.amount, "code": settled.currency},
        "paymentStatusTime": int(at.timestamp()),
    }
