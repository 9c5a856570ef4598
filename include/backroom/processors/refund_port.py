"""Refunds through a store's own processor, each call on record and looked up before it is repeated."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, text

from backroom.errors import ConfigurationError
from backroom.money import Money
from backroom.processors.calls import Calls
from backroom.processors.choosing import processor_of
from backroom.processors.instruments import PROCESSORS
from backroom.processors.port import Outcome, Problem, Processor, Result
from backroom.settings import Settings

_SUBJECT: Final = text("select refund_id from refund where refund_request_key = :key")


class RecordedRefunds:
    """The part of a processor that refunds need, at one business time. Thread-safe."""

    def __init__(self, engine: Engine, processor: Processor, *, now: datetime) -> None:
        self._engine = engine
        self._calls = Calls(engine, processor, now=now)

    def refund(self, reference: str, processor_reference: str, amount: Money) -> Result:
        """Gives back so much of the payment, once for each reference: a repeat is told what the first brought.

        A 429 is a definite no that only asks for a pause: as if it had not been sent.
        """
        result = self._calls.refund(reference, self._subject(reference), processor_reference, amount)
        if result.is_no(Problem.THROTTLED):
            return Result(Outcome.NOT_SENT, Problem.UNREACHABLE, message=f"429 {result.message}", status=result.status)
        return result

    def lookup(self, reference: str, processor_reference: str) -> Result:
        """What became of a refund."""
        return self._calls.lookup_refund(reference, self._subject(reference), processor_reference)

    def _subject(self, reference: str) -> str:
        with self._engine.connect() as connection:
            number = connection.execute(_SUBJECT, {"key": reference}).scalar()
        return f"refund:{number}" if number is not None else f"refund {reference}"


@contextmanager
def refunds_by_processor(engine: Engine, config: Settings, *, now: datetime) -> Iterator[Mapping[str, RecordedRefunds]]:
    """One for each processor that is set up, by name; a client is opened when it is first asked for."""
    with ExitStack() as stack:
        yield _OnDemand(stack, engine, config, now)


class _OnDemand(Mapping[str, RecordedRefunds]):
    """Thread-safe. A processor that is not set up is not there: a refund that needs it waits, and says so."""

    def __init__(self, stack: ExitStack, engine: Engine, config: Settings, now: datetime) -> None:
        self._stack, self._engine, self._config, self._now = stack, engine, config, now
        self._lock = threading.Lock()
        self._opened: dict[str, RecordedRefunds] = {}

    def __getitem__(self, name: str) -> RecordedRefunds:
        with self._lock:
            if name not in self._opened:
                try:
                    processor = self._stack.enter_context(processor_of(name, self._config))
                except ConfigurationError as error:
                    raise KeyError(name) from error
                self._opened[name] = RecordedRefunds(self._engine, processor, now=self._now)
            return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(PROCESSORS)

    def __len__(self) -> int:
        return len(PROCESSORS)
