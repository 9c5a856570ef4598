"""By whom a refund is carried out: Amazon for what its capture took, a processor for what it took itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import Connection, RowMapping, text

from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.amazon.payments import MalformedRequest
from backroom.money import Money
from backroom.processors.holds import CAPTURED_REFERENCE
from backroom.refunds.splitting import CAPTURE, PAYOFF

AMAZON: Final = "AMAZON"


class Refunds(Protocol):
    """What refunds need of Amazon: `backroom.amazon.refund_client.RefundClient`."""

    def refund(
        self, *, store_id: str, shopping_trip_id: str, amount: Money, refund_request_key: str, reason: str
    ) -> tuple[Answer, str | None]:
        """Begins to give back `amount`; the reconciliation id, where one comes. A repeat by the key is harmless."""


@dataclass(frozen=True)
class ProcessorAnswer:
    """What a processor made of a refund: the outcome of this attempt, and whether the money is back for good."""

    answer: Answer
    final: bool = False
    processor_reference: str | None = None  # what the processor calls the refund


class RefundPort(Protocol):
    """What refunds need of the retailer's own processor."""

    def refund(self, reference: str, processor_reference: str, amount: Money) -> ProcessorAnswer:
        """Gives back `amount` of the payment `processor_reference`.

        `reference` is our key: a repeat with it has no further effect, which the port sees to.
        """

    def became(self, reference: str, processor_reference: str) -> bool | None:
        """Whether the refund under our key was given back (True) or has failed (False); None: not settled yet."""


@dataclass(frozen=True)
class Order:
    """One refund, ready to be asked for. `processor` AMAZON or the processor that took the money."""

    refund_id: int
    store_id: str
    shopping_trip_id: str
    instrument: str
    amount: Money
    refund_request_key: str
    reason: str
    processor: str
    processor_reference: str | None  # what the processor calls the payment that is given back


@dataclass(frozen=True)
class Told:
    """The outcome of one attempt. `final`: no further evidence is needed."""

    answer: Answer
    final: bool
    reconciliation_id: str | None


_PAID_BY: Final = text(
    f"""
    select q.reason, s.payment_processor, p.method, p.processor_reference as payoff_reference,
           ({CAPTURED_REFERENCE.format(trip="r.shopping_trip_id")}) as capture_reference
    from refund r join refund_request q using (request_id) join store s on s.store_id = r.store_id
    left join payoff p on r.instrument = 'PAYOFF' || chr(58) || p.payoff_id
    where r.refund_id = :refund
    """  # noqa: S608 - constants of the code
)


def order(connection: Connection, one: RowMapping) -> Order:
    """What is to be asked for, and of whom."""
    row = connection.execute(_PAID_BY, {"refund": one["refund_id"]}).one()
    of_payoff = str(one["instrument"]).startswith(PAYOFF)
    return Order(
        refund_id=one["refund_id"],
        store_id=one["store_id"],
        shopping_trip_id=one["shopping_trip_id"],
        instrument=one["instrument"],
        amount=Money(one["amount"], one["currency"]),
        refund_request_key=one["refund_request_key"],
        reason=row.reason,
        processor=row.method if of_payoff else row.payment_processor,
        processor_reference=row.payoff_reference if of_payoff else row.capture_reference,
    )


def carry_out(asked: Order, amazon: Refunds, processors: Mapping[str, RefundPort]) -> Told:
    """One attempt. A call that could not even be made is NOT_SENT; one that Amazon would refuse is REFUSED."""
    if asked.processor == AMAZON and asked.instrument == CAPTURE:
        try:
            answer, reconciliation_id = amazon.refund(
                store_id=asked.store_id,
                shopping_trip_id=asked.shopping_trip_id,
                amount=asked.amount,
                refund_request_key=asked.refund_request_key,
                reason=asked.reason,
            )
        except MalformedRequest as error:  # nothing was sent
            return Told(Answer(Outcome.REFUSED, Problem.BAD_REQUEST, message=str(error)), False, None)
        return Told(answer, False, reconciliation_id)
    port = processors.get(asked.processor)
    if port is None:
        missing = f"no processor {asked.processor} is configured here"
        return Told(Answer(Outcome.NOT_SENT, Problem.UNREACHABLE, message=missing), False, None)
    if asked.processor_reference is None:
        lost = f"the payment of {asked.instrument} has no reference at {asked.processor}"
        return Told(Answer(Outcome.REFUSED, Problem.BAD_REQUEST, message=lost), False, None)
    said = port.refund(asked.refund_request_key, asked.processor_reference, asked.amount)
    return Told(said.answer, said.final and said.answer.outcome is Outcome.SUCCEEDED, said.processor_reference)
