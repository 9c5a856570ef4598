"""Attempts of a refund: an intent, committed before the call; its outcome, after. Every one is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, insert, select, text, update

from backroom.amazon.outcomes import Answer, Outcome
from backroom.refunds.channels import Order
from backroom.refunds.splitting import RESERVING
from backroom.refunds.tables import refund, refund_attempt

_MAY_HAVE_WORKED: Final = text(
    """
    select exists (select from refund_attempt where refund_id = :refund and attempt_id <> :but
                     and (outcome is null or outcome in ('SUCCEEDED', 'UNKNOWN')))
    """
)
_UNKNOWN_IN_A_ROW: Final = text(
    """
    select count(*) from refund_attempt a where a.refund_id = :refund and a.outcome = 'UNKNOWN'
      and a.number > coalesce((select max(number) from refund_attempt where refund_id = :refund
                                 and outcome = 'SUCCEEDED'), 0)
    """
)
# As trip.sources sees it: what a row tells beyond all that we may have had given back by then.
_GIVEN_BY_OTHERS: Final = text(
    """
    select greatest(coalesce(max(o.refunded), 0) - (
        select coalesce(sum(r.amount), 0) from refund r
        where r.shopping_trip_id = :trip and r.instrument = 'CAPTURE' and r.attempts > 0 and r.state = any(:reserving)
    ), 0)
    from amazon_order o where o.shopping_trip_id = :trip and o.store_id = :store and o.currency = :currency
    """
)


@dataclass(frozen=True)
class Intent:
    """A call that may be made now: its row is committed."""

    attempt_id: int
    intended_at: datetime


def intend(connection: Connection, one: RowMapping, asked: Order, *, now: datetime) -> Intent:
    """Writes the intent in the caller's transaction, which has locked the trip and is committed before the call."""
    others = connection.execute(
        _GIVEN_BY_OTHERS,
        {
            "trip": one["shopping_trip_id"],
            "store": one["store_id"],
            "currency": one["currency"],
            "reserving": sorted(RESERVING),
        },
    ).scalar_one()
    number = connection.execute(
        update(refund)
        .where(refund.c.refund_id == one["refund_id"])
        .values(attempts=refund.c.attempts + 1)
        .returning(refund.c.attempts)
    ).scalar_one()
    attempt_id = connection.execute(
        insert(refund_attempt)
        .values(
            refund_id=one["refund_id"],
            number=number,
            fencing=one["fencing"],
            request={
                "to": asked.processor,
                "storeId": asked.store_id,
                "shoppingTripId": asked.shopping_trip_id,
                "amount": {"amount": format(asked.amount.amount, "f"), "code": asked.amount.currency},
                "refundRequestId": asked.refund_request_key,
                "refundReasonCode": asked.reason,
            },
            intended_at=now,
            given_by_others=others,
        )
        .returning(refund_attempt.c.attempt_id)
    ).scalar_one()
    return Intent(attempt_id, now)


def conclude(connection: Connection, intent: Intent, answer: Answer, *, now: datetime) -> None:
    """Writes the outcome, also over an UNKNOWN that another wrote when this worker's lease was lost."""
    connection.execute(
        update(refund_attempt)
        .where(refund_attempt.c.attempt_id == intent.attempt_id)
        .values(
            outcome=answer.outcome,
            http_status=answer.status,
            answer=answer.for_the_record(),
            latency_seconds=answer.latency_seconds,
            finished_at=now,
        )
    )


def abandon(connection: Connection, refund_id: int, *, now: datetime) -> bool:
    """Whether there was an intent without an outcome: its worker is gone, and its outcome is unknown."""
    left = connection.execute(
        update(refund_attempt)
        .where(refund_attempt.c.refund_id == refund_id, refund_attempt.c.outcome.is_(None))
        .values(outcome=Outcome.UNKNOWN, finished_at=now, answer={"problem": "LEASE_LOST"})
    )
    return left.rowcount > 0


def may_have_worked(connection: Connection, refund_id: int, *, but: int) -> bool:
    """Whether another attempt than `but` has or may have taken effect: a refusal settles only itself."""
    return bool(connection.execute(_MAY_HAVE_WORKED, {"refund": refund_id, "but": but}).scalar_one())


def unknown_in_a_row(connection: Connection, refund_id: int) -> int:
    """How many attempts stayed unknown since the last yes: the exponent of the backoff."""
    return int(connection.execute(_UNKNOWN_IN_A_ROW, {"refund": refund_id}).scalar_one())


def of_refund(connection: Connection, refund_id: int) -> list[dict[str, Any]]:
    """A refund's attempts in their order."""
    rows = connection.execute(
        select(refund_attempt).where(refund_attempt.c.refund_id == refund_id).order_by(refund_attempt.c.number)
    ).mappings()
    return [dict(row) for row in rows]
