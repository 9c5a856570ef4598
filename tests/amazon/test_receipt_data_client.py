"""What a receipt asks of Amazon: the card's EMV data and the shopper's address; whatever is wrong is not believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backroom.amazon.outcomes import Outcome, Problem
from backroom.amazon.payments import MalformedRequest
from backroom.amazon.receipt_data_client import ReceiptDataClient, TransactionalData
from backroom.errors import ConfigurationError
from tests.amazon.conftest import configured
from tests.amazon.scripted_amazon import Reply, ScriptedAmazon, refused

TRIP = {"store_id": "STORE-001", "shopping_trip_id": "trip-1"}
SHOPPER = {"store_id": "STORE-001", "shopper_id": "kiosk.shopper-1"}
WHOLE = {
    "brand": "VISA", "posEntryMode": "EMV_9F39_07", "currency": "USD", "authorizationResponseCode": "00",
    "cryptogramInformationData": "40", "tail": "4242", "panSequenceNumber": "01", "applicationId": "A0000000031010",
    "expirationDate": {"expirationYear": "2031", "expirationMonth": "07"},
    "cardholderVerificationMethodResult": "1F0302", "terminalId": "t-1", "reconciliationId": "r-1",
    "cardStatementTransactionId": "s-1",
}  # fmt: skip


@pytest.fixture
def client(amazon_url: str) -> Iterator[ReceiptDataClient]:
    with ReceiptDataClient(configured(amazon_payments_url=amazon_url, amazon_timeout_seconds=0.4)) as made:
        yield made


def answers(amazon: ScriptedAmazon, reply: Reply | Any) -> None:
    amazon.script = lambda _: reply if isinstance(reply, Reply) else Reply(body=reply)


def test_the_whole_answer_is_read(client: ReceiptDataClient, amazon: ScriptedAmazon) -> None:
    answers(amazon, WHOLE)
    answer, data = client.transactional_data(**TRIP)
    assert answer.outcome is Outcome.SUCCEEDED
    assert data == TransactionalData(
        "VISA", "4242", "EMV_9F39_07", "USD", "00", "40", "01", "A0000000031010", "2031", "07", "1F0302", "t-1", "r-1",
        "s-1",
    )  # fmt: skip
    (call,) = amazon.calls
    assert (call.path, call.body) == (
        "/v1/payment/transactional-data", {"storeId": "STORE-001", "shoppingTripId": "trip-1"},
    )  # fmt: skip


@pytest.mark.parametrize("missing", sorted(WHOLE))
def test_any_of_it_may_be_missing(client: ReceiptDataClient, amazon: ScriptedAmazon, missing: str) -> None:
    answers(amazon, {name: value for name, value in WHOLE.items() if name != missing})
    answer, data = client.transactional_data(**TRIP)
    assert answer.outcome is Outcome.SUCCEEDED
    assert data is not None


@pytest.mark.parametrize(
    "wrong",
    [
        None, [], "text", {"tail": "4111111111111111"}, {"tail": 4242}, {"brand": 1}, {"posEntryMode": "SWIPED"},
        {"expirationDate": "07/31"}, {"expirationDate": {"expirationYear": 2031}},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_not_believed_and_a_long_number_is_never_repeated(
    client: ReceiptDataClient, amazon: ScriptedAmazon, wrong: Any
) -> None:
    answers(amazon, wrong)
    answer, data = client.transactional_data(**TRIP)
    assert (answer.outcome, answer.problem, data) == (Outcome.UNKNOWN, Problem.UNINTELLIGIBLE, None)
    assert "4111" not in answer.message


@pytest.mark.parametrize(
    ("body", "email"), [({"shopperEmail": "ana@example.com"}, "ana@example.com"), ({}, None), (None, None)]
)
def test_an_unknown_shopper_is_a_yes_without_an_address(
    client: ReceiptDataClient, amazon: ScriptedAmazon, body: Any, email: str | None
) -> None:
    answers(amazon, body)
    answer, found = client.shopper_email(**SHOPPER)
    assert (answer.outcome, found) == (Outcome.SUCCEEDED, email)
    assert (amazon.calls[0].path, amazon.calls[0].body["shopperId"]) == (
        "/v1/identity/shopper", {"id": "kiosk.shopper-1"},
    )  # fmt: skip


@pytest.mark.parametrize("wrong", [{"shopperEmail": 1}, {"shopperEmail": "x" * 129}])
def test_an_address_that_is_none_is_not_believed(client: ReceiptDataClient, amazon: ScriptedAmazon, wrong: Any) -> None:
    answers(amazon, wrong)
    answer, found = client.shopper_email(**SHOPPER)
    assert (answer.outcome, answer.problem, found) == (Outcome.UNKNOWN, Problem.UNINTELLIGIBLE, None)


@pytest.mark.parametrize("shopper", ["", " ", "a b", "a/b", "x" * 256])
def test_a_shopper_that_amazon_would_refuse_is_not_asked_about(
    client: ReceiptDataClient, amazon: ScriptedAmazon, shopper: str
) -> None:
    with pytest.raises(MalformedRequest):
        client.shopper_email(store_id="STORE-001", shopper_id=shopper)
    assert amazon.calls == []


def test_a_refusal_brings_nothing(client: ReceiptDataClient, amazon: ScriptedAmazon) -> None:
    answers(amazon, refused(400, "UnknownShoppingTrip"))
    answer, data = client.transactional_data(**TRIP)
    assert (answer.problem, data) == (Problem.UNKNOWN_TRIP, None)
    answer, email = client.shopper_email(**SHOPPER)
    assert (answer.outcome, email) == (Outcome.REFUSED, None)


@pytest.mark.parametrize("setting", ["amazon_transactional_data_url", "amazon_shopper_identity_url"])
def test_a_host_beyond_tests_must_be_meant(setting: str) -> None:
    url = "https://us-east-1.payments.amazonphysicalstores.com"
    with pytest.raises(ConfigurationError, match="real money"):
        ReceiptDataClient(configured(**{setting: url}))
