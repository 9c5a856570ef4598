"""A store's own processor as the charges' lifecycle knows Amazon: adjust, capture, cancel of a trip.

Adjust raises the trip's hold to the whole total. Where it can't be raised, the whole total is held anew, and only once
that stands is the smaller hold ended: so a decline leaves what the gate held. Void and authorize anew would not be one
step, and between them nothing would be held. For a moment both holds are on the card (docs/processors.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy import Engine

from backroom.amazon import outcomes
from backroom.amazon.outcomes import Answer
from backroom.amazon.payments import Adjustment
from backroom.money import Money
from backroom.processors import holds, instruments
from backroom.processors.call_records import AUTHORIZE, latest_call
from backroom.processors.calls import Calls
from backroom.processors.holds import Hold
from backroom.processors.port import Outcome, PaymentState, Problem, Processor, Result

NO_INSTRUMENT: Final = Result(Outcome.REFUSED, Problem.DECLINED, message="the shopper has no payment instrument")
_NOTHING_HELD: Final = Result(Outcome.REFUSED, Problem.EXPIRED, message="nothing is held any more")


class ProcessorPayments:
    """`backroom.charges.lifecycle.Payments` over a processor, at one business time. Thread-safe."""

    def __init__(
        self, engine: Engine, processor: Processor, *, now: datetime, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` counts real seconds."""
        self._engine = engine
        self._name = processor.name
        self._calls = Calls(engine, processor, now=now, clock=clock)
        self._now = now

    def adjust(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> tuple[Answer, Adjustment | None]:
        """Holds the whole total. PENDING while the gate's own hold is still being asked for."""
        began = self._calls.started()
        with self._engine.begin() as connection:
            holds.link(connection, shopping_trip_id, now=self._now)
            waits = False
            for hold in holds.gate_holds(connection, shopping_trip_id):
                if hold.state == "INTENDED" and holds.withdraw(connection, hold.auth_event_id, now=self._now):
                    continue  # nobody has asked for it yet: the whole total is asked for instead
                waits = waits or hold.busy or hold.state in ("INTENDED", "UNKNOWN")
            standing = holds.to_charge(holds.of_trip(connection, shopping_trip_id))
            card = instruments.of_trip(connection, shopping_trip_id, self._name)
            if standing is not None and standing.instrument_id is not None:
                held_by = instruments.by_id(connection, standing.instrument_id)
            else:
                held_by = None
        if waits:
            return Answer(outcomes.Outcome.SUCCEEDED, message="the gate's hold"), Adjustment("PENDING", amount)
        if standing is not None and standing.held >= amount.amount:
            return Answer(outcomes.Outcome.SUCCEEDED, message="held already"), Adjustment("APPROVED", amount)
        result = NO_INSTRUMENT
        if standing is not None and held_by is not None:
            result = self._calls.adjust(shopping_trip_id, standing.processor_reference, amount, held_by)
        if standing is None or held_by is None or result.is_no(Problem.CANNOT_RAISE):
            chosen = card or held_by
            result = NO_INSTRUMENT
            if chosen is not None:
                result = self._calls.authorize(shopping_trip_id, amount, chosen, since=began)
        return self._adjusted(shopping_trip_id, amount, result)

    def capture(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> Answer:
        """Takes so much of what is held. Success means asked; that it is final comes as evidence, a moment later."""
        with self._engine.connect() as connection:
            found = holds.of_trip(connection, shopping_trip_id)
        taken = [hold for hold in found if hold.state is PaymentState.CAPTURED]
        hold = taken[-1] if taken else holds.to_charge(found)
        if hold is None:
            return answer_of(_NOTHING_HELD)
        result = self._calls.capture(shopping_trip_id, hold.processor_reference, amount)
        if result.outcome is Outcome.SUCCEEDED:
            with self._engine.begin() as connection:
                holds.mark_used(connection, hold.subject, now=self._now)
                holds.release(connection, shopping_trip_id, but=hold.processor_reference, now=self._now)
        return answer_of(result)

    def cancel(self, *, store_id: str, shopping_trip_id: str) -> Answer:
        """Ends every hold of the trip; success means that all have ended."""
        if (open_one := self._unsettled(shopping_trip_id)) is not None:
            return answer_of(open_one)
        with self._engine.connect() as connection:
            standing = [hold for hold in holds.of_trip(connection, shopping_trip_id) if hold.state is PaymentState.HELD]
        for hold in standing:
            if (failed := self._void(shopping_trip_id, hold)) is not None:
                return answer_of(failed)
        return Answer(outcomes.Outcome.SUCCEEDED, message=f"{len(standing)} holds ended")

    def _unsettled(self, shopping_trip_id: str) -> Result | None:
        """Asks what became of whatever may yet hold money; None once all of it is known."""
        with self._engine.begin() as connection:
            holds.link(connection, shopping_trip_id, now=self._now)
            subjects = [shopping_trip_id]
            for hold in holds.gate_holds(connection, shopping_trip_id):
                if holds.withdraw(connection, hold.auth_event_id, now=self._now):
                    continue
                if hold.busy:
                    return Result(Outcome.UNKNOWN, Problem.UNINTELLIGIBLE, message="the gate's hold is being asked for")
                subjects.append(hold.auth_event_id)
            calls = [latest_call(connection, AUTHORIZE, subject) for subject in subjects]
        for call in calls:
            if call is not None and call.open:
                found = self._calls.lookup(call)
                if found.outcome is not Outcome.SUCCEEDED and found.outcome is not Outcome.REFUSED:
                    return found
        return None

    def _void(self, shopping_trip_id: str, hold: Hold) -> Result | None:
        result = self._calls.void(shopping_trip_id, hold.processor_reference)
        if result.outcome is not Outcome.SUCCEEDED:
            return result
        with self._engine.begin() as connection:
            holds.mark_voided(connection, hold.subject, now=self._now)
        return None

    def _adjusted(self, shopping_trip_id: str, amount: Money, result: Result) -> tuple[Answer, Adjustment | None]:
        if result.is_no(Problem.DECLINED):
            declined = Adjustment("DECLINED", Money.zero(amount.currency))
            return Answer(outcomes.Outcome.SUCCEEDED, status=result.status, message=result.message), declined
        if result.payment is None or result.outcome is not Outcome.SUCCEEDED:
            return answer_of(result), None
        with self._engine.begin() as connection:
            holds.release(connection, shopping_trip_id, but=result.payment.processor_reference, now=self._now)
        held = Money(result.payment.held, result.payment.currency)
        return answer_of(result), Adjustment("APPROVED", held)


def answer_of(result: Result) -> Answer:
    """A processor's result in the words that charges know.

    A 429 is a definite no that only asks for a pause: as if it had not been sent, so that it never binds Amazon's own
    calls. What only processors say (capped, wrong state) is a request that was refused, which a person looks at.
    """
    if result.is_no(Problem.THROTTLED):
        return Answer(
            outcomes.Outcome.NOT_SENT, outcomes.Problem.UNREACHABLE, result.status, message=f"429 {result.message}"
        )
    problem = None
    if result.problem is not None:
        known = result.problem.value in outcomes.Problem.__members__
        problem = outcomes.Problem(result.problem.value) if known else outcomes.Problem.BAD_REQUEST
    message = f"{result.problem}: {result.message}" if result.problem is not None else result.message
    return Answer(
        result.outcome, problem, result.status, result.for_the_record(), message, latency_seconds=result.latency_seconds
    )
