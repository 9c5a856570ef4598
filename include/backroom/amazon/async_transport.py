"""Signed JSON calls to Amazon, many at once in one event loop, over one pool of connections; never retries by itself.

The same calls, signatures and judgement as `transport`, for batches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from errno import ETIME
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from yarl import URL

from backroom.amazon import exact_json
from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.amazon.transport import (
    CONNECT_SECONDS,
    MAX_ANSWER_BYTES,
    SERVICE,
    broken,
    credentials,
    parsed,
    region_of,
    understood,
)
from backroom.settings import Settings

_HEADERS: Final = {"User-Agent": "backroom", "Accept": "application/json", "Content-Type": "application/json"}


class AsyncTransport:
    """POSTs JSON to one base URL; used inside one running event loop, and closed there."""

    def __init__(
        self, base_url: str, config: Settings, *, connections: int, successes: Collection[int] = (200, 201)
    ) -> None:
        """At most so many connections. Raises ConfigurationError as `Transport` does."""
        self._base_url = str(parsed(base_url)).rstrip("/")
        self._host = parsed(base_url).netloc.decode()
        self._successes = successes
        self._timeout = config.amazon_timeout_seconds
        self._credentials = credentials(config)
        self._region = region_of(parsed(base_url).host, config)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=5),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=min(CONNECT_SECONDS, self._timeout), sock_read=self._timeout
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def close(self) -> None:
        """Ends the connections."""
        await self._session.close()

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """One attempt. Whoever stood still since this was called does not send it any more: then it is NOT_SENT."""
        started = time.perf_counter()
        content = exact_json.dumps(body).encode()
        url, letter = self._base_url + path, _Content(content, started + self._timeout)
        try:
            async with asyncio.timeout(CONNECT_SECONDS + 2 * self._timeout):
                async with self._session.post(
                    URL(url, encoded=True),
                    data=letter,
                    headers=self._signed(url, content),
                    allow_redirects=False,
                ) as response:
                    raw = await _read(response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return broken(Outcome.NOT_SENT, Problem.UNREACHABLE, error, started)
        except TimeoutError as error:  # also aiohttp's own
            return broken(Outcome.UNKNOWN, Problem.TIMED_OUT, error, started)
        except (aiohttp.ClientError, OSError) as error:
            if letter.kept_back:
                return broken(Outcome.NOT_SENT, Problem.UNREACHABLE, error, started)
            return broken(Outcome.UNKNOWN, Problem.CONNECTION_LOST, error, started)
        return understood(response.status, raw, response.headers.get("Retry-After"), started, successes=self._successes)

    def _signed(self, url: str, content: bytes) -> dict[str, str]:
        """By botocore's own signer; temporary credentials are renewed by botocore."""
        asked = AWSRequest("POST", url, data=content, headers={"Host": self._host, "Content-Type": "application/json"})
        SigV4Auth(self._credentials.get_frozen_credentials(), SERVICE, self._region).add_auth(asked)
        return {**_HEADERS, **dict(asked.headers.items())}


class _Content(BytesPayload):
    """A body that is written only in time: the very last moment at which a call can still be left undone."""

    def __init__(self, content: bytes, not_after: float) -> None:
        super().__init__(content, content_type="application/json")
        self._not_after = not_after
        self.kept_back = False

    async def write(self, writer: AbstractStreamWriter) -> None:
        self._in_time()
        await super().write(writer)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self._in_time()
        await super().write_with_length(writer, content_length)

    def _in_time(self) -> None:
        if time.perf_counter() > self._not_after:
            self.kept_back = True
            raise OSError(ETIME, "this process stood still until it was too late to send")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > MAX_ANSWER_BYTES:
            raise aiohttp.ClientPayloadError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return bytes(raw)
