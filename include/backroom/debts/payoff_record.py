"""Payoffs as they are kept, what may become of a payment, and what is needed of whoever takes the money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from sqlalchemy import Connection, RowMapping, select

from backroom.debts.tables import payoff
from backroom.errors import BackroomError
from backroom.money import Money


class PayoffState(StrEnum):
    """Where a payoff stands. INTENDED: the processor may have been asked, or will be."""

    INTENDED = "INTENDED"
    PAID = "PAID"
    DECLINED = "DECLINED"
    NOT_SENT = "NOT_SENT"
    UNKNOWN = "UNKNOWN"


OPEN: Final = (PayoffState.INTENDED, PayoffState.UNKNOWN)


@dataclass(frozen=True)
class PaymentOutcome:
    """What became of a payment. `details` are JSON, never a card number."""

    state: PayoffState
    processor_reference: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.state is PayoffState.INTENDED:
            raise ValueError("INTENDED is no outcome")


@dataclass(frozen=True)
class Payoff:
    """A payment of what is owed on one trip. `reference` is its key at the processor, made once."""

    payoff_id: int
    shopping_trip_id: str
    store_id: str
    amount: Money
    method: str
    reference: str
    instrument: Mapping[str, Any]
    state: PayoffState
    intended_at: datetime
    processor_reference: str | None = None
    attempts: int = 0


class PayoffPort(Protocol):
    """Whoever takes the money: `backroom.processors.payoff_payment`."""

    def pay(self, reference: str, amount: Money, instrument: Mapping[str, Any]) -> PaymentOutcome:
        """Asks for the money once. A repeat under the same reference takes it once only."""

    def lookup(self, reference: str) -> PaymentOutcome:
        """What became of that payment. NOT_SENT: it is not known there."""


def get(connection: Connection, payoff_id: int) -> Payoff:
    """A payoff as it stands. Raises BackroomError where there is none."""
    row = connection.execute(select(payoff).where(payoff.c.payoff_id == payoff_id)).mappings().one_or_none()
    if row is None:
        raise BackroomError(f"there is no payoff {payoff_id}")
    return of_row(row)


def open_payoff(connection: Connection, shopping_trip_id: str) -> Payoff | None:
    """The trip's payoff that has no outcome yet: there is at most one."""
    row = (
        connection.execute(
            select(payoff).where(payoff.c.shopping_trip_id == shopping_trip_id, payoff.c.state.in_(OPEN))
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else of_row(row)


def of_row(row: RowMapping) -> Payoff:
    """A row of `payoff`."""
    return Payoff(
        payoff_id=row["payoff_id"],
        shopping_trip_id=row["shopping_trip_id"],
        store_id=row["store_id"],
        amount=Money(row["amount"], row["currency"]),
        method=row["method"],
        reference=row["reference"],
        instrument=row["instrument"],
        state=PayoffState(row["state"]),
        intended_at=row["intended_at"],
        processor_reference=row["processor_reference"],
        attempts=row["attempts"],
    )
