"""What Amazon's answer to one attempt means for the charge and for the batch: pure rules."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.amazon.payments import Adjustment
from backroom.charges.rules import ParkedFor
from backroom.charges.states import Kind, Operation

UNREACHABLE_SECONDS: Final = 60  # when a service that was not reached is tried again
NOT_ALLOWED_SECONDS: Final = 900  # when a store that Amazon has not allow-listed is tried again


@dataclass(frozen=True)
class Heard:
    """`kind` is None where the attempt changed nothing. `hold_store_seconds`: the whole store's charges wait."""

    kind: Kind | None
    amount: Decimal | None = None
    parked_for: ParkedFor | None = None
    hold_store_seconds: int | None = None


def heard(operation: Operation, asked: Decimal, currency: str, answer: Answer, adjustment: Adjustment | None) -> Heard:
    """The event that an answer to `operation` over `asked` is. Amounts in `currency`, the charge's."""
    match answer.outcome:
        case Outcome.NOT_SENT:
            return Heard(None, hold_store_seconds=UNREACHABLE_SECONDS)
        case Outcome.UNKNOWN:
            return Heard(_UNKNOWN[operation], asked if operation is Operation.CAPTURE else None)
        case Outcome.REFUSED:
            return _refused(answer)
        case Outcome.SUCCEEDED if operation is Operation.CAPTURE:
            return Heard(Kind.CAPTURE_INITIATED, asked)
        case Outcome.SUCCEEDED if operation is Operation.CANCEL:
            return Heard(Kind.CANCEL_INITIATED)
    return _adjusted(adjustment, currency)


_UNKNOWN: Final = {
    Operation.ADJUST: Kind.ADJUST_UNKNOWN,
    Operation.CAPTURE: Kind.CAPTURE_UNKNOWN,
    Operation.CANCEL: Kind.CANCEL_UNKNOWN,
}


def unknown(operation: Operation, asked: Decimal | None) -> Heard:
    """What an intent without an outcome is, once its lease is lost."""
    return Heard(_UNKNOWN[operation], asked if operation is Operation.CAPTURE else None)


def _refused(answer: Answer) -> Heard:
    if answer.problem is Problem.THROTTLED:
        return Heard(None, hold_store_seconds=answer.retry_after)
    if answer.problem is Problem.EXPIRED:
        return Heard(Kind.TOKEN_EXPIRED)
    hold = NOT_ALLOWED_SECONDS if answer.problem is Problem.NOT_ALLOWED else None
    return Heard(Kind.PARKED, parked_for=ParkedFor.REFUSED_BY_AMAZON, hold_store_seconds=hold)


def _adjusted(adjustment: Adjustment | None, currency: str) -> Heard:
    if adjustment is None:
        raise ValueError("a successful adjustment says what is held")
    held = adjustment.authorized
    if held.currency != currency:
        return Heard(Kind.EVIDENCE_DISAGREES, held.amount, ParkedFor.EVIDENCE_DISAGREES)
    if adjustment.status == "PENDING":
        return Heard(Kind.ADJUST_PENDING)  # it echoes what was asked for: no money is held
    if adjustment.status == "DECLINED" or held.amount <= 0:
        return Heard(Kind.ADJUST_DECLINED, Decimal(0))
    return Heard(Kind.ADJUST_APPROVED, held.amount)
