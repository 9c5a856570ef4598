"""Giving the money back: every refund that is due is asked for by its one key. Nothing is lost, nothing goes twice.

Each call stands between two transactions: the one before claims the refund, checks what its instrument took and writes
the intent; the one after writes the outcome and what it means.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine, RowMapping, text

from backroom.alerts import raise_alert
from backroom.amazon import holds
from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.charges.rules import backoff
from backroom.refunds import attempts, history, parking, queue
from backroom.refunds.answers import Heard, Then, heard
from backroom.refunds.attempts import Intent
from backroom.refunds.channels import AMAZON, Order, RefundPort, Refunds, Told, carry_out, order
from backroom.refunds.history import Happened, ParkedFor
from backroom.refunds.queue import stores_with_due
from backroom.refunds.splitting import CAPTURE
from backroom.settings import settings

__all__ = ["Worked", "stores_with_due", "work_due"]

_log = structlog.get_logger()
Chance = Callable[[str], Random]  # a seed's own generator: `random.Random` itself
NO_PROCESSORS: Final[Mapping[str, RefundPort]] = MappingProxyType({})

# What Amazon was, or may have been, asked to give back of a trip's capture, but for this refund.
_BEGUN: Final = text(
    """
    select coalesce(sum(r.amount), 0) from refund r
    where r.shopping_trip_id = :trip and r.instrument = 'CAPTURE' and r.refund_id <> :refund
      and r.state in ('DUE', 'UNKNOWN', 'INITIATED', 'PARKED', 'FINAL') and r.attempts > 0
    """
)
_TRUSTED: Final = text("select trust_capture_answer from store where store_id = :store_id")


@dataclass
class Worked:
    """What one batch did: refunds, calls by outcome, and where the refunds stand now."""

    refunds: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    held_until: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """For logs and for Airflow's XCom."""
        return {
            "refunds": self.refunds,
            "calls": dict(self.calls),
            "states": dict(self.states),
            "held_until": self.held_until.isoformat() if self.held_until else None,
        }


def work_due(
    engine: Engine,
    client: Refunds,
    *,
    now: datetime,
    store_id: str | None = None,
    processors: Mapping[str, RefundPort] = NO_PROCESSORS,
    chance: Chance = Random,
    concurrency: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Worked:
    """Works on every refund (of the store) that is due at `now` (business time), several at once; safe to run twice.

    A 429 holds everyone who shares the limit for as long as Amazon says; a 403 holds the store; a service that can't be
    reached ends the batch. `processors`: the retailer's own, by name. `clock` counts real seconds.
    """
    batch = _Batch(engine, client, store_id, now, processors, chance, clock)
    threads = concurrency or settings().refund_concurrency
    with ThreadPoolExecutor(threads, thread_name_prefix="refund") as pool:
        for finished in [pool.submit(batch.work_until_done) for _ in range(threads)]:
            finished.result()
    _log.info("refunds_worked", store_id=store_id, now=now.isoformat(), **batch.worked.as_json())
    return batch.worked


class _Batch:
    def __init__(
        self,
        engine: Engine,
        client: Refunds,
        store_id: str | None,
        now: datetime,
        processors: Mapping[str, RefundPort],
        chance: Chance,
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._client = client
        self._store_id = store_id
        self._now = now
        self._processors = processors
        self._chance = chance
        self._clock = clock
        self._business_time = holds.moved_on(now, clock=clock)
        self._lease = settings().charge_lease_seconds
        # a worker that was frozen for longer than this makes no call: its lease may be another's by the time it ends
        self._too_late = self._lease - 2 * settings().amazon_timeout_seconds
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.worked = Worked()

    def work_until_done(self) -> None:
        """One thread's share: refund after refund, until none is due or the batch is stopped."""
        try:
            while not self._stopped.is_set() and self._work_one():
                pass
        except BaseException:
            self._stopped.set()
            raise

    def _work_one(self) -> bool:
        began = self._clock()
        with self._engine.begin() as connection:
            mine = queue.claim(connection, store_id=self._store_id, now=self._now, lease_seconds=self._lease)
            if mine is None:
                return False
            asked, intent = self._intend(connection, mine)
        if asked is None or intent is None:
            self._count("PARKED")
            return True
        if self._clock() - began > self._too_late:
            told = Told(
                Answer(Outcome.NOT_SENT, Problem.UNREACHABLE, message="this worker stood still for too long"),
                False,
                None,
            )
        else:
            told = carry_out(asked, self._client, self._processors)
        with self._engine.begin() as connection:
            state = self._hear(connection, mine, asked, intent, told)
        self._count(state)
        return True

    def _count(self, state: str) -> None:
        with self._lock:
            self.worked.refunds += 1
            self.worked.states[state] += 1

    def _intend(self, connection: Connection, mine: RowMapping) -> tuple[Order | None, Intent | None]:
        """The next call, written down; None where a person is asked instead."""
        if attempts.abandon(connection, mine["refund_id"], now=self._now) and mine["state"] == "DUE":
            mine = {**mine, **history.keep(connection, mine, state="UNKNOWN")}  # type: ignore[assignment]
        if mine["instrument"] == CAPTURE:
            values = {"trip": mine["shopping_trip_id"], "refund": mine["refund_id"]}
            begun = connection.execute(_BEGUN, values).scalar_one()
            if mine["state"] == "DUE" and begun + mine["amount"] > mine["captured"]:
                known = {"captured": f"{mine['captured']:f}", "begun": f"{begun:f}", "why": "more than was captured"}
                parking.park(connection, mine, ParkedFor.REFUND_REFUSED, known, now=self._now)
                return None, None
        asked = order(connection, mine)
        return asked, attempts.intend(connection, mine, asked, now=self._now)

    def _hear(self, connection: Connection, mine: RowMapping, asked: Order, intent: Intent, told: Told) -> str:
        """Writes the outcome and what it means. A yes is a fact, whoever holds the lease; a no is the holder's only."""
        one = queue.lock(connection, mine["shopping_trip_id"], mine["refund_id"])
        answer = told.answer
        attempts.conclude(connection, intent, answer, now=self._now)
        doubtful = attempts.may_have_worked(connection, one["refund_id"], but=intent.attempt_id)
        said = heard(answer, may_have_worked=doubtful)
        with self._lock:
            self.worked.calls[str(answer.problem or answer.outcome)] += 1
        if said.then is Then.BEGUN:
            return str(self._begun(connection, one, asked, intent, told)["state"])
        self._hold(connection, asked, answer, said)
        if one["fencing"] != mine["fencing"] or one["state"] not in ("DUE", "UNKNOWN"):
            return str(one["state"])
        return str(self._not_yet(connection, one, answer, said)["state"])

    def _begun(self, connection: Connection, one: RowMapping, asked: Order, intent: Intent, told: Told) -> RowMapping:
        if one["state"] in ("FINAL", "INITIATED"):
            return one
        history.tell(connection, one, Happened.INITIATED, source="answer", happened_at=intent.intended_at)
        if one["state"] == "REFUSED":
            self._warn_of_late_yes(connection, one)
        row = history.move(
            connection,
            one,
            "INITIATED",
            initiated_at=intent.intended_at,
            reconciliation_id=told.reconciliation_id,
            next_attempt_at=self._now + timedelta(hours=settings().refund_evidence_hours),
        )
        if told.final or (asked.processor == AMAZON and self._trusts(connection, asked)):
            return history.make_final(connection, row, source="answer", happened_at=intent.intended_at)
        return row

    @staticmethod
    def _trusts(connection: Connection, asked: Order) -> bool:
        return bool(connection.execute(_TRUSTED, {"store_id": asked.store_id}).scalar_one())

    def _not_yet(self, connection: Connection, one: RowMapping, answer: Answer, said: Heard) -> RowMapping:
        known = {"http_status": answer.status, "problem": answer.problem, "message": answer.message}
        match said.then:
            case Then.REPEAT:
                asks = attempts.unknown_in_a_row(connection, one["refund_id"])
                seed = f"{one['refund_request_key']}/{asks}"
                return history.move(
                    connection, one, "UNKNOWN", next_attempt_at=self._now + backoff(asks, self._chance(seed))
                )
            case Then.WAIT:
                later = self._business_time() + timedelta(seconds=max(said.seconds, 1))
                return history.move(connection, one, one["state"], next_attempt_at=later)
            case Then.DOUBTFUL:
                return parking.park(connection, one, ParkedFor.UNKNOWN_REFUND, known, now=self._now)
        return parking.park(connection, one, ParkedFor.REFUND_REFUSED, known, now=self._now)

    def _hold(self, connection: Connection, asked: Order, answer: Answer, said: Heard) -> None:
        """Whoever shares the limit hears of it in the same transaction."""
        if not said.holds:
            return
        until = self._business_time() + timedelta(seconds=max(said.seconds, 1))
        reason = f"refund of {asked.shopping_trip_id}: HTTP {answer.status}"
        amazons = asked.processor == AMAZON
        if said.holds == "ALL" and amazons:
            holds.hold(connection, holds.PAYMENTS, until=until, reason=reason, now=self._now)
        if said.holds == "STORE" and amazons:
            api = holds.of_store(holds.PAYMENTS, asked.store_id)
            holds.hold(connection, api, until=until, reason=reason, now=self._now)
            raise_alert(
                connection,
                key=f"refunds-not-allowed:{asked.store_id}:{self._now.date()}",
                severity="critical",
                title=f"{asked.store_id}: Amazon does not let this store refund (403)",
                what_to_do="ask Amazon to allow-list the store for Refund; its refunds wait and go on by themselves",
                now=self._now,
                store_id=asked.store_id,
            )
        with self._lock:
            self.worked.held_until = max(until, self.worked.held_until or until)
        self._stopped.set()

    def _warn_of_late_yes(self, connection: Connection, one: RowMapping) -> None:
        raise_alert(
            connection,
            key=f"refund-late-yes:{one['refund_id']}",
            severity="critical",
            title=f"Refund {one['refund_id']} took place after a person had said that it did not",
            what_to_do="look with `backroom refunds show` whether the shopper got the money twice",
            now=self._now,
            subject=one["shopping_trip_id"],
            store_id=one["store_id"],
        )
