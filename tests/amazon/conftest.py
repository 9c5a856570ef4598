"""Builders for the client's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backroom.amazon.payments import PaymentsClient
from backroom.settings import Settings
from tests.amazon.scripted_amazon import ScriptedAmazon, serving


def configured(**values: Any) -> Settings:
    return Settings(**{"amazon_access_key_id": "AKIDTEST", "amazon_secret_access_key": "secret", **values})


@pytest.fixture
def amazon() -> ScriptedAmazon:
    return ScriptedAmazon()


@pytest.fixture
def amazon_url(amazon: ScriptedAmazon) -> Iterator[str]:
    with serving(amazon) as url:
        yield url


class AtOnce:
    """The asynchronous client, one call at a time, so that both are held to the same tests."""

    def __init__(self, client: PaymentsClient) -> None:
        self._client = client

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**asked: Any) -> Any:
            async def _call() -> Any:
                async with self._client.at_once(2) as twin:
                    return await getattr(twin, operation)(**asked)

            return asyncio.run(_call())

        return call


@pytest.fixture(params=[lambda client: client, AtOnce], ids=["one by one", "at once"])
def way(request: pytest.FixtureRequest) -> Callable[[PaymentsClient], PaymentsClient]:
    """Either client."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def payments(amazon_url: str, way: Callable[[PaymentsClient], PaymentsClient]) -> Iterator[PaymentsClient]:
    with PaymentsClient(configured(amazon_payments_url=amazon_url, amazon_timeout_seconds=0.4)) as client:
        yield way(client)
