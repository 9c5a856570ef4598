"""Attempts: an intent, committed before the call; its outcome, after."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, select, text, update

from backroom.amazon.outcomes import Answer, Outcome
from backroom.charges.answers import unknown
from backroom.charges.history import Charge, News
from backroom.charges.states import Event, Operation, Source
from backroom.charges.tables import charge_attempt
from backroom.money import Money

_INTEND: Final = text(
    """
    insert into charge_attempt (shopping_trip_id, operation, number, fencing, request, intended_at)
    select cast(:trip as text), cast(:operation as text), coalesce(max(number), 0) + 1, :fencing,
           cast(:request as jsonb), :at
    from charge_attempt where shopping_trip_id = cast(:trip as text) and operation = cast(:operation as text)
    returning attempt_id, number
    """
)


@dataclass(frozen=True)
class Intent:
    """A call that may be made now: its row is committed. `amount` is 0 for a cancel."""

    attempt_id: int
    operation: Operation
    number: int
    intended_at: datetime
    amount: Decimal


def intend(connection: Connection, one: Charge, operation: Operation, amount: Decimal, *, now: datetime) -> Intent:
    """Writes the intent in the caller's transaction, which must be committed before the call."""
    trip, at = one.shopping_trip_id, one.at(now)
    request: dict[str, Any] = {"storeId": one.store_id, "shoppingTripId": trip}
    if operation is not Operation.CANCEL:
        request["amount"] = {"amount": format(Money(amount, one.currency).amount, "f"), "code": one.currency}
    row = connection.execute(
        _INTEND,
        {"trip": trip, "operation": operation.value, "fencing": one.fencing, "request": json.dumps(request), "at": at},
    ).one()
    return Intent(row.attempt_id, operation, row.number, at, amount)


def conclude(connection: Connection, intent: Intent, answer: Answer, *, now: datetime) -> None:
    """Writes the outcome, also over an UNKNOWN that another wrote when this worker's lease was lost."""
    connection.execute(
        update(charge_attempt)
        .where(charge_attempt.c.attempt_id == intent.attempt_id)
        .values(
            outcome=answer.outcome,
            http_status=answer.status,
            answer=answer.for_the_record(),
            latency_seconds=answer.latency_seconds,
            finished_at=now,
        )
    )


def abandon(connection: Connection, shopping_trip_id: str, *, now: datetime) -> list[News]:
    """An intent without an outcome, found by who holds the lease now: its worker is gone, its outcome is unknown."""
    left = connection.execute(
        update(charge_attempt)
        .where(charge_attempt.c.shopping_trip_id == shopping_trip_id, charge_attempt.c.outcome.is_(None))
        .values(outcome=Outcome.UNKNOWN, finished_at=now, answer={"problem": "LEASE_LOST"})
        .returning(charge_attempt)
    ).mappings()
    news = []
    for row in left:
        operation = Operation(row["operation"])
        asked = row["request"].get("amount")
        said = unknown(operation, Decimal(asked["amount"]) if asked else None)
        assert said.kind is not None
        event = Event(said.kind, row["intended_at"], Source.ATTEMPT, str(row["attempt_id"]), said.amount, row["number"])
        news.append(News(event, {"problem": "LEASE_LOST"}))
    return news


def of_trip(connection: Connection, shopping_trip_id: str) -> list[dict[str, Any]]:
    """A trip's attempts, in the order in which they were intended."""
    rows = connection.execute(
        select(charge_attempt)
        .where(charge_attempt.c.shopping_trip_id == shopping_trip_id)
        .order_by(charge_attempt.c.attempt_id)
    ).mappings()
    return [dict(row) for row in rows]
