"""Calls that arrive at the same moment go to the database together: one statement and one commit for all of them.

Nobody waits for company. Whoever finds the way free goes at once and takes along all who have come meanwhile; those who
come while a statement is under way go with the next one, which the first of them leads. So a quiet server answers as
fast as it would alone, and a busy one does less work per call the busier it is. Each who waits has a lock of its own,
so that who is served goes on at once and nobody is woken for another's sake.
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
        self._led = False  # whether somebody is leading; changed under the guard only, like the line
        self._guard = threading.Lock()

    def run(self, item: Item) -> Result:
        """The item's result. What `work` raises, each of its items raises."""
        place: _Place[Item, Result] = _Place(item)
        with self._guard:
            self._waiting.append(place)
            place.leads = leads = not self._led
            self._led = True
        if leads or not self._served(place):
            self._lead(place)
        if place.error is not None:
            raise place.error
        return place.result  # type: ignore[return-value]

    def _served(self, place: _Place[Item, Result]) -> bool:
        """Waits; False where the lead was handed over. Raises TookTooLong where the place was left in time."""
        if not place.turn.acquire(timeout=self._seconds):
            with self._guard:
                if place in self._waiting and not place.leads:
                    self._waiting.remove(place)
                    raise TookTooLong
            place.turn.acquire()  # it is among those that are under way, or leads
        return place.done

    def _lead(self, place: _Place[Item, Result]) -> None:
        try:
            while not place.done:
                self._go()
        finally:
            with self._guard:
                following = self._waiting[0] if self._waiting else None
                if following is None:
                    self._led = False
                else:
                    following.leads = True
            if following is not None:
                following.turn.release()

    def _go(self) -> None:
        """With those who wait, the longest first."""
        with self._guard:
            places = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        try:
            for place, result in zip(places, self._work([place.item for place in places]), strict=True):
                place.result = result
        except BaseException as error:  # noqa: BLE001 - each of the items raises it
            for place in places:
                place.error = error
        for place in places:
            place.done = True
            if not place.leads:
                place.turn.release()


class _Place(Generic[Item, Result]):
    """An item in the line, and what became of it. Its turn is released once: when it is done, or is to lead."""

    __slots__ = ("done", "error", "item", "leads", "result", "turn")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.leads = False
        self.done = False
        self.result: Result | None = None
        self.error: BaseException | None = None
        self.turn = threading.Lock()
        self.turn.acquire()
