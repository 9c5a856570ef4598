"""Moving the money of the charges that are due: adjust, then capture; or cancel. Nothing is lost, nothing twice.

Each call stands between two transactions. The one before it checks the fencing number, folds the history, decides and
writes the intent; the one after it writes the outcome and, where more is due at once, the next intent.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Protocol

import structlog
from sqlalchemy import Connection, Engine

from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.amazon.payments import Adjustment, MalformedRequest
from backroom.charges import attempts, history, parking, queue
from backroom.charges.answers import heard
from backroom.charges.attempts import Intent
from backroom.charges.evidence import gather_evidence
from backroom.charges.history import Chance, Charge, News
from backroom.charges.queue import Claim, stores_with_due
from backroom.charges.rules import Action, Step, next_step
from backroom.charges.states import Event, Kind, Operation, Source
from backroom.money import Money
from backroom.settings import settings

__all__ = ["Payments", "Worked", "gather_evidence", "stores_with_due", "work_due"]

_log = structlog.get_logger()
_SHORT_WAIT: Final = 10  # seconds of Retry-After that a batch waits itself; longer ones move the store's next attempts
_WAITS_IN_ALL: Final = 60.0  # seconds that a batch waits so at most
_STOOD_STILL: Final = Answer(Outcome.NOT_SENT, Problem.UNREACHABLE, message="this worker stood still for too long")
_UNCHANGED: Final = timedelta(minutes=1)  # when a charge that an answer did not change is looked at again


class Payments(Protocol):
    """What the lifecycle needs of Amazon's payment service: `backroom.amazon.payments.PaymentsClient`."""

    def adjust(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> tuple[Answer, Adjustment | None]:
        """Holds the whole cart total."""

    def capture(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> Answer:
        """Begins to take what is held."""

    def cancel(self, *, store_id: str, shopping_trip_id: str) -> Answer:
        """Begins to end the hold."""


@dataclass
class Worked:
    """What one batch did: trips, calls by operation and outcome, and where the trips stand now."""

    trips: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    held_until: datetime | None = None  # Amazon told the whole store to wait

    def as_json(self) -> dict[str, Any]:
        """For logs and for Airflow's XCom."""
        return {
            "trips": self.trips,
            "calls": dict(self.calls),
            "states": dict(self.states),
            "held_until": self.held_until.isoformat() if self.held_until else None,
        }


def work_due(
    engine: Engine,
    client: Payments,
    *,
    store_id: str,
    now: datetime,
    chance: Chance = Random,
    concurrency: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Worked:
    """Works on every charge of the store that is due at `now` (business time), several at once; safe to run twice.

    A 429, a 403 or a service that can't be reached stops the batch and moves the whole store's next attempts; a 429
    that asks for a few seconds only is waited out, by all hands. `sleep` waits real seconds, `clock` counts them.
    """
    batch = _Batch(engine, client, store_id, now, chance, sleep, clock)
    threads = concurrency or settings().charge_concurrency
    with ThreadPoolExecutor(threads, thread_name_prefix=f"charge-{store_id}") as pool:
        for finished in [pool.submit(batch.work_until_done) for _ in range(threads)]:
            finished.result()
    _log.info("charges_worked", store_id=store_id, now=now.isoformat(), **batch.worked.as_json())
    return batch.worked


class _Batch:
    def __init__(
        self,
        engine: Engine,
        client: Payments,
        store_id: str,
        now: datetime,
        chance: Chance,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._client = client
        self._store_id = store_id
        self._now = now
        self._chance = chance
        self._lease = settings().charge_lease_seconds
        self._clock = clock
        # a worker that was frozen for longer makes no call: its lease may be another's by the time it ends
        self._too_late = self._lease - 2 * settings().amazon_timeout_seconds
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._sleep = sleep
        self._resume_at = 0.0  # by time.monotonic
        self._waits_left = _WAITS_IN_ALL
        self.worked = Worked()

    def work_until_done(self) -> None:
        """One thread's share: trip after trip, until none is due or the batch is stopped."""
        try:
            while not self._stopped.is_set():
                if (wait := self._resume_at - time.monotonic()) > 0:
                    self._sleep(wait)
                elif not self._work_one():
                    return
        except BaseException:
            self._stopped.set()
            raise

    def _work_one(self) -> bool:
        began = self._clock()
        with self._engine.begin() as connection:
            mine = queue.claim(connection, store_id=self._store_id, now=self._now, lease_seconds=self._lease)
            if mine is None:
                return False
            one = history.lock(connection, [mine.shopping_trip_id])[mine.shopping_trip_id]
            if left := attempts.abandon(connection, one.shopping_trip_id, now=self._now):
                one = self._add(connection, one, left)
            one, intent = self._decide(connection, one, mine)
        while intent is not None:
            stood_still = self._clock() - began > self._too_late
            answer, adjustment = (_STOOD_STILL, None) if stood_still else self._call(one, intent)
            began = self._clock()
            with self._engine.begin() as connection:
                one, hold = self._hear(connection, mine, intent, answer, adjustment)
                held = hold is not None and self._hold(hold, answer)
                one, intent = self._decide(connection, one, mine)
            if hold is not None and held:
                with self._engine.begin() as connection:
                    queue.hold_store(connection, store_id=self._store_id, now=self._now, seconds=hold)
        with self._lock:
            self.worked.trips += 1
            self.worked.states[one.folded.state.kept_as] += 1
        return True

    def _decide(self, connection: Connection, one: Charge, mine: Claim) -> tuple[Charge, Intent | None]:
        """What is due now: the next intent, written; or None, and the lease is given back."""
        while one.fencing == mine.fencing and one.next_attempt_at is not None and one.next_attempt_at <= self._now:
            if self.worked.held_until is not None or self._resume_at > time.monotonic():
                queue.release(connection, mine, next_attempt_at=self.worked.held_until or one.next_attempt_at)
                return one, None
            step = next_step(one.folded, now=self._now, expires_at=one.expires_at, rules=one.rules)
            if (operation := step.action.operation) is not None:
                queue.renew(connection, one.shopping_trip_id, lease_seconds=self._lease)
                return one, attempts.intend(connection, one, operation, step.amount, now=self._now)
            if step.action is Action.WAIT:
                break
            one = self._without_a_call(connection, one, step)
        # what is waited for must not be due at once again
        due = one.next_attempt_at
        postponed = self._now + _UNCHANGED if due is not None and due <= self._now else due
        queue.release(connection, mine, next_attempt_at=postponed)
        return one, None

    def _without_a_call(self, connection: Connection, one: Charge, step: Step) -> Charge:
        at = one.at(self._now)
        match step.action:
            case Action.GIVE_UP:
                event = Event(Kind.DECLINES_EXHAUSTED, at, Source.CLOCK, f"{one.folded.declines} declines")
            case Action.KEEP_PREAUTHORIZATION:
                event = Event(
                    Kind.PREAUTHORIZATION_KEPT, at, Source.CLOCK, f"{one.folded.declines} declines", step.amount
                )
            case _:
                assert step.why is not None
                event = Event(Kind.PARKED, at, Source.CLOCK, f"{step.why} at {at.isoformat()}")
                parking.ask(connection, one, step.why, {}, now=self._now)
        return self._add(connection, one, [News(event, {"why": step.why.value} if step.why else {})])

    def _call(self, one: Charge, intent: Intent) -> tuple[Answer, Adjustment | None]:
        trip = {"store_id": one.store_id, "shopping_trip_id": one.shopping_trip_id}
        try:
            match intent.operation:
                case Operation.ADJUST:
                    return self._client.adjust(**trip, amount=Money(intent.amount, one.currency))
                case Operation.CAPTURE:
                    return self._client.capture(**trip, amount=Money(intent.amount, one.currency)), None
                case Operation.CANCEL:
                    return self._client.cancel(**trip), None
        except MalformedRequest as error:  # nothing was sent
            return Answer(Outcome.REFUSED, Problem.BAD_REQUEST, message=str(error)), None

    def _hear(
        self, connection: Connection, mine: Claim, intent: Intent, answer: Answer, adjustment: Adjustment | None
    ) -> tuple[Charge, int | None]:
        """Writes the outcome and what it means. An outcome is a fact: it is kept even where the lease was lost."""
        one = history.lock(connection, [mine.shopping_trip_id])[mine.shopping_trip_id]
        attempts.conclude(connection, intent, answer, now=self._now)
        said = heard(intent.operation, intent.amount, one.currency, answer, adjustment)
        with self._lock:
            self.worked.calls[f"{intent.operation} {answer.problem or answer.outcome}"] += 1
        if said.kind is not None:
            why = said.parked_for
            details = {"problem": answer.problem.value, "message": answer.message} if answer.problem else {}
            if why is not None:
                parking.ask(connection, one, why, _known(intent, answer, adjustment), now=self._now)
                details["why"] = why.value
            event = Event(
                said.kind, intent.intended_at, Source.ATTEMPT, str(intent.attempt_id), said.amount, intent.number
            )
            one = self._add(connection, one, [News(event, details)])
        return one, said.hold_store_seconds

    def _add(self, connection: Connection, one: Charge, news: list[News]) -> Charge:
        trip = one.shopping_trip_id
        after = history.add(connection, {trip: one}, {trip: news}, now=self._now, chance=self._chance)[trip]
        if after.folded == one.folded:  # news that changed nothing must not make the charge due at once again
            return replace(after, next_attempt_at=self._now + _UNCHANGED)
        return after

    def _hold(self, seconds: int, answer: Answer) -> bool:
        """Stops the batch and says True, or makes all hands wait a little."""
        with self._lock:
            short = answer.problem is Problem.THROTTLED and seconds <= min(_SHORT_WAIT, self._waits_left)
            if short:
                self._waits_left -= max(seconds, 1)
                self._resume_at = max(self._resume_at, time.monotonic() + max(seconds, 1))
                return False
            until = self._now + timedelta(seconds=seconds)
            self.worked.held_until = max(until, self.worked.held_until or until)
            self._stopped.set()
            return True


def _known(intent: Intent, answer: Answer, adjustment: Adjustment | None) -> dict[str, Any]:
    known: dict[str, Any] = {
        "operation": intent.operation.value,
        "attempt": intent.number,
        "http_status": answer.status,
        "message": answer.message,
    }
    if adjustment is not None:
        known["amazon_currency"] = adjustment.authorized.currency
        known["amazon_amount"] = format(adjustment.authorized.amount, "f")
    return known
