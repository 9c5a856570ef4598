"""The sandbox's own time: it runs with the wall clock until someone sets it, and then stands still until moved."""

from __future__ import annotations

import time

from jwo_sandbox.books import Books


class ClockGoesForwardOnly(ValueError):
    """Someone asked for an earlier moment than now."""


class SandboxClock:
    """Milliseconds (UTC), kept in the books."""

    def __init__(self, books: Books) -> None:
        self._books = books
        kept = books.setting("clock")
        self._running: bool = kept["running"] if kept else True
        self._base: int = kept["now"] if kept else _wall()
        if kept and self._running:
            self._base += max(0, _wall() - kept["wall"])
        self._since = time.monotonic()

    @property
    def running(self) -> bool:
        """Whether it runs by itself."""
        return self._running

    def now(self) -> int:
        """The present moment."""
        return self._base + (int((time.monotonic() - self._since) * 1000) if self._running else 0)

    def set(self, moment: int, *, running: bool = False) -> None:
        """Move on to a moment. Raises ClockGoesForwardOnly."""
        if moment < self.now():
            raise ClockGoesForwardOnly("the sandbox's clock only goes forward; load a world to start again")
        self.start_at(moment, running=running)

    def start_at(self, moment: int, *, running: bool = False) -> None:
        """Begin anew at a moment, also an earlier one."""
        self._base, self._running, self._since = moment, running, time.monotonic()
        self._books.keep("clock", {"now": moment, "running": running, "wall": _wall()})


def _wall() -> int:
    return int(time.time() * 1000)
