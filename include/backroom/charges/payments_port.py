"""What the lifecycle needs of whoever moves the money: Amazon's payment service, or a store's own processor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol, runtime_checkable

from backroom.amazon.outcomes import Answer
from backroom.amazon.payments import Adjustment, AsyncPaymentsClient
from backroom.money import Money


class Payments(Protocol):
    """One call at a time, from any number of threads: `PaymentsClient`, `processors.charge_adapter`."""

    def adjust(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> tuple[Answer, Adjustment | None]:
        """Holds the whole cart total."""

    def capture(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> Answer:
        """Begins to take what is held."""

    def cancel(self, *, store_id: str, shopping_trip_id: str) -> Answer:
        """Begins to end the hold."""


class AsyncPayments(Protocol):
    """Any number of calls at once, in one event loop."""

    async def adjust(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> tuple[Answer, Adjustment | None]:
        """Holds the whole cart total."""

    async def capture(self, *, store_id: str, shopping_trip_id: str, amount: Money) -> Answer:
        """Begins to take what is held."""

    async def cancel(self, *, store_id: str, shopping_trip_id: str) -> Answer:
        """Begins to end the hold."""


@runtime_checkable
class CallsAtOnce(Protocol):
    """A client that has an asynchronous twin."""

    def at_once(self, connections: int) -> AsyncPaymentsClient:
        """The twin, for so many calls at once."""


@asynccontextmanager
async def calls_at_once(client: Payments, calls: int) -> AsyncIterator[AsyncPayments]:
    """The client for so many calls at once: its asynchronous twin where it has one, otherwise threads."""
    if isinstance(client, CallsAtOnce):
        async with client.at_once(calls) as twin:
            yield twin
        return
    with ThreadPoolExecutor(calls, thread_name_prefix="charge") as pool:
        yield _InThreads(client, pool)


class _InThreads:
    def __init__(self, client: Payments, pool: ThreadPoolExecutor) -> None:
        self._client = client
        self._pool = pool

    async def adjust(self, **asked: Any) -> tuple[Answer, Adjustment | None]:
        return await self._run(partial(self._client.adjust, **asked))

    async def capture(self, **asked: Any) -> Answer:
        return await self._run(partial(self._client.capture, **asked))

    async def cancel(self, **asked: Any) -> Answer:
        return await self._run(partial(self._client.cancel, **asked))

    async def _run(self, call: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)
