"""A load generator: keep-alive connections that send requests made beforehand, as fast as answers come or at a rate.

At a rate, a request's time runs from the moment when it was due, so that a server that stalls is not measured kindly.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count


@dataclass
class Result:
    """What a run brought: answers by status, and each answer's seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lasted: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.lasted if self.lasted else 0.0

    def percentile(self, share: float) -> float:
        """Seconds within which that share of the answers came."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    @property
    def slowest(self) -> float:
        """Seconds of the slowest answer."""
        return max(self.seconds, default=0.0)


def request(port: int, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """One HTTP/1.1 request, ready to be sent."""
    lines = [
        f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json",
        f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items()),
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def as_fast_as_it_goes(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Result:
    """So many connections, each sends its next request when it has its answer."""
    return asyncio.run(_closed(port, requests, connections, seconds))


def at_rate(port: int, requests: Iterator[bytes], *, rate: float, connections: int, seconds: float) -> Result:
    """So many requests a second, whether or not the server keeps up."""
    return asyncio.run(_open(port, requests, rate, connections, seconds))


async def _closed(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Result:
    result = Result()
    lines = [await _connect(port) for _ in range(connections)]
    began = time.perf_counter()

    async def work(line: _Connection) -> None:
        while time.perf_counter() - began < seconds:
            message = next(requests, None)
            if message is None:
                return
            sent = time.perf_counter()
            result.statuses[await line.ask(message)] += 1
            result.seconds.append(time.perf_counter() - sent)

    await asyncio.gather(*(work(line) for line in lines))
    result.lasted = time.perf_counter() - began
    for line in lines:
        line.close()
    return result


async def _open(port: int, requests: Iterator[bytes], rate: float, connections: int, seconds: float) -> Result:
    result = Result()
    lines = [await _connect(port) for _ in range(connections)]
    numbers = count()
    began = time.perf_counter()

    async def work(line: _Connection) -> None:
        while True:
            due = began + next(numbers) / rate
            if due - began >= seconds:
                return
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            message = next(requests, None)
            if message is None:
                return
            result.statuses[await line.ask(message)] += 1
            result.seconds.append(time.perf_counter() - due)

    await asyncio.gather(*(work(line) for line in lines))
    result.lasted = time.perf_counter() - began
    for line in lines:
        line.close()
    return result


async def _connect(port: int) -> _Connection:
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", port)
    return connection


class _Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def ask(self, message: bytes) -> asyncio.Future[int]:
        """Sends; the future holds the status once the whole answer is there."""
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the server closed the connection")
        self._transport.write(message)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found or self._answer is None:
            return
        lowered = head.lower()
        length = int(lowered.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        self._received = rest[length:]
        self._answer.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
