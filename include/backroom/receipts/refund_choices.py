"""What of a trip can be given back, in a form to choose from: shown before anything is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from backroom.money import round_amount
from backroom.refunds.eligibility import Ask, RefundRefused, eligible
from backroom.refunds.trip import lock

REASONS: Final = {
    "DAMAGED_ITEM": "It was damaged",
    "EXPIRED_ITEM": "It was past its date",
    "UNWANTED_ITEM": "I brought it back or don't want it",
    "JWO_TECH_ERROR": "I did not take it, or not as much",
    "OTHER": "Something else",
}
"""The published reasons, in a shopper's words."""


class Closed(StrEnum):
    """Why nothing can be asked for."""

    TOO_LATE = "TOO_LATE"
    NOTHING_LEFT = "NOTHING_LEFT"
    NO_CHARGE = "NO_CHARGE"


@dataclass(frozen=True)
class LineChoice:
    """A line of which something can still go back, whole, for `amount` (tax included)."""

    number: int
    quantity: Decimal
    amount: Decimal


@dataclass(frozen=True)
class Choices:
    """What is on offer until `until`; `closed` says why nothing is. Amounts in `currency`."""

    closed: Closed | None
    until: datetime | None = None
    left: Decimal = Decimal(0)
    currency: str = ""
    lines: Sequence[LineChoice] = ()


def choices(connection: Connection, shopping_trip_id: str, *, now: datetime) -> Choices:
    """By the same rules that the request is held against."""
    try:
        facts = lock(connection, shopping_trip_id).facts(connection)
    except RefundRefused:
        return Choices(Closed.NO_CHARGE)
    until = facts.ended_at + facts.window
    if now > until:
        return Choices(Closed.TOO_LATE, until)
    left = min(facts.total - facts.asked_before, facts.room)
    if left <= 0:
        return Choices(Closed.NOTHING_LEFT, until)
    found = []
    for number in sorted(facts.lines):
        try:
            may = eligible(facts, Ask(lines=((number, None),)), reason="OTHER", requested_at=now)
        except RefundRefused:
            continue  # all of it has gone back, or more than is left
        found.append(LineChoice(number, may.lines[0].quantity, may.amount))
    return Choices(None, until, round_amount(left, facts.currency), facts.currency, found)
