"""Calls that arrive at the same moment go to the database together: one statement and one commit for all of them.

Nobody waits for company. Whoever finds the way free goes at once and takes along all who have come meanwhile; those who
come while a statement is under way go with the next one. So a quiet server answers as fast as it would alone, and a
busy one does less work per call the busier it is.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class TookTooLong(TimeoutError):
    """The way did not become free in time; nothing was done for this item."""


class Together(Generic[Item, Result]):
    """Runs `work` on several items at a time; it returns a result per item, in their order."""

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result]], *, most: int, seconds: float) -> None:
        """At most `most` items at a time; an item waits `seconds` for its turn."""
        self._work = work
        self._most = most
        self._seconds = seconds
        self._waiting: deque[_Place[Item, Result]] = deque()
        self._way = threading.Lock()

    def run(self, item: Item) -> Result:
        """The item's result. What `work` raises, each of its items raises."""
        place: _Place[Item, Result] = _Place(item)
        self._waiting.append(place)
        if not self._way.acquire(timeout=self._seconds):
            if self._leave(place):
                raise TookTooLong
            self._way.acquire()  # it is among those that are under way
        try:
            while not place.done:
                self._go()
        finally:
            self._way.release()
        if place.error is not None:
            raise place.error
        return place.result  # type: ignore[return-value]

    def _go(self) -> None:
        """With those who wait, the longest first; the caller goes on until its own place was among them."""
        places = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            for place, result in zip(places, self._work([place.item for place in places]), strict=True):
                place.result = result
        except BaseException as error:  # noqa: BLE001 - each of the items raises it
            for place in places:
                place.error = error
        for place in places:
            place.done = True

    def _leave(self, place: _Place[Item, Result]) -> bool:
        try:
            self._waiting.remove(place)
        except ValueError:
            return False
        return True


class _Place(Generic[Item, Result]):
    """An item in the line, and what became of it."""

    __slots__ = ("done", "error", "item", "result")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.done = False
        self.result: Result | None = None
        self.error: BaseException | None = None
