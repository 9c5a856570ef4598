"""A limit of calls per second that all processes together keep, in every sliding second.

A call counts from its permit until one second after its answer: whenever within that span Amazon counts it, no second
of theirs has more than the limit. A permit's time alone would not do, since a call may be slow to leave. Once half of
the limit is taken, permits are some time apart: calls that leave at once hold each other up, and each counts longer.
Whoever waits for an urgent call goes first; others have waited long enough after OVERTAKEN_SECONDS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, text

URGENT: Final = 0
ORDINARY: Final = 1
WINDOW_SECONDS: Final = 1.0
ABANDONED_AFTER_SECONDS: Final = 300  # a permit whose process died; longer than any call may take
OVERTAKEN_SECONDS: Final = 20.0
_IN_LINE_SECONDS: Final = 3.0  # longer than any pause between two tries
_APART: Final = 0.9  # of an even share: waiting must not cost turns
_FORGET_EVERY: Final = 100

# Nothing waits for the disk: who starts a database anew after a crash takes longer than the permits count that it lost.
_QUICKLY = text("select set_config('synchronous_commit', 'off', true)")
_LOCK = text("select pg_advisory_xact_lock(hashtextextended('api_permit:' || :api, 0))")
_TRY = text(
    """
    with calls as (
        select count(*) as counted,
            extract(epoch from min(finished_at) + make_interval(secs => :window) - clock_timestamp()) as next_free,
            extract(epoch from clock_timestamp() - max(granted_at)) as since
        from api_permit
        where api = :api and granted_at > clock_timestamp() - make_interval(secs => :abandoned)
            and coalesce(finished_at > clock_timestamp() - make_interval(secs => :window), true)
    ), line as (
        select exists (
            select from api_waiting where api = :api and priority < :priority and until > clock_timestamp()) as ahead
    ), granted as (
        insert into api_permit (api) select :api from calls, line
        where counted < :limit and not ahead and (counted * 2 < :limit or since >= :apart)
        returning permit_id
    )
    select counted, next_free, since, ahead, (select permit_id from granted) as permit_id from calls, line
    """
)
_STAND_IN_LINE = text(
    "insert into api_waiting (api, priority, until)"
    " values (:api, :priority, clock_timestamp() + make_interval(secs => :seconds)) returning waiter_id"
)
_STAY_IN_LINE = text(
    "update api_waiting set until = clock_timestamp() + make_interval(secs => :seconds), priority = :priority"
    " where waiter_id = :waiter"
)
_LEAVE_LINE = text("delete from api_waiting where waiter_id = :waiter or until < clock_timestamp() - interval '1 hour'")
_FORGET = text("delete from api_permit where api = :api and granted_at < clock_timestamp() - interval '10 minutes'")
_FINISH = text("update api_permit set finished_at = clock_timestamp() where permit_id = :permit")


class NoPermit(Exception):
    """There was no turn in the time that the caller may wait: nothing was sent."""


class RequestRate:
    """The shared limit of one API."""

    def __init__(
        self, engine: Engine, *, api: str, per_second: int, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._engine = engine
        self._limit = per_second
        self._apart = _APART * WINDOW_SECONDS / per_second
        self._values = {
            "api": api, "window": WINDOW_SECONDS, "abandoned": ABANDONED_AFTER_SECONDS, "limit": per_second,
            "apart": self._apart,
        }  # fmt: skip
        self._sleep = sleep

    @contextmanager
    def permit(self, *, priority: int = ORDINARY, patience: float | None = None) -> Iterator[None]:
        """Waits for a permit, holds it for the call inside, and gives it back.

        `patience`: the longest wait in seconds; None: as long as it takes. Raises NoPermit.
        """
        permit = self._wait(priority, patience)
        try:
            yield
        finally:
            with self._quickly() as connection:
                connection.execute(_FINISH, {"permit": permit})

    def _wait(self, priority: int, patience: float | None) -> int:
        started, waiter = time.monotonic(), None
        try:
            while True:
                waited = time.monotonic() - started
                if waited > OVERTAKEN_SECONDS:
                    priority = URGENT
                permit, pause = self._try(priority)
                if permit is not None:
                    return permit
                if patience is not None and waited + pause > patience:
                    raise NoPermit(f"no turn among {self._values['limit']} calls a second within {patience:g} s")
                if priority == URGENT:
                    waiter = self._stay_in_line(waiter, priority)
                self._sleep(pause)
        finally:
            if waiter is not None:
                with self._quickly() as connection:
                    connection.execute(_LEAVE_LINE, {"waiter": waiter})

    @contextmanager
    def _quickly(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            connection.execute(_QUICKLY)
            yield connection

    def _try(self, priority: int) -> tuple[int | None, float]:
        with self._quickly() as connection:
            connection.execute(_LOCK, {"api": self._values["api"]})
            state = connection.execute(_TRY, {**self._values, "priority": priority}).one()
            if state.permit_id is not None:
                if state.permit_id % _FORGET_EVERY == 0:
                    connection.execute(_FORGET, {"api": self._values["api"]})
                return int(state.permit_id), 0.0
        if state.ahead:
            return None, 0.1
        if state.counted < self._limit:
            return None, max(self._apart - float(state.since), 0.001)
        # all on their way: none has an end to wait for yet
        return None, 0.02 if state.next_free is None else min(max(float(state.next_free), 0.001), WINDOW_SECONDS)

    def _stay_in_line(self, waiter: int | None, priority: int) -> int:
        given = {"api": self._values["api"], "priority": priority, "seconds": _IN_LINE_SECONDS, "waiter": waiter}
        with self._quickly() as connection:
            if waiter is not None:
                connection.execute(_STAY_IN_LINE, {name: given[name] for name in ("waiter", "priority", "seconds")})
                return waiter
            return int(
                connection.execute(
                    _STAND_IN_LINE, {name: given[name] for name in ("api", "priority", "seconds")}
                ).scalar_one()
            )
