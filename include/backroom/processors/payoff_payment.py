"""Payoffs through a store's own processor: the money is taken at once, under the payoff's own reference."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine, text

from backroom.checkout.pages import pages_of
from backroom.checkout.paying import has_page, outcome_under
from backroom.debts.payoff_record import PaymentOutcome, PayoffPort, PayoffState
from backroom.money import Money
from backroom.processors import instruments
from backroom.processors.call_records import PAY, call_under
from backroom.processors.calls import Calls
from backroom.processors.choosing import processor_of
from backroom.processors.port import Outcome, Payment, PaymentState, Problem, Result
from backroom.settings import settings

_SUBJECT: Final = text("select payoff_id from payoff where reference = :reference")


def payoff_port(engine: Engine, name: str, *, now: datetime) -> PayoffPort:
    """`backroom.debts.payoff.PayoffPort` at that processor. Raises ConfigurationError where it is not set up."""
    with processor_of(name, settings()):
        return ProcessorPayoffs(engine, name, now=now)


class ProcessorPayoffs:
    """Each call opens the processor's client by itself: payoffs are few."""

    def __init__(self, engine: Engine, name: str, *, now: datetime) -> None:
        self._engine = engine
        self._name = name
        self._now = now

    def pay(self, reference: str, amount: Money, instrument: Mapping[str, Any]) -> PaymentOutcome:
        """Asks for the money once. A repeat under the same reference is answered as the first was."""
        with self._engine.connect() as connection:
            card = instruments.by_id(connection, int(instrument["instrument_id"]))
        if card is None:
            return PaymentOutcome(PayoffState.NOT_SENT, details={"problem": "its instrument is not known"})
        with processor_of(self._name, settings()) as processor:
            calls = Calls(self._engine, processor, now=self._now)
            return outcome_of(calls.pay(reference, self._subject(reference), amount, card))

    def lookup(self, reference: str) -> PaymentOutcome:
        """What became of that payment. NOT_SENT: it was never asked for, or is not known at the processor."""
        with self._engine.connect() as connection:
            call = call_under(connection, reference, PAY)
            if call is None and has_page(connection, reference):
                with pages_of(self._name, settings()) as pages:
                    by_page = outcome_under(connection, pages, reference)
                assert by_page is not None
                return by_page
        if call is None:
            return PaymentOutcome(PayoffState.NOT_SENT, details={"processor": "was never asked"})
        with processor_of(self._name, settings()) as processor:
            return outcome_of(Calls(self._engine, processor, now=self._now).lookup(call))

    def _subject(self, reference: str) -> str:
        with self._engine.connect() as connection:
            number = connection.execute(_SUBJECT, {"reference": reference}).scalar()
        return f"payoff:{number}" if number is not None else f"payoff {reference}"


def outcome_of(result: Result) -> PaymentOutcome:
    """A processor's result in the words that debts know. A no that is not the card's means that nothing was sent."""
    if result.payment is not None and result.outcome is Outcome.SUCCEEDED:
        return paid(result.payment)
    told = result.for_the_record()
    match result.outcome:
        case Outcome.REFUSED if result.is_no(Problem.DECLINED):
            reference = result.payment.processor_reference if result.payment is not None else None
            return PaymentOutcome(PayoffState.DECLINED, reference, told)
        case Outcome.REFUSED | Outcome.NOT_SENT:
            return PaymentOutcome(PayoffState.NOT_SENT, details=told)
    return PaymentOutcome(PayoffState.UNKNOWN, details=told)


def paid(payment: Payment) -> PaymentOutcome:
    """What a payment that was found says of its payoff."""
    states = {PaymentState.CAPTURED: PayoffState.PAID, PaymentState.DECLINED: PayoffState.DECLINED}
    state = states.get(payment.state, PayoffState.UNKNOWN)
    details = {"state": payment.state.value, "captured": f"{payment.captured:f}"}
    return PaymentOutcome(state, payment.processor_reference, details)
