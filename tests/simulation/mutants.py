"""Mistakes that must be found: each is installed in the workers of a simulation, and turns a check red.

A mutant replaces a piece of the product in the worker's memory; the product itself knows nothing of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text, update

from backroom.amazon.outcomes import Answer, Outcome
from backroom.amazon.payments import Adjustment
from backroom.charges import answers, attempts, queue, rules, states, turns
from backroom.charges.answers import Heard
from backroom.charges.history import News
from backroom.charges.rules import Action, ChargeRules, Step
from backroom.charges.states import ChargeState, Kind, Operation, State
from backroom.charges.tables import charge_attempt
from backroom.debts import payment_status
from backroom.refunds import working


def lease_dropped() -> None:
    """There are no leases: whoever comes claims a trip, also one that another works on, and no lease is ever lost."""
    claim = str(queue._CLAIM)
    without = claim.replace("and (lease_until is null or lease_until < clock_timestamp())", "")
    without = without.replace(", fencing = c.fencing + 1", "")
    assert without != claim
    queue._CLAIM = text(without)
    attempts.abandon = lambda connection, trips, *, now: {}


def lost_lease_taken_as_not_sent() -> None:
    """An intent without an outcome counts as a call that was never made."""

    def abandon(connection: Connection, trips: Sequence[str], *, now: datetime) -> dict[str, list[News]]:
        connection.execute(
            update(charge_attempt)
            .where(charge_attempt.c.shopping_trip_id.in_(trips), charge_attempt.c.outcome.is_(None))
            .values(outcome=Outcome.NOT_SENT, finished_at=now)
        )
        return {}

    attempts.abandon = abandon


def pending_amount_trusted() -> None:
    """The amount beside a PENDING counts as held."""
    heard = answers.heard

    def trusting(operation: Operation, asked: Decimal, currency: str, answer: Answer, adjustment: Any) -> Heard:
        if isinstance(adjustment, Adjustment) and adjustment.status == "PENDING":
            adjustment = replace(adjustment, status="APPROVED")
        return heard(operation, asked, currency, answer, adjustment)

    turns.heard = trusting


def answer_taken_as_captured() -> None:
    """A 200 to a capture counts as the money."""
    heard = answers.heard

    def hasty(operation: Operation, asked: Decimal, currency: str, answer: Answer, adjustment: Any) -> Heard:
        said = heard(operation, asked, currency, answer, adjustment)
        return replace(said, kind=Kind.CAPTURE_APPROVED) if said.kind is Kind.CAPTURE_INITIATED else said

    turns.heard = hasty


def refusal_after_unknown_taken_as_refusal() -> None:
    """A capture without an answer is asked for again at the token's end, and the refusal is believed."""
    states.TRANSITIONS[State.UNKNOWN_CAPTURE][Kind.TOKEN_EXPIRED] = State.IN_DEBT
    _unknown_captures(lambda charge, now, expires_at: now >= expires_at)


def capture_repeated_blindly() -> None:
    """A capture without an answer is asked for again at once."""
    _unknown_captures(lambda charge, now, expires_at: True)


def new_refund_key_on_retry() -> None:
    """Each try of a refund has a key of its own."""
    order = working.order
    working.order = lambda connection, mine: replace(order(connection, mine), refund_request_key=str(uuid.uuid4()))


def refund_reported_as_unsettled() -> None:
    """What was given back is missing from what is settled, and stays in the total."""
    for name in ("_SUPERSEDE", "_DUE"):
        told = str(getattr(payment_status, name))
        wrong = told.replace("- coalesce(given.back, 0), 0) as total", ", 0) as total")
        wrong = wrong.replace("coalesce(d.outstanding, 0)\n", "coalesce(d.outstanding, 0) + coalesce(given.back, 0)\n")
        assert wrong.count("given.back") == told.count("given.back")
        setattr(payment_status, name, text(wrong))


def _unknown_captures(again: Any) -> None:
    next_step, due_at = rules.next_step, rules.due_at

    def step(charge: ChargeState, *, now: datetime, expires_at: datetime, rules: ChargeRules) -> Step:
        if charge.state is State.UNKNOWN_CAPTURE:
            wanted = again(charge, now, expires_at)
            return Step(Action.CAPTURE, charge.capture_asked) if wanted else Step(Action.WAIT)
        return next_step(charge, now=now, expires_at=expires_at, rules=rules)

    def due(charge: ChargeState, **given: Any) -> datetime | None:
        if charge.state is State.UNKNOWN_CAPTURE:
            return given["now"] if again(charge, given["now"], given["expires_at"]) else given["expires_at"]
        return due_at(charge, **given)

    from backroom.charges import history

    turns.next_step, history.due_at = step, due
