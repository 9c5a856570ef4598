"""How Amazon calls the connector: signed, repeated where the plan says so, tried again where nothing came."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx

from jwo_sandbox import exact_json, faults, signing
from jwo_sandbox.sandbox import Sandbox

TRIES = 8
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
NAMES = uuid.UUID("5b8f3f6e-6a0e-4a57-9f0c-6f0b6d9f7c11")
"""Namespace of request ids: the same trip always calls with the same ones."""


def request_id(trip_id: str, purpose: str) -> str:
    """The id of a trip's call."""
    return str(uuid.uuid5(NAMES, f"{trip_id} {purpose}"))


@dataclass
class ConnectorCalls:
    """Calls over one client; what goes wrong is counted."""

    sandbox: Sandbox
    client: httpx.AsyncClient
    counts: Counter[str]

    async def call(
        self, path: str, body: dict[str, Any], repeat: str | None = None, *, tries: int = TRIES
    ) -> list[httpx.Response | None]:
        """Call once, twice one after the other, or twice at the same moment; byte for byte the same body.

        None for an answer that never came.
        """
        content = exact_json.dumps(body).encode()
        if repeat == faults.PARALLEL:
            two = (self._until_answered(path, content, tries), self._until_answered(path, content, tries))
            return list(await asyncio.gather(*two))
        first = await self._until_answered(path, content, tries)
        return [first, await self._until_answered(path, content, tries)] if repeat == faults.TWICE else [first]

    def check_same(self, trip_id: str, responses: list[httpx.Response | None]) -> None:
        """Repeats are answered byte for byte alike; keep it in the books where they are not."""
        if len({response.content for response in responses if response is not None}) > 1:
            self.counts["answers_that_differ"] += 1
            self.sandbox.books.keep(f"differs {trip_id}", [response.text for response in responses if response])

    async def _until_answered(self, path: str, content: bytes, tries: int) -> httpx.Response | None:
        """The answer; 5xx, 429 and lost connections are tried again with growing pauses. None: nothing came back."""
        configuration = self.sandbox.configuration
        url, response = f"{configuration.connector_url}{path}", None
        for attempt in range(tries):
            headers = signing.sign(
                "POST",
                url,
                content,
                key_id=configuration.connector_access_key_id,
                secret=configuration.connector_secret_access_key,
                region=configuration.region,
            )
            try:
                response = await self.client.post(url, content=content, headers=headers)
            except httpx.TransportError:
                self.counts["connections_lost"] += 1
            else:
                if response.status_code < 500 and response.status_code != 429:
                    return response
                self.counts[f"answered_{response.status_code}"] += 1
            if attempt + 1 < tries:
                await asyncio.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))
        return response
