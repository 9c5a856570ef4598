"""Builders for the client's tests."""

from __future__ import annotations

from collections.abc import Iterator
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


@pytest.fixture
def payments(amazon_url: str) -> Iterator[PaymentsClient]:
    with PaymentsClient(configured(amazon_payments_url=amazon_url, amazon_timeout_seconds=0.4)) as client:
        yield client
