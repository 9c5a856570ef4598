"""The reference of the charges' benchmark: a bare asynchronous client that signs and sends the same calls, and no more.

`python -m tests.benchmarks.bare_charges URL CALLS_AT_ONCE FILE` adjusts and captures the trips in FILE, one id a line,
and prints the seconds that this took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from yarl import URL

from backroom.settings import settings
from tests.benchmarks.charged_trips import AMOUNT, STORE


async def send_all(base_url: str, trips: list[str], calls_at_once: int) -> float:
    """Seconds for an adjustment and a capture of each trip. Raises RuntimeError where one is not answered 200."""
    config = settings()
    assert config.amazon_access_key_id is not None
    assert config.amazon_secret_access_key is not None
    signer = SigV4Auth(
        Credentials(config.amazon_access_key_id, config.amazon_secret_access_key.get_secret_value()),
        "execute-api",
        config.amazon_region,
    )
    waiting: Iterator[str] = iter(trips)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=calls_at_once)) as session:

        async def call(path: str, body: bytes) -> None:
            url = base_url + path
            asked = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json"})
            signer.add_auth(asked)
            async with session.post(URL(url, encoded=True), data=body, headers=dict(asked.headers.items())) as answer:
                await answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"{path} was answered {answer.status}")

        async def work() -> None:
            for trip in waiting:
                amount = {"amount": float(AMOUNT), "code": "USD"}
                body = json.dumps({"storeId": STORE, "shoppingTripId": trip, "amount": amount}).encode()
                await call("/v1/adjust/charge", body)
                await call("/v1/capture/charge", body)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(calls_at_once)))
        return time.perf_counter() - began


if __name__ == "__main__":
    url, at_once, file = sys.argv[1:]
    print(json.dumps({"seconds": asyncio.run(send_all(url, Path(file).read_text().split(), int(at_once)))}))  # noqa: T201
