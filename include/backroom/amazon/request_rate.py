"""A limit of calls per second that all processes together keep, in every sliding second.

A call counts from its permit until one second after its answer: whenever within that span Amazon counts it, no second
of theirs has more than the limit. A permit's time alone would not do, since a call may be slow to leave.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, text

WINDOW_SECONDS: Final = 1.0
ABANDONED_AFTER_SECONDS: Final = 300  # a permit whose process died; longer than any call may take

_LOCK = text("select pg_advisory_xact_lock(hashtextextended('api_permit:' || :api, 0))")
_STATE = text(
    """
    select count(*) as counted,
           extract(epoch from min(finished_at) + make_interval(secs => :window) - clock_timestamp()) as next_free
    from api_permit
    where api = :api
      and case when finished_at is null then granted_at > clock_timestamp() - make_interval(secs => :abandoned)
               else finished_at > clock_timestamp() - make_interval(secs => :window) end
    """
)
_FORGET = text("delete from api_permit where api = :api and granted_at < clock_timestamp() - interval '1 hour'")
_GRANT = text("insert into api_permit (api) values (:api) returning permit_id")
_FINISH = text("update api_permit set finished_at = clock_timestamp() where permit_id = :permit")


class RequestRate:
    """The shared limit of one API."""

    def __init__(
        self, engine: Engine, *, api: str, per_second: int, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._engine = engine
        self._values = {"api": api, "window": WINDOW_SECONDS, "abandoned": ABANDONED_AFTER_SECONDS}
        self._per_second = per_second
        self._sleep = sleep

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Waits for a permit, holds it for the call inside, and gives it back."""
        permit = self._wait()
        try:
            yield
        finally:
            with self._engine.begin() as connection:
                connection.execute(_FINISH, {"permit": permit})

    def _wait(self) -> int:
        while True:
            with self._engine.begin() as connection:
                permit, seconds = self._try(connection)
            if permit is not None:
                return permit
            self._sleep(seconds)

    def _try(self, connection: Connection) -> tuple[int | None, float]:
        connection.execute(_LOCK, self._values)
        state = connection.execute(_STATE, self._values).one()
        if state.counted < self._per_second:
            connection.execute(_FORGET, self._values)
            return int(connection.execute(_GRANT, self._values).scalar_one()), 0.0
        # all on their way: none has an end to wait for yet
        return None, 0.02 if state.next_free is None else min(max(float(state.next_free), 0.001), WINDOW_SECONDS)
