"""What happens between calls, for many trips in one transaction: answers are taken in, and the next calls written down.

A turn locks the trips, checks their fencing numbers, folds their histories and decides. What it returns may be called
once it has committed. Its statements are as many for one trip as for a hundred.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from backroom.amazon import holds
from backroom.amazon.outcomes import Answer, Problem
from backroom.amazon.payments import Adjustment
from backroom.charges import attempts, history, parking, queue
from backroom.charges.answers import Heard, heard
from backroom.charges.attempts import Ask, Intent
from backroom.charges.history import Chance, Charge, News
from backroom.charges.queue import Claim, Release
from backroom.charges.rules import Action, Step, next_step
from backroom.charges.states import Event, Kind, Source, State

_SHORT_WAIT: Final = 10  # seconds of Retry-After that a batch waits itself; longer ones hold everyone
_WAITS_IN_ALL: Final = 60.0  # seconds that a batch waits so at most
_UNCHANGED: Final = timedelta(minutes=1)  # when a charge that an answer did not change is looked at again
# What a definite no means. It settles its own attempt only: where another worker has asked since, that answer counts.
_NO: Final = frozenset({Kind.PARKED, Kind.TOKEN_EXPIRED, Kind.EVIDENCE_DISAGREES})


@dataclass
class Worked:
    """What one batch did: trips, calls by operation and outcome, and where the trips stand now."""

    trips: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    held_until: datetime | None = None  # Amazon told us to wait

    def as_json(self) -> dict[str, Any]:
        """For logs and for Airflow's XCom."""
        return {
            "trips": self.trips,
            "calls": dict(self.calls),
            "states": dict(self.states),
            "held_until": self.held_until.isoformat() if self.held_until else None,
        }


@dataclass(frozen=True)
class Call:
    """A call whose intent is committed. `decided_at`: real seconds, of the batch's clock."""

    claim: Claim
    charge: Charge
    intent: Intent
    decided_at: float


@dataclass(frozen=True)
class Answered:
    """A call and what came of it."""

    call: Call
    answer: Answer
    adjustment: Adjustment | None = None


class Turns:
    """The turns of one batch over one store, one at a time, on the batch's own connection (`queue.session`)."""

    def __init__(
        self,
        connection: Connection,
        store_id: str,
        now: datetime,
        *,
        lease_seconds: int,
        chance: Chance,
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._store_id = store_id
        self._now = now
        self._lease = lease_seconds
        self._chance = chance
        self._clock = clock
        self._waits_left = _WAITS_IN_ALL
        self._resume_at = 0.0  # by time.monotonic
        self.stopped = False
        self.worked = Worked()

    @property
    def wait(self) -> float:
        """Seconds for which nothing may be called, because Amazon asked for a short pause."""
        return max(self._resume_at - time.monotonic(), 0.0)

    def take(self, answered: Sequence[Answered], *, room: int) -> tuple[list[Call], int]:
        """Takes in answers and returns the calls that are next, with how many trips were claimed for them.

        `room` is how many calls may be under way; it is filled with trips that are due, unless the batch has stopped.
        """
        began = self._clock()
        connection = self._connection
        with connection.begin():
            self._obey(connection)
            hold_store, mine = self._hear(connection, answered)
            asks = self._decide(connection, mine)  # renewed before anything is claimed, so that none of them is
            claims = self._claim(connection, room - len(asks))
            asks += self._decide(connection, claims)
            intents = attempts.intend(connection, [ask for _, ask in asks], now=self._now)
        if hold_store is not None:
            with connection.begin():
                queue.hold_store(connection, store_id=self._store_id, until=hold_store)
        calls = [Call(claim, ask.charge, intent, began) for (claim, ask), intent in zip(asks, intents, strict=True)]
        return calls, len(claims)

    def _obey(self, connection: Connection) -> None:
        """Whoever hears a 429 binds everyone who shares the limit."""
        held = holds.held_until(connection, holds.PAYMENTS, now=self._now)
        if held is not None:
            self.stopped = True
            self.worked.held_until = max(held, self.worked.held_until or held)

    def _claim(self, connection: Connection, room: int) -> list[tuple[Claim, Charge]]:
        if room <= 0 or self.stopped or self.wait > 0:
            return []
        rows = queue.claim(connection, store_id=self._store_id, now=self._now, lease_seconds=self._lease, most=room)
        if not rows:
            return []
        charges = history.charges_of(connection, rows)
        asked_before = [row["shopping_trip_id"] for row in rows if row["attempts"]]
        left = attempts.abandon(connection, asked_before, now=self._now) if asked_before else {}
        charges |= self._add(connection, {trip: charges[trip] for trip in left}, left)
        return [(Claim(trip, one.fencing), one) for trip, one in charges.items()]

    def _decide(self, connection: Connection, mine: Sequence[tuple[Claim, Charge]]) -> list[tuple[Claim, Ask]]:
        """What is due now: the calls, for which the lease begins anew; every other trip's is given back."""
        asks: list[tuple[Claim, Ask]] = []
        releases: list[Release] = []
        for claim, charge in mine:
            one, step = self._next(connection, charge, claim)
            if step is not None and (operation := step.action.operation) is not None:
                asks.append((claim, Ask(one, operation, step.amount)))
                continue
            releases.append(Release(claim, self._again(one)))
            self.worked.trips += 1
            self.worked.states[one.folded.state.kept_as] += 1
        queue.release(connection, releases)
        queue.renew(connection, [claim.shopping_trip_id for claim, _ in asks], lease_seconds=self._lease)
        return asks

    def _next(self, connection: Connection, one: Charge, claim: Claim) -> tuple[Charge, Step | None]:
        while self._is_due(one, claim) and not self._pausing:
            step = next_step(one.folded, now=self._now, expires_at=one.expires_at, rules=one.rules)
            if step.action.operation is not None:
                return one, step
            if step.action is Action.WAIT:
                break
            one = self._without_a_call(connection, one, step)
        return one, None

    def _is_due(self, one: Charge, claim: Claim) -> bool:
        return one.fencing == claim.fencing and one.next_attempt_at is not None and one.next_attempt_at <= self._now

    @property
    def _pausing(self) -> bool:
        return self.stopped or self.wait > 0

    def _again(self, one: Charge) -> datetime | None:
        """When a trip that is given back is due: not at once again, unless it only waits for the batch's pause."""
        due = one.next_attempt_at
        if due is None or due > self._now:
            return due
        if self._pausing:
            return self.worked.held_until or due
        return self._now + _UNCHANGED

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
        news = News(event, {"why": step.why.value} if step.why else {})
        trip = one.shopping_trip_id
        return self._add(connection, {trip: one}, {trip: [news]})[trip]

    def _hear(
        self, connection: Connection, answered: Sequence[Answered]
    ) -> tuple[datetime | None, list[tuple[Claim, Charge]]]:
        """Writes the outcomes and what they mean. An outcome is a fact: it is kept even where the lease was lost."""
        if not answered:
            return None, []
        charges = history.lock(connection, [one.call.claim.shopping_trip_id for one in answered])
        attempts.conclude(connection, [(one.call.intent, one.answer) for one in answered], now=self._now)
        overtaken = self._overtaken(connection, answered, charges)
        news: dict[str, list[News]] = {}
        hold_store: datetime | None = None
        for one in answered:
            trip, intent = one.call.claim.shopping_trip_id, one.call.intent
            charge = charges[trip]
            said = heard(intent.operation, intent.amount, charge.currency, one.answer, one.adjustment)
            self.worked.calls[f"{intent.operation} {one.answer.problem or one.answer.outcome}"] += 1
            if said.kind is not None and not (said.kind in _NO and intent.attempt_id in overtaken):
                news[trip] = [self._news(one, said, said.kind)]
                if said.kind is Kind.CAPTURE_INITIATED and charge.rules.trusts_capture_answer:
                    told = replace(news[trip][0].event, kind=Kind.CAPTURE_APPROVED)
                    news[trip].append(News(told, {"evidence": "the store trusts the answer"}))
            if said.hold_store_seconds is not None:
                held = self._hold(connection, said.hold_store_seconds, one.answer)
                hold_store = held if hold_store is None else max(held or hold_store, hold_store)
        after = self._add(connection, {trip: charges[trip] for trip in news}, news)
        for one in answered:
            trip = one.call.claim.shopping_trip_id
            self._ask_a_person(connection, charges[trip], after.get(trip), one)
        charges |= after
        return hold_store, [(one.call.claim, charges[one.call.claim.shopping_trip_id]) for one in answered]

    def _ask_a_person(self, connection: Connection, before: Charge, after: Charge | None, one: Answered) -> None:
        """Where the answer has parked the charge. One that other news has settled or parked meanwhile asks nothing."""
        if after is None or after.folded.state is not State.PARKED or after.folded == before.folded:
            return
        intent = one.call.intent
        said = heard(intent.operation, intent.amount, after.currency, one.answer, one.adjustment)
        if said.parked_for is not None:
            parking.ask(connection, after, said.parked_for, _known(one), now=self._now)

    @staticmethod
    def _overtaken(connection: Connection, answered: Sequence[Answered], charges: dict[str, Charge]) -> set[int]:
        """Attempts whose lease was lost, and after which another was made."""
        late = {
            one.call.claim.shopping_trip_id: one.call.intent.attempt_id
            for one in answered
            if charges[one.call.claim.shopping_trip_id].fencing != one.call.claim.fencing
        }
        newest = attempts.newest(connection, list(late)) if late else {}
        return {attempt_id for trip, attempt_id in late.items() if newest[trip] > attempt_id}

    @staticmethod
    def _news(one: Answered, said: Heard, kind: Kind) -> News:
        intent, answer = one.call.intent, one.answer
        details = {"problem": answer.problem.value, "message": answer.message} if answer.problem else {}
        if said.parked_for is not None:
            details["why"] = said.parked_for.value
        event = Event(kind, intent.intended_at, Source.ATTEMPT, str(intent.attempt_id), said.amount, intent.number)
        return News(event, details)

    def _add(
        self, connection: Connection, charges: dict[str, Charge], news: dict[str, list[News]]
    ) -> dict[str, Charge]:
        if not charges:
            return {}
        after = history.add(connection, charges, news, now=self._now, chance=self._chance)
        # news that changed nothing must not make the charge due at once again
        return {
            trip: replace(one, next_attempt_at=self._now + _UNCHANGED) if one.folded == charges[trip].folded else one
            for trip, one in after.items()
        }

    def _hold(self, connection: Connection, seconds: int, answer: Answer) -> datetime | None:
        """Stops the batch and tells until when the store waits; or makes this batch alone wait a little.

        A 429's wait is everyone's who shares the limit.
        """
        throttled = answer.problem is Problem.THROTTLED
        if throttled and seconds <= min(_SHORT_WAIT, self._waits_left):
            self._waits_left -= max(seconds, 1)
            self._resume_at = max(self._resume_at, time.monotonic() + max(seconds, 1))
            return None
        until = self._now + timedelta(seconds=seconds)
        self.worked.held_until = max(until, self.worked.held_until or until)
        self.stopped = True
        if throttled:
            reason = f"429 to {self._store_id}, Retry-After {seconds} s"
            holds.hold(connection, holds.PAYMENTS, until=until, reason=reason, now=self._now)
        return until


def _known(one: Answered) -> dict[str, Any]:
    intent, adjustment = one.call.intent, one.adjustment
    known: dict[str, Any] = {
        "operation": intent.operation.value,
        "attempt": intent.number,
        "http_status": one.answer.status,
        "message": one.answer.message,
    }
    if adjustment is not None:
        known["amazon_currency"] = adjustment.authorized.currency
        known["amazon_amount"] = format(adjustment.authorized.amount, "f")
    return known
