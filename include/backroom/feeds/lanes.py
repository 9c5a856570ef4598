"""Work on many things in two database sessions at once, of which each thing's second part is done in turn.

While one session merges a file, the other one reads the next into its staging: both halves take about as long. What
sessions share is changed by one of them at a time and in the order of the things, so that the outcome is that of one
session alone, and no session waits for a row of another's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import Condition, Lock
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine

Thing = TypeVar("Thing")
Result = TypeVar("Result")
_LANES = 2


def run(
    engine: Engine,
    things: Iterator[Thing],
    work: Callable[[Connection, Thing, Callable[[], None]], Result],
    prepare: Callable[[Connection], None],
) -> list[Result]:
    """What `work` made of each thing, in their order. `work` calls its third argument to wait for the thing's turn.

    `prepare` is called once per session, in a transaction. Raises what `work` or `things` raised first; then no new
    thing is begun, and those under way are ended.
    """
    taking, turns = _Taking(things), _Turns()
    results: dict[int, Result] = {}

    def lane() -> None:
        with ExitStack() as session:
            connection: Connection | None = None
            while (taken := taking.next()) is not None:
                number, thing = taken
                try:
                    if connection is None:
                        connection = session.enter_context(engine.connect())
                        with connection.begin():
                            prepare(connection)
                    results[number] = work(connection, thing, partial(turns.wait, number))
                except BaseException:
                    taking.stop()
                    raise
                finally:
                    turns.end(number)

    with ThreadPoolExecutor(_LANES) as lanes:
        for done in [lanes.submit(lane) for _ in range(_LANES)]:
            done.result()
    return [results[number] for number in sorted(results)]


class _Taking(Generic[Thing]):
    """The things, numbered, for whichever session asks first."""

    def __init__(self, things: Iterator[Thing]) -> None:
        self._things = enumerate(things)
        self._lock = Lock()
        self._stopped = False

    def next(self) -> tuple[int, Thing] | None:
        with self._lock:
            if self._stopped:
                return None
            try:
                return next(self._things, None)
            except BaseException:
                self._stopped = True
                raise

    def stop(self) -> None:
        self._stopped = True


class _Turns:
    """Which number's turn it is."""

    def __init__(self) -> None:
        self._now = 0
        self._changed = Condition()

    def wait(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._now >= number)

    def end(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._now >= number)
            self._now = number + 1
            self._changed.notify_all()
