"""Refund: what is sent, what is never sent, and which answers are a yes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from backroom.amazon.outcomes import Outcome, Problem
from backroom.amazon.payments import MalformedRequest
from backroom.amazon.refund_client import REASONS, RefundClient
from backroom.errors import ConfigurationError
from backroom.money import Money
from tests.amazon.conftest import configured
from tests.amazon.scripted_amazon import Reply, ScriptedAmazon, refused, replies

KEY = "0b8f2a52-6d0e-4b6e-9a3c-0d6b8f6f3a11"
GOOD: dict[str, Any] = {
    "store_id": "STORE-001", "shopping_trip_id": "trip-1", "amount": Money.of("5.10", "USD"),
    "refund_request_key": KEY, "reason": "OTHER",
}  # fmt: skip


@pytest.fixture
def client(amazon_url: str) -> Iterator[RefundClient]:
    with RefundClient(configured(amazon_payments_url=amazon_url, amazon_timeout_seconds=0.4)) as made:
        yield made


def test_the_body_is_as_the_page_says_with_exact_digits(client: RefundClient, amazon: ScriptedAmazon) -> None:
    client.refund(**GOOD)
    (call,) = amazon.calls
    assert call.path == "/v1/refund"
    assert set(call.body) == {"storeId", "shoppingTripId", "amount", "refundRequestId", "refundReasonCode"}
    assert '"amount":5.10,' in call.text
    assert call.body["refundRequestId"] == KEY


@pytest.mark.parametrize("reason", REASONS)
def test_the_five_reasons_are_sent_as_they_are(client: RefundClient, amazon: ScriptedAmazon, reason: str) -> None:
    client.refund(**{**GOOD, "reason": reason})
    assert amazon.calls[0].body["refundReasonCode"] == reason


@pytest.mark.parametrize(
    ("body", "reconciliation_id"),
    [(None, None), ({}, None), ({"reconciliationId": "r-1"}, "r-1"), ({"reconciliationId": ""}, None), ("yes", None)],
)
def test_a_200_is_a_yes_with_or_without_a_reconciliation_id(
    client: RefundClient, amazon: ScriptedAmazon, body: Any, reconciliation_id: str | None
) -> None:
    amazon.script = replies(refund=Reply(body=body))
    answer, found = client.refund(**GOOD)
    assert (answer.outcome, found) == (Outcome.SUCCEEDED, reconciliation_id)


@pytest.mark.parametrize(
    ("reply", "outcome", "problem"),
    [
        (refused(400, "BadRequestException"), Outcome.REFUSED, Problem.BAD_REQUEST),
        (refused(403, "Forbidden"), Outcome.REFUSED, Problem.NOT_ALLOWED),
        (refused(429, "slow down", Retry_After="600"), Outcome.REFUSED, Problem.THROTTLED),
        (Reply(500), Outcome.UNKNOWN, Problem.SERVER_ERROR),
        (Reply(201), Outcome.UNKNOWN, Problem.UNINTELLIGIBLE),
        (Reply(drop=True), Outcome.UNKNOWN, Problem.CONNECTION_LOST),
        (Reply(wait=0.8), Outcome.UNKNOWN, Problem.TIMED_OUT),
    ],
)
def test_any_other_answer_is_told_apart(
    client: RefundClient, amazon: ScriptedAmazon, reply: Reply, outcome: Outcome, problem: Problem
) -> None:
    amazon.script = replies(refund=Reply(reply.status, reply.body or {"reconciliationId": "no"}, reply.headers,
                                         reply.drop, reply.wait))  # fmt: skip
    answer, reconciliation_id = client.refund(**GOOD)
    assert (answer.outcome, answer.problem, reconciliation_id) == (outcome, problem, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"store_id": ""}, {"store_id": "STORE 1"}, {"shopping_trip_id": "trip.1"}, {"shopping_trip_id": "x" * 256},
        {"amount": Money.of("0", "USD")}, {"amount": Money.of("-1", "USD")}, {"reason": "BORED"},
        {"reason": "other"}, {"refund_request_key": "1"}, {"refund_request_key": KEY.upper()},
        {"refund_request_key": "0b8f2a52-6d0e-7b6e-9a3c-0d6b8f6f3a11"}, {"refund_request_key": f"{KEY}\n"},
    ],
)  # fmt: skip
def test_what_amazon_would_refuse_is_not_sent(
    client: RefundClient, amazon: ScriptedAmazon, wrong: dict[str, Any]
) -> None:
    with pytest.raises(MalformedRequest):
        client.refund(**{**GOOD, **wrong})
    assert amazon.calls == []


def test_the_keys_that_we_make_are_those_that_amazon_takes(client: RefundClient) -> None:
    for _ in range(50):
        assert client.refund(**{**GOOD, "refund_request_key": str(uuid.uuid4())})[0].outcome is Outcome.SUCCEEDED


def test_a_host_that_moves_real_money_must_be_meant() -> None:
    url = "https://us-east-1.payments.amazonphysicalstores.com"
    with pytest.raises(ConfigurationError, match="real money"):
        RefundClient(configured(amazon_refund_url=url))
