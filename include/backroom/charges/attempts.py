"""Attempts: an intent, committed before the call; its outcome, after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import orjson
from sqlalchemy import ARRAY, Connection, Text, any_, func, literal, select, text, update

from backroom.amazon.outcomes import Answer, Outcome
from backroom.charges.answers import unknown
from backroom.charges.history import Charge, News
from backroom.charges.states import Event, Operation, Source
from backroom.charges.tables import charge_attempt
from backroom.money import Money

_INTEND: Final = text(
    """
    insert into charge_attempt (shopping_trip_id, operation, number, fencing, request, intended_at)
    select ask.trip, ask.operation,
           coalesce((select max(made.number) from charge_attempt made
                     where made.shopping_trip_id = ask.trip and made.operation = ask.operation), 0) + 1,
           ask.fencing, ask.request, ask.at
    from json_to_recordset(:asks) as ask (trip text, operation text, fencing bigint, request jsonb, at timestamptz)
    returning attempt_id, shopping_trip_id, number
    """
)
_CONCLUDE: Final = text(
    """
    update charge_attempt a
    set outcome = told.outcome, http_status = told.http_status, answer = told.answer,
        latency_seconds = told.latency_seconds, finished_at = :now
    from json_to_recordset(:told) as told (attempt_id bigint, outcome text, http_status int, answer jsonb,
                                           latency_seconds float)
    where a.attempt_id = told.attempt_id
    """
)


@dataclass(frozen=True)
class Ask:
    """A call that is to be made: `amount` is 0 for a cancel."""

    charge: Charge
    operation: Operation
    amount: Decimal


@dataclass(frozen=True)
class Intent:
    """A call that may be made now: its row is committed. `amount` is 0 for a cancel."""

    attempt_id: int
    operation: Operation
    number: int
    intended_at: datetime
    amount: Decimal


def intend(connection: Connection, asks: Sequence[Ask], *, now: datetime) -> list[Intent]:
    """Writes the intents, one a trip, in the caller's transaction, which must be committed before the calls."""
    if not asks:
        return []
    dated = [(ask, ask.charge.at(now)) for ask in asks]
    rows = [
        {
            "trip": ask.charge.shopping_trip_id,
            "operation": ask.operation.value,
            "fencing": ask.charge.fencing,
            "request": _request(ask),
            "at": at,
        }
        for ask, at in dated
    ]
    made = {row.shopping_trip_id: row for row in connection.execute(_INTEND, {"asks": orjson.dumps(rows).decode()})}
    return [
        Intent(row.attempt_id, ask.operation, row.number, at, ask.amount)
        for ask, at in dated
        for row in [made[ask.charge.shopping_trip_id]]
    ]


def _request(ask: Ask) -> dict[str, Any]:
    request: dict[str, Any] = {"storeId": ask.charge.store_id, "shoppingTripId": ask.charge.shopping_trip_id}
    if ask.operation is not Operation.CANCEL:
        money = Money(ask.amount, ask.charge.currency)
        request["amount"] = {"amount": format(money.amount, "f"), "code": money.currency}
    return request


def conclude(connection: Connection, answers: Sequence[tuple[Intent, Answer]], *, now: datetime) -> None:
    """Writes the outcomes, also over an UNKNOWN that another wrote when this worker's lease was lost."""
    told = [
        {
            "attempt_id": intent.attempt_id,
            "outcome": answer.outcome.value,
            "http_status": answer.status,
            "answer": answer.for_the_record(),
            "latency_seconds": answer.latency_seconds,
        }
        for intent, answer in answers
    ]
    if told:
        connection.execute(_CONCLUDE, {"told": orjson.dumps(told, default=str).decode(), "now": now})


def abandon(connection: Connection, trips: Sequence[str], *, now: datetime) -> dict[str, list[News]]:
    """Intents without an outcome, found by who holds the leases now: their worker is gone, the outcomes are unknown."""
    left = connection.execute(
        update(charge_attempt)
        .where(charge_attempt.c.shopping_trip_id == any_(literal(list(trips), ARRAY(Text))))
        .where(charge_attempt.c.outcome.is_(None))
        .values(outcome=Outcome.UNKNOWN, finished_at=now, answer={"problem": "LEASE_LOST"})
        .returning(charge_attempt)
    ).mappings()
    news: dict[str, list[News]] = {}
    for row in left:
        operation = Operation(row["operation"])
        asked = row["request"].get("amount")
        said = unknown(operation, Decimal(asked["amount"]) if asked else None)
        assert said.kind is not None
        event = Event(said.kind, row["intended_at"], Source.ATTEMPT, str(row["attempt_id"]), said.amount, row["number"])
        news.setdefault(row["shopping_trip_id"], []).append(News(event, {"problem": "LEASE_LOST"}))
    return news


def newest(connection: Connection, trips: Sequence[str]) -> dict[str, int]:
    """The last attempt that was intended for each trip."""
    found = connection.execute(
        select(charge_attempt.c.shopping_trip_id, func.max(charge_attempt.c.attempt_id))
        .where(charge_attempt.c.shopping_trip_id == any_(literal(list(trips), ARRAY(Text))))
        .group_by(charge_attempt.c.shopping_trip_id)
    )
    return {trip: attempt_id for trip, attempt_id in found}


def of_trip(connection: Connection, shopping_trip_id: str) -> list[dict[str, Any]]:
    """A trip's attempts, in the order in which they were intended."""
    rows = connection.execute(
        select(charge_attempt)
        .where(charge_attempt.c.shopping_trip_id == shopping_trip_id)
        .order_by(charge_attempt.c.attempt_id)
    ).mappings()
    return [dict(row) for row in rows]
