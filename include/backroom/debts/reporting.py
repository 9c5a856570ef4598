"""Telling Amazon what is owed: sends the reports that are due, one per trip at a time, and hears what became of them.

A repeat is harmless (the same figures as of the same time), so that an unknown outcome is asked for again. `Rejected`
is a 200; several of them are a question for a person.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Protocol

import structlog
from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.amazon import holds
from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.amazon.payment_status_client import Status, request
from backroom.amazon.payments import MalformedRequest
from backroom.debts import report_queue
from backroom.debts.report_queue import Attempt, Report, stores_with_due
from backroom.debts.returning import ASKED_BY
from backroom.money import Money
from backroom.reviews import cases
from backroom.settings import settings

__all__ = ["PaymentStatus", "Reported", "apply_decisions", "report_due", "stores_with_due"]

REPORT_REFUSED: Final = "PAYMENT_STATUS_REFUSED"
"""Kind of the case about a report that Amazon does not take."""
FIRST_BACKOFF, LONGEST_BACKOFF = timedelta(minutes=1), timedelta(minutes=60)
UNREACHABLE_FOR, NOT_ALLOWED_FOR = timedelta(minutes=1), timedelta(minutes=60)

_THREADS: Final = 8  # reports under way at once, at most
_STOOD_STILL: Final = Answer(Outcome.NOT_SENT, Problem.UNREACHABLE, message="this worker stood still for too long")
_log = structlog.get_logger()


class PaymentStatus(Protocol):
    """What is needed of Amazon: `backroom.amazon.payment_status_client.PaymentStatusClient`."""

    def report(
        self, *, store_id: str, shopping_trip_id: str, total: Money, settled: Money, at: datetime
    ) -> tuple[Answer, Status | None]:
        """Says what a trip cost and how much of it is settled."""


@dataclass
class Reported:
    """What one batch did: its reports by what became of them."""

    outcomes: Counter[str] = field(default_factory=Counter)
    held_until: datetime | None = None  # nothing more of the store is sent before then

    def as_json(self) -> dict[str, Any]:
        """For logs and for Airflow's XCom."""
        return {
            "outcomes": dict(self.outcomes),
            "held_until": self.held_until.isoformat() if self.held_until else None,
        }


def report_due(
    engine: Engine,
    client: PaymentStatus,
    *,
    store_id: str,
    now: datetime,
    chance: Callable[[str], Random] = Random,
    concurrency: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Reported:
    """Sends each report of the store that is due at `now` (business time), several trips at once; safe to run twice.

    A 429 holds everyone who calls the payment service; a 403 or a service that can't be reached holds the store's
    reports. Both end the batch. `clock` counts real seconds: who was frozen for longer than the lease makes no call, so
    that an old report never comes after a newer one.
    """
    batch = _Batch(engine, client, store_id, now, chance, clock)
    threads = concurrency or min(settings().charge_concurrency, _THREADS)
    with ThreadPoolExecutor(threads, thread_name_prefix=f"status-{store_id}") as pool:
        for finished in [pool.submit(batch.work_until_done) for _ in range(threads)]:
            finished.result()
    _log.info("payment_status_reported", store_id=store_id, now=now.isoformat(), **batch.reported.as_json())
    return batch.reported


def backoff(tries: int, chance: Random) -> timedelta:
    """How long to wait after that many tries without a yes: exponential, with full jitter, of a minute at least."""
    longest = min(FIRST_BACKOFF * 2 ** min(tries, 10), LONGEST_BACKOFF)
    return max(FIRST_BACKOFF, longest * chance.random())


class _Batch:
    def __init__(
        self,
        engine: Engine,
        client: PaymentStatus,
        store_id: str,
        now: datetime,
        chance: Callable[[str], Random],
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._client = client
        self._store_id = store_id
        self._now = now
        self._time = holds.moved_on(now)
        self._chance = chance
        self._clock = clock
        self._lease = settings().charge_lease_seconds
        self._too_late = self._lease - 2 * settings().amazon_timeout_seconds
        self._most_rejections = settings().payment_status_rejections
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.reported = Reported()

    def work_until_done(self) -> None:
        """One thread's share."""
        try:
            while not self._stopped.is_set() and self._send_one():
                pass
        except BaseException:
            self._stopped.set()
            raise

    def _send_one(self) -> bool:
        began = self._clock()
        with self._engine.begin() as connection:
            if (held := holds.held_until(connection, holds.PAYMENTS, now=self._time())) is not None:
                self._stop(connection, held)
                return False
            claimed = report_queue.claim(
                connection, store_id=self._store_id, request_of=_request, now=self._now, lease_seconds=self._lease
            )
        if claimed is None:
            return False
        mine, attempt = claimed
        stood_still = self._clock() - began > self._too_late
        answer, status = (_STOOD_STILL, None) if stood_still else self._call(mine)
        with self._engine.begin() as connection:
            report_queue.conclude(connection, attempt, answer, now=self._now)
            became = self._hear(connection, mine, attempt, answer, status)
        with self._lock:
            self.reported.outcomes[became] += 1
        return True

    def _call(self, mine: Report) -> tuple[Answer, Status | None]:
        try:
            return self._client.report(
                store_id=mine.store_id,
                shopping_trip_id=mine.shopping_trip_id,
                total=mine.total,
                settled=mine.settled,
                at=mine.status_time,
            )
        except MalformedRequest as error:  # nothing was sent
            return Answer(Outcome.REFUSED, Problem.BAD_REQUEST, message=str(error)), None

    def _hear(
        self, connection: Connection, mine: Report, attempt: Attempt, answer: Answer, status: Status | None
    ) -> str:
        """What the answer means for the report; the word for it."""
        wait = backoff(attempt.number, self._chance(f"{mine.report_id}/{attempt.number}"))
        rejections = mine.rejections + (status == "Rejected")
        match (answer.outcome, answer.problem):
            case (Outcome.SUCCEEDED, _) if status == "Accepted":
                if report_queue.end(connection, mine, "ACCEPTED", rejections=rejections, now=self._now):
                    self._settle_case(connection, mine)
            case (Outcome.SUCCEEDED, _) if rejections >= self._most_rejections:
                self._ask(connection, mine, rejections, answer)
            case (Outcome.SUCCEEDED | Outcome.UNKNOWN, _):
                report_queue.again(connection, mine, at=self._now + wait, rejections=rejections)
            case (Outcome.REFUSED, Problem.THROTTLED):
                until = self._time() + timedelta(seconds=answer.retry_after or 0)
                reason = f"payment status of {mine.store_id}: 429"
                holds.hold(connection, holds.PAYMENTS, until=until, reason=reason, now=self._time())
                report_queue.again(connection, mine, at=until, rejections=rejections)
                self._stop(connection, until)
            case (Outcome.REFUSED, Problem.NOT_ALLOWED):
                report_queue.again(connection, mine, at=self._now + NOT_ALLOWED_FOR, rejections=rejections)
                self._stop(connection, self._now + NOT_ALLOWED_FOR)
                self._alert(connection, mine)
            case (Outcome.NOT_SENT, _) if answer is _STOOD_STILL:
                report_queue.again(connection, mine, at=self._now, rejections=rejections)
            case (Outcome.NOT_SENT, _):
                report_queue.again(connection, mine, at=self._now + UNREACHABLE_FOR, rejections=rejections)
                self._stop(connection, self._now + UNREACHABLE_FOR)
            case _:
                self._ask(connection, mine, rejections, answer)
        return str(status or answer.problem or answer.outcome)

    def _ask(self, connection: Connection, mine: Report, rejections: int, answer: Answer) -> None:
        if not report_queue.end(connection, mine, "PARKED", rejections=rejections, now=self._now):
            return
        cases.open_case(
            connection,
            kind=REPORT_REFUSED,
            subject=mine.shopping_trip_id,
            store_id=mine.store_id,
            asked_by=ASKED_BY,
            question="Amazon does not take what we report of this trip's payment. Is the reason mended?",
            known={
                "report": mine.report_id,
                "total": str(mine.total),
                "settled": str(mine.settled),
                "as_of": mine.status_time.isoformat(),
                "rejected": rejections,
                "http_status": answer.status,
                "message": answer.message,
            },
            choices=[
                ("report_again", "what is true by then is reported"),
                ("leave", "nothing is reported until the trip's payment changes"),
            ],
            now=self._now,
        )

    def _settle_case(self, connection: Connection, mine: Report) -> None:
        cases.settle(
            connection,
            kind=REPORT_REFUSED,
            subject=mine.shopping_trip_id,
            by="debts",
            reason="a later report was accepted",
            now=self._now,
        )

    def _stop(self, connection: Connection, until: datetime) -> None:
        """Ends the batch; what of the store is due is not before `until`."""
        self._stopped.set()
        report_queue.hold_store(connection, store_id=self._store_id, until=until)
        with self._lock:
            self.reported.held_until = max(until, self.reported.held_until or until)

    def _alert(self, connection: Connection, mine: Report) -> None:
        raise_alert(
            connection,
            key=f"payment-status-not-allowed:{mine.store_id}:{self._now.date()}",
            severity="warning",
            title=f"{mine.store_id}: Amazon does not let us report payment status (403)",
            what_to_do="have our account allow-listed for it; reports wait meanwhile, see `backroom debts reports`",
            now=self._now,
            store_id=mine.store_id,
        )


_DECIDED: Final = text(
    """
    with again as (
        update payment_status_report r set state = 'SUPERSEDED', finished_at = :now
        from review_case c
        where c.asked_by = :asked_by and c.kind = :kind and c.decision = 'report_again'
          and r.report_id = cast(c.known ->> 'report' as bigint) and r.state = 'PARKED'
        returning r.shopping_trip_id
    )
    insert into payment_status_news (shopping_trip_id) select shopping_trip_id from again
    """
)


def apply_decisions(connection: Connection, *, now: datetime) -> int:
    """What people want reported again counts as never answered: `find_due` then makes it due. Returns how many."""
    return connection.execute(_DECIDED, {"asked_by": ASKED_BY, "kind": REPORT_REFUSED, "now": now}).rowcount


def _request(mine: Report) -> dict[str, Any]:
    try:
        return request(
            store_id=mine.store_id,
            shopping_trip_id=mine.shopping_trip_id,
            total=mine.total,
            settled=mine.settled,
            at=mine.status_time,
        )
    except MalformedRequest:
        return {"shoppingTripId": mine.shopping_trip_id, "storeId": mine.store_id}
