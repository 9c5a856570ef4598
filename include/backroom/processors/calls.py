"""Every call to the processor: an intent, committed before it; an outcome, after. A repeat looks before it asks.

What moves money is asked for under a reference that is made once. Where an earlier try of the same thing has no outcome
(its worker is gone) or an unknown one, the processor is asked first what became of it, and only what is not known there
is asked for again, under the same reference.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Engine

from backroom.money import Money
from backroom.processors import instruments
from backroom.processors.call_records import (
    ADJUST,
    AUTHORIZE,
    CAPTURE,
    PAY,
    REFUND,
    VOID,
    Call,
    call_under,
    conclude,
    intend,
    keep_look,
    latest_call,
    payment_in,
)
from backroom.processors.port import Instrument, Outcome, PaymentState, Problem, Processor, Refunded, Result
from backroom.settings import settings

_STOOD_STILL = Result(Outcome.NOT_SENT, Problem.UNREACHABLE, message="this worker stood still for too long")


class Calls:
    """The calls of one processor at one business time; each holds no transaction open while it waits."""

    def __init__(
        self, engine: Engine, processor: Processor, *, now: datetime, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`now` is business time; `clock` counts real seconds."""
        self._engine = engine
        self.processor = processor
        self._now = now
        self._clock = clock
        self._too_late = settings().processor_timeout_seconds

    def started(self) -> float:
        """Now, in real seconds, for `authorize`'s `since`."""
        return self._clock()

    def authorize(
        self, subject: str, amount: Money, instrument: Instrument, *, once: bool = False, since: float | None = None
    ) -> Result:
        """Asks to hold an amount for a trip or a gate event. A decline ends the try: the next one is a new one.

        `once`: the subject gets one try ever; what became of it is told again. `since`: when the caller saw that it is
        needed; after more than the look and the raise that may lie between, another may have seen to it.
        """
        if since is not None and self._clock() - since > 2 * self._too_late:
            return _STOOD_STILL
        return self._try(AUTHORIZE, subject, amount, instrument, self.processor.authorize, once=once)

    def pay(self, reference: str, subject: str, amount: Money, instrument: Instrument) -> Result:
        """Asks for money at once, under the caller's own reference; a repeat is answered as the first was."""
        return self._try(PAY, subject, amount, instrument, self.processor.pay, reference=reference, once=True)

    def adjust(self, subject: str, held: str, amount: Money, instrument: Instrument) -> Result:
        """Asks to raise the hold `held` to the whole amount. It sets a total, so an open one is asked for again."""
        earlier = self._latest(ADJUST, subject, held)
        if earlier is not None and earlier.open:
            now = self.look_at(held, subject)
            if now.payment is None:
                return _unknown(now)
            if now.payment.held >= amount.amount:
                return self._settle(earlier, now)
        reference = earlier.reference if earlier is not None and earlier.open else _new()
        return self._ask(
            ADJUST, reference, subject, amount, instrument, held, lambda: self.processor.adjust(reference, held, amount)
        )

    def capture(self, subject: str, held: str, amount: Money) -> Result:
        """Asks to take so much of the hold `held`, once. A capture that was made is told again, never made again."""
        earlier = self._latest(CAPTURE, subject, held)
        if earlier is not None and earlier.outcome is Outcome.SUCCEEDED:
            return _told_again(earlier)
        if earlier is not None and earlier.open:
            settled = self.settle_capture(earlier, held)
            if not settled.is_no(Problem.NOT_FOUND):
                return settled
        reference = earlier.reference if earlier is not None else _new()
        result = self._ask(
            CAPTURE, reference, subject, amount, None, held, lambda: self.processor.capture(reference, held, amount)
        )
        if result.is_no(Problem.WRONG_STATE) or result.is_no(Problem.BAD_REQUEST):
            call = self._latest(CAPTURE, subject, held)
            assert call is not None
            return self.settle_capture(call, held, otherwise=result)
        return result

    def settle_capture(self, call: Call, held: str, *, otherwise: Result | None = None) -> Result:
        """What became of a capture, by the payment itself. NOT_FOUND: it was not made, the hold stands.

        EXPIRED: nothing is held any more. `otherwise` is what counts where the hold stands.
        """
        now = self.look_at(held, call.subject)
        if now.payment is None:
            return _unknown(now)
        match now.payment.state:
            case PaymentState.CAPTURED:
                return self._settle(call, now)
            case PaymentState.HELD:
                not_made = Result(Outcome.REFUSED, Problem.NOT_FOUND, now.payment, message="the hold stands")
                return otherwise or self._settle(call, not_made, as_outcome=Outcome.NOT_SENT)
            case PaymentState.VOIDED | PaymentState.DECLINED:
                return self._settle(call, Result(Outcome.REFUSED, Problem.EXPIRED, now.payment))
        return _unknown(now)

    def void(self, subject: str, held: str) -> Result:
        """Asks to end the hold `held`; one that has ended already is ended."""
        earlier = self._latest(VOID, subject, held)
        reference = earlier.reference if earlier is not None else _new()
        result = self._ask(VOID, reference, subject, None, None, held, lambda: self.processor.void(reference, held))
        if result.outcome is Outcome.REFUSED:
            now = self.look_at(held, subject)
            if now.payment is not None and now.payment.state in (PaymentState.VOIDED, PaymentState.DECLINED):
                return now if earlier is None else self._settle(earlier, now)
        return result

    def refund(self, reference: str, subject: str, paid: str, amount: Money) -> Result:
        """Gives back so much of the payment `paid`, once for each reference; one that has failed has failed for good.

        A processor may tell a repeat what the first call was told, which is not how the refund ended.
        """
        earlier = self._under(reference, REFUND)
        if earlier is not None and earlier.declined:
            return _told_again(earlier)
        if earlier is not None and earlier.outcome is Outcome.SUCCEEDED and earlier.answer.get("state") != "PENDING":
            return _told_again(earlier)
        if earlier is not None and (earlier.open or earlier.outcome is Outcome.SUCCEEDED):
            found = self.lookup_refund(reference, subject, paid)
            if not found.is_no(Problem.NOT_FOUND):
                return found
        return self._ask(
            REFUND, reference, subject, amount, None, paid, lambda: self.processor.refund(reference, paid, amount)
        )

    def lookup_refund(self, reference: str, subject: str, paid: str) -> Result:
        """What became of a refund. NOT_FOUND: the processor does not know it. A look-up that can't ask is UNKNOWN."""
        found = self._look(reference, subject, lambda: self.processor.lookup_refund(reference, paid))
        earlier = self._under(reference, REFUND)
        if earlier is None:
            return found
        if found.refund is not None:
            return self._settle(earlier, as_refund(found))
        if found.is_no(Problem.NOT_FOUND):
            return self._settle(earlier, found, as_outcome=Outcome.NOT_SENT)
        return _unknown(found)

    def lookup(self, call: Call) -> Result:
        """What became of an authorization or a payment. NOT_FOUND: the processor does not know it."""
        with self._engine.connect() as connection:
            card = instruments.by_id(connection, call.instrument_id) if call.instrument_id is not None else None
        if card is None:
            return Result(Outcome.UNKNOWN, Problem.NOT_FOUND, message="no instrument is known for it")
        found = self._look(call.reference, call.subject, lambda: self.processor.lookup(call.reference, card))
        if found.payment is not None:
            return self._settle(call, as_try(found))
        if found.is_no(Problem.NOT_FOUND):
            return self._settle(call, found, as_outcome=Outcome.NOT_SENT)
        return _unknown(found)

    def look_at(self, processor_reference: str, subject: str) -> Result:
        """A payment as it stands; the look is on record too."""
        return self._look(processor_reference, subject, lambda: self.processor.look_at(processor_reference))

    def _try(
        self,
        operation: str,
        subject: str,
        amount: Money,
        card: Instrument,
        ask: Callable[..., Result],
        *,
        reference: str | None = None,
        once: bool,
    ) -> Result:
        began = self._clock()
        with self._engine.connect() as connection:
            if reference is not None:
                earlier = call_under(connection, reference, operation)
            else:
                earlier = latest_call(connection, operation, subject)
        if once and earlier is not None and (earlier.outcome is Outcome.SUCCEEDED or earlier.declined):
            return _told_again(earlier)
        if earlier is not None and earlier.open:
            found = self.lookup(earlier)
            if not found.is_no(Problem.NOT_FOUND):
                return found
            began = self._clock()  # it is asked for under the same reference: whoever else asks, asks for the same
        # what was never sent, or is not known there, is the same thing still
        again = earlier is not None and (earlier.open or earlier.outcome is Outcome.NOT_SENT)
        chosen = reference or (earlier.reference if earlier is not None and again else _new())
        return self._ask(
            operation,
            chosen,
            subject,
            amount,
            card,
            None,
            lambda: ask(chosen, amount, card, subject=subject),
            began=began,
        )

    def _ask(
        self,
        operation: str,
        reference: str,
        subject: str,
        amount: Money | None,
        card: Instrument | None,
        payment: str | None,
        ask: Callable[[], Result],
        *,
        began: float | None = None,
    ) -> Result:
        """Intent, one call, outcome. A worker that stood still in between makes no call: another may have gone on.

        `began`: when what is known of earlier calls was read, where that matters.
        """
        began = self._clock() if began is None else began
        name = self.processor.name
        with self._engine.begin() as connection:
            call = intend(connection, name, operation, reference, subject, amount, card, payment=payment, now=self._now)
        if isinstance(call, Result):
            return call
        late = self._clock() - began > self._too_late
        result = _STOOD_STILL if late else ask()
        with self._engine.begin() as connection:
            conclude(connection, call, result, outcome=result.outcome, now=self._now)
        return result

    def _settle(self, call: Call, result: Result, *, as_outcome: Outcome | None = None) -> Result:
        """Writes what a look-up tells of a call that was open, unless news of it came first."""
        with self._engine.begin() as connection:
            conclude(connection, call, result, outcome=as_outcome or result.outcome, now=self._now, only_open=True)
        return result

    def _look(self, reference: str, subject: str, look: Callable[[], Result]) -> Result:
        result = look()
        with self._engine.begin() as connection:
            keep_look(connection, self.processor.name, reference, subject, result, now=self._now)
        return result

    def _latest(self, operation: str, subject: str, held: str) -> Call | None:
        with self._engine.connect() as connection:
            return latest_call(connection, operation, subject, processor_reference=held)

    def _under(self, reference: str, operation: str) -> Call | None:
        with self._engine.connect() as connection:
            return call_under(connection, reference, operation)


def as_try(found: Result) -> Result:
    """A payment that was found, as the answer that its authorization (or payment) would have had."""
    assert found.payment is not None
    match found.payment.state:
        case PaymentState.HELD | PaymentState.CAPTURED:
            return found
        case PaymentState.PENDING:
            return Result(Outcome.UNKNOWN, Problem.UNINTELLIGIBLE, message="the processor is still at it")
    return Result(Outcome.REFUSED, Problem.DECLINED, found.payment, message="nothing is held")


def as_refund(found: Result) -> Result:
    """A refund that was found, as the answer that asking for it would have had."""
    assert found.refund is not None
    if found.refund.state is PaymentState.DECLINED:
        return Result(Outcome.REFUSED, Problem.DECLINED, refund=found.refund, message="the refund has failed")
    return found


def _told_again(call: Call) -> Result:
    """What the processor said, from the record: it is not asked again."""
    told = call.answer
    if call.declined:
        return Result(Outcome.REFUSED, Problem.DECLINED, message=str(told.get("message", "")))
    if call.operation == REFUND:
        state, amount = PaymentState(told["state"]), Decimal(told["amount"])
        refund = Refunded(told["processor_reference"], state, told["currency"], amount, call.reference)
        return Result(Outcome.SUCCEEDED, refund=refund)
    return Result(Outcome.SUCCEEDED, payment=payment_in(told, call.reference))


def _unknown(looked: Result) -> Result:
    """A look-up that brought nothing: what was looked for stays unknown."""
    return Result(Outcome.UNKNOWN, looked.problem, message=f"looked up: {looked.message}", status=looked.status)


def _new() -> str:
    return str(uuid.uuid4())
