"""The port to the retailer's own payment processor: six things that it is asked, and what its answers mean.

A call is one attempt; no adapter repeats anything by itself. `reference` is ours, made once for one thing and the same
for each try of it; `processor_reference` is the processor's name for the payment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from backroom.amazon.outcomes import Outcome
from backroom.card_numbers import remove_card_numbers
from backroom.money import Money

__all__ = ["Instrument", "Outcome", "Payment", "PaymentState", "Problem", "Processor", "Refunded", "Result"]


class Problem(StrEnum):
    """Why a call did not succeed."""

    DECLINED = "DECLINED"  # the card's issuer, or the processor for it, says no
    CAPPED = "CAPPED"  # we said no before it was sent: the networks' limits are near (caps.py)
    CANNOT_RAISE = "CANNOT_RAISE"  # this hold can't be made larger
    WRONG_STATE = "WRONG_STATE"  # the payment is not where the call would need it: captured or voided already, say
    EXPIRED = "EXPIRED"  # the hold has lapsed
    NOT_FOUND = "NOT_FOUND"  # the processor does not know what was asked about
    BAD_REQUEST = "BAD_REQUEST"
    NOT_ALLOWED = "NOT_ALLOWED"  # our key is not good for it
    THROTTLED = "THROTTLED"
    SERVER_ERROR = "SERVER_ERROR"
    TIMED_OUT = "TIMED_OUT"
    CONNECTION_LOST = "CONNECTION_LOST"
    UNREACHABLE = "UNREACHABLE"
    UNINTELLIGIBLE = "UNINTELLIGIBLE"


class PaymentState(StrEnum):
    """Where a payment stands at the processor."""

    HELD = "HELD"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    DECLINED = "DECLINED"
    PENDING = "PENDING"


@dataclass(frozen=True)
class Instrument:
    """A card as tokens. `brand` is in capitals: VISA, MASTERCARD, …; the networks' caps go by it."""

    instrument_id: int
    customer_token: str
    method_token: str
    brand: str
    last_four: str


@dataclass(frozen=True)
class Payment:
    """A payment as the processor tells it. `held` can be captured now; `captured` was, refunds not taken off."""

    processor_reference: str
    state: PaymentState
    currency: str
    held: Decimal = Decimal(0)
    captured: Decimal = Decimal(0)
    reference: str | None = None


@dataclass(frozen=True)
class Refunded:
    """A refund as the processor tells it. PENDING: it has begun; DECLINED: it has failed; CAPTURED: it is done."""

    processor_reference: str
    state: PaymentState
    currency: str
    amount: Decimal
    reference: str | None = None


@dataclass(frozen=True)
class Result:
    """One call's end. `payment` (of a refund: `refund`) is there where the outcome is SUCCEEDED."""

    outcome: Outcome
    problem: Problem | None = None
    payment: Payment | None = None
    refund: Refunded | None = None
    message: str = ""
    status: int | None = None
    latency_seconds: float | None = None

    def is_no(self, problem: Problem) -> bool:
        """Whether it is a definite no, for that reason."""
        return self.outcome is Outcome.REFUSED and self.problem is problem

    def for_the_record(self) -> dict[str, Any]:
        """As it is kept in a JSON column: amounts as exact text, never a card number."""
        kept: dict[str, Any] = {}
        for told in (self.payment, self.refund):
            if told is not None:
                kept |= {name: _as_text(value) for name, value in vars(told).items() if value is not None}
        if self.problem is not None:
            kept |= {"problem": self.problem.value, "message": self.message}
        if self.status is not None:
            kept["http_status"] = self.status
        kept_safely: dict[str, Any] = remove_card_numbers(kept, keep=frozenset({("processor_reference",)}))
        return kept_safely

    def taking(self, seconds: float) -> Result:
        """The same, with how long it took."""
        return replace(self, latency_seconds=seconds)


class Processor(Protocol):
    """A processor. Thread-safe; `name` is the store's `payment_processor`."""

    @property
    def name(self) -> str:
        """STRIPE or SANDBOX."""

    def authorize(self, reference: str, amount: Money, instrument: Instrument, *, subject: str) -> Result:
        """Asks to hold an amount. SUCCEEDED: it is held. `subject` tells a person there what it is about."""

    def pay(self, reference: str, amount: Money, instrument: Instrument, *, subject: str) -> Result:
        """Asks to take an amount at once."""

    def adjust(self, reference: str, processor_reference: str, amount: Money) -> Result:
        """Asks to raise a hold to the whole amount. CANNOT_RAISE: this hold, or this processor, can't."""

    def capture(self, reference: str, processor_reference: str, amount: Money) -> Result:
        """Asks to take so much of a hold; the rest is freed. The answer is final, not only a beginning."""

    def void(self, reference: str, processor_reference: str) -> Result:
        """Asks to end a hold."""

    def refund(self, reference: str, processor_reference: str, amount: Money) -> Result:
        """Asks to give back so much of what a payment took."""

    def lookup(self, reference: str, instrument: Instrument) -> Result:
        """The payment that was asked for under our reference. NOT_FOUND: it is not known there."""

    def look_at(self, processor_reference: str) -> Result:
        """The payment with that name, as it stands."""

    def lookup_refund(self, reference: str, processor_reference: str) -> Result:
        """The refund of that payment under our reference. NOT_FOUND: it is not known there."""

    def close(self) -> None:
        """Ends the connections."""


def _as_text(value: Any) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value
