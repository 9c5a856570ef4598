"""How many calls are worked on at once. What is beyond is told so at once, and those inside stay fast.

The gate and the carts are apart: a limit each, and a database pool each of the same size. A rush of carts can't close
the gate, nor the other way round. Source: inbound.md (429 at the gate; a cart is never answered 429).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from flask import current_app
from sqlalchemy import Engine

from backroom.db.engine import database_url
from backroom.db.serving import is_lost, serving_engine
from backroom.settings import Settings

Answered = TypeVar("Answered")


class AtCapacity(Exception):
    """No place became free in time."""


class InFlight:
    """So many places; so many calls more may wait for one, each so long."""

    def __init__(self, places: int, *, waiting: int, patience_seconds: float) -> None:
        self._places = _tokens(places)
        self._line = _tokens(places + waiting)
        self._patience = patience_seconds

    def enter(self) -> None:
        """Takes a place. Raises AtCapacity where the line is full, or no place is free within the patience."""
        try:
            self._line.get_nowait()
        except Empty:
            raise AtCapacity from None
        try:
            self._places.get(timeout=self._patience)
        except Empty:
            self._line.put(None)
            raise AtCapacity from None

    def leave(self) -> None:
        """Gives the place back."""
        self._places.put(None)
        self._line.put(None)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds a place. Raises AtCapacity as `enter` does."""
        self.enter()
        try:
            yield
        finally:
            self.leave()


def _tokens(number: int) -> SimpleQueue[None]:
    tokens: SimpleQueue[None] = SimpleQueue()
    for _ in range(number):
        tokens.put(None)
    return tokens


class Zone:
    """The calls of one kind: their limit and their connections. Nothing is connected until the first call."""

    def __init__(self, name: str, config: Settings, *, places: int, seconds: float) -> None:
        self.name = name
        self.in_flight = InFlight(places, waiting=config.connector_waiting, patience_seconds=seconds / 4)
        self._config, self._seconds = config, seconds
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The zone's own pool."""
        if self._engine is None:
            self._engine = serving_engine(
                database_url(self._config),
                connections=self._config.connector_connections,
                timeout_seconds=self._seconds / 2,
                application=f"backroom connector {self.name}",
            )
        return self._engine

    def work(self, answer: Callable[[], Answered]) -> Answered:
        """What `answer` returns, while one of the places is held. Raises AtCapacity, and what `answer` raises.

        Every call may be repeated without a further effect, so one that loses its connection is tried again, once, on
        another: after a restart of the database no call fails for a connection that was left over from before.
        """
        self.in_flight.enter()
        try:
            return answer()
        except Exception as error:
            if not is_lost(error):
                raise
            return answer()
        finally:
            self.in_flight.leave()


def zones(config: Settings) -> dict[str, Zone]:
    """The gate's and the carts'."""
    return {
        "gate": Zone("gate", config, places=config.connector_gate_calls, seconds=config.connector_gate_seconds),
        "purchases": Zone(
            "purchases", config, places=config.connector_purchases_calls, seconds=config.connector_purchases_seconds
        ),
    }


def in_zone(name: str) -> Callable[[Callable[[Engine], Any]], Callable[[], Any]]:
    """A view that holds one of the zone's places and gets the zone's engine."""

    def decorate(view: Callable[[Engine], Any]) -> Callable[[], Any]:
        @wraps(view)
        def limited() -> Any:
            zone: Zone = current_app.config["ZONES"][name]
            return zone.work(lambda: view(zone.engine))

        return limited

    return decorate
