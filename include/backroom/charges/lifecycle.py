"""Moving the money of the charges that are due: adjust, then capture; or cancel. Nothing is lost, nothing twice.

Many trips at once: each call stands between two turns (turns.py), transactions that take in the answers which have come
meanwhile and write down the next calls. No trip waits for another's answer; while a turn is under way, other calls are.
The cost grows with the trips that are due, whatever else the tables hold.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Final

import structlog
from sqlalchemy import Engine

from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.amazon.payments import MalformedRequest
from backroom.charges import queue
from backroom.charges.evidence import gather_evidence
from backroom.charges.history import Chance
from backroom.charges.payments_port import AsyncPayments, Payments, calls_at_once
from backroom.charges.queue import Share, shares_due, stores_with_due
from backroom.charges.states import Operation
from backroom.charges.turns import Answered, Call, Turns, Worked
from backroom.money import Money
from backroom.settings import settings

__all__ = ["Payments", "Share", "Worked", "gather_evidence", "shares_due", "stores_with_due", "work_due"]

_log = structlog.get_logger()
_GATHERING: Final = 0.015  # seconds
_STOOD_STILL: Final = Answer(Outcome.NOT_SENT, Problem.UNREACHABLE, message="this worker stood still for too long")


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
    """Works on every charge of the store that is due at `now` (business time), many at once; safe to run twice.

    Any number of these may work on one store side by side: they share its queue. A 429 that asks for more than a few
    seconds stops this batch and everyone who shares the limit; a 403 or a service that can't be reached stops the
    store. `concurrency` calls are under way at most. `sleep` waits real seconds, `clock` counts them.
    """
    lease = settings().charge_lease_seconds
    calls = concurrency or settings().charge_concurrency
    with queue.session(engine) as connection:
        turns = Turns(connection, store_id, now, lease_seconds=lease, chance=chance, clock=clock)
        asyncio.run(_Batch(turns, calls, lease, sleep, clock).work(client))
    _log.info("charges_worked", store_id=store_id, now=now.isoformat(), **turns.worked.as_json())
    return turns.worked


class _Batch:
    def __init__(
        self, turns: Turns, calls: int, lease: float, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        self._turns = turns
        self._most = calls
        self._sleep = sleep
        self._clock = clock
        # a worker that was frozen for longer makes no call: its lease may be another's by the time it ends
        self._too_late = lease - 2 * settings().amazon_timeout_seconds
        self._under_way: set[asyncio.Task[Answered]] = set()
        self._more = True  # the queue may hold more
        self._paused = False  # trips were given back that are due as soon as the pause is over
        self._failed: list[Exception] = []

    async def work(self, client: Payments) -> None:
        """Until nothing is due, or the batch is stopped and every call that is under way has ended."""
        async with calls_at_once(client, self._most) as payments:
            while True:
                answered = self._ended()
                if 0 < len(answered) < self._most // 3 and self._under_way:
                    await asyncio.sleep(_GATHERING)  # a turn for thirty costs little more than one for three
                    answered += self._ended()
                if answered or self._may_claim:
                    await self._turn(answered, payments)
                elif self._under_way:
                    await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
                elif self._paused and not self._turns.stopped:
                    if (wait := self._turns.wait) > 0:
                        await asyncio.to_thread(self._sleep, wait)
                    self._paused, self._more = False, True
                else:
                    break
        if self._failed:
            raise self._failed[0]

    @property
    def _may_claim(self) -> bool:
        free = len(self._under_way) < self._most
        return self._more and free and not self._turns.stopped and self._turns.wait <= 0

    def _ended(self) -> list[Answered]:
        ended = [task for task in self._under_way if task.done()]
        self._under_way.difference_update(ended)
        answered = []
        for task in ended:
            try:
                answered.append(task.result())
            except Exception as error:  # noqa: BLE001 - its intent stays without an outcome, which is unknown; raised at the end
                self._fail(error)
        return answered

    async def _turn(self, answered: list[Answered], payments: AsyncPayments) -> None:
        room = self._most - len(self._under_way)
        try:
            calls, claimed = await asyncio.to_thread(self._turns.take, answered, room=room)
        except Exception as error:  # noqa: BLE001 - raised at the end
            self._fail(error)
            await self._one_by_one(answered)
            return
        self._more = claimed > 0
        self._paused = self._paused or self._turns.wait > 0
        for call in calls:
            self._under_way.add(asyncio.create_task(self._make(call, payments)))

    async def _one_by_one(self, answered: list[Answered]) -> None:
        """What Amazon answered is kept, also where one trip's can't be: no other's outcome is lost with it."""
        for one in answered:
            try:
                await asyncio.to_thread(self._turns.take, [one], room=0)
            except Exception:  # noqa: BLE001 - its outcome is unknown then, once the lease has ended
                _log.exception("charge_answer_not_kept", shopping_trip_id=one.call.claim.shopping_trip_id)

    def _fail(self, error: Exception) -> None:
        self._failed.append(error)
        self._turns.stopped = True

    async def _make(self, call: Call, payments: AsyncPayments) -> Answered:
        if self._clock() - call.decided_at > self._too_late:
            return Answered(call, _STOOD_STILL)
        one, intent = call.charge, call.intent
        trip = {"store_id": one.store_id, "shopping_trip_id": one.shopping_trip_id}
        try:
            match intent.operation:
                case Operation.ADJUST:
                    return Answered(call, *await payments.adjust(**trip, amount=Money(intent.amount, one.currency)))
                case Operation.CAPTURE:
                    return Answered(call, await payments.capture(**trip, amount=Money(intent.amount, one.currency)))
                case Operation.CANCEL:
                    return Answered(call, await payments.cancel(**trip))
        except MalformedRequest as error:  # nothing was sent
            return Answered(call, Answer(Outcome.REFUSED, Problem.BAD_REQUEST, message=str(error)))
