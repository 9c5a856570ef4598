"""A circuit breaker for calls that run side by side: after failures in a row nobody calls for a while, then one tries.

States, counts and times are pybreaker's. Its own `call` holds a lock for as long as the call takes, so that one slow
answer would make every other cart of the process wait: here the lock is held only to be admitted and to record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pybreaker

Result = TypeVar("Result")
Tell = Callable[[str, str], None]
"""Hears of each change: the new state (open, half-open, closed) and the failure that came before it, if one did."""


class CircuitOpen(Exception):
    """Nothing was called: too many failures in a row, or the one call that tries is under way."""


class Circuit:
    """The breaker of one store's point of sale, for all threads of a process."""

    def __init__(self, name: str, *, failures: int, reset_seconds: float, tell: Tell) -> None:
        """Opens after so many `failures` in a row, and lets one call try after `reset_seconds`."""
        self._tell = tell
        self._lock = threading.Lock()
        self._changes = _Changes()
        self._trial_under_way = False
        self._storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=failures,
            reset_timeout=reset_seconds,
            listeners=[self._changes],
            state_storage=self._storage,
            name=name,
            throw_new_error_on_trip=False,
        )

    @property
    def state(self) -> str:
        """open, half-open or closed."""
        return self._breaker.current_state

    def call(self, function: Callable[[], Result]) -> Result:
        """What `function` returns or raises; an exception is a failure. Raises CircuitOpen where it was not called."""
        admitted = self._admit()
        try:
            result = function()
        except BaseException as error:
            self._record(admitted, error)
            raise
        self._record(admitted, None)
        return result

    def _admit(self) -> str:
        with self._lock:
            opened_at = self._storage.opened_at
            if self.state == pybreaker.STATE_OPEN and opened_at is not None:
                until = opened_at + timedelta(seconds=self._breaker.reset_timeout)
                if datetime.now(UTC) < until:
                    raise CircuitOpen(f"left alone until {until:%H:%M:%S} UTC after failures in a row")
                self._breaker.half_open()
            if self.state == pybreaker.STATE_HALF_OPEN:
                if self._trial_under_way:
                    raise CircuitOpen("left alone while one call tries whether it works again")
                self._trial_under_way = True
            return self.state

    def _record(self, admitted: str, error: BaseException | None) -> None:
        """What ends after the state has changed says nothing about the new one."""
        with self._lock:
            if admitted == pybreaker.STATE_HALF_OPEN:
                self._trial_under_way = False
            if self.state == admitted:
                self._count(error)
            changes = self._changes.taken()
        for state in changes:
            self._tell(state, "" if error is None else str(error) or type(error).__name__)

    def _count(self, error: BaseException | None) -> None:
        try:
            self._breaker.call(_end, error)
        except BaseException as raised:
            if raised is not error:
                raise


class _Changes(pybreaker.CircuitBreakerListener):
    """Remembers changes of state, to be told once the lock is free."""

    def __init__(self) -> None:
        self._states: list[str] = []

    def state_change(self, _cb: Any, _old_state: Any, new_state: Any) -> None:
        self._states.append(new_state.name)

    def taken(self) -> list[str]:
        states, self._states = self._states, []
        return states


def _end(error: BaseException | None) -> None:
    if error is not None:
        raise error
