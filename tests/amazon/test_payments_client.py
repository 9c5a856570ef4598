"""The payment client: what it sends, and how it tells outcomes apart."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from backroom.amazon.outcomes import Outcome, Problem
from backroom.amazon.payments import MalformedRequest, PaymentsClient
from backroom.db.embedded import free_port
from backroom.errors import ConfigurationError
from backroom.money import Money
from tests.amazon.conftest import configured
from tests.amazon.scripted_amazon import Reply, ScriptedAmazon, adjusted, refused, replies

TRIP = {"store_id": "STORE-001", "shopping_trip_id": "trip-1"}
TEN = Money.of("10.10", "USD")


def test_an_amount_is_written_with_its_exact_digits(payments: PaymentsClient, amazon: ScriptedAmazon) -> None:
    payments.capture(**TRIP, amount=Money.of("15.90", "USD"))
    payments.capture(**TRIP, amount=Money.of("500", "JPY"))
    assert '"amount":15.90,' in amazon.calls[0].text
    assert '"amount":500,' in amazon.calls[1].text


def test_an_approval_is_read_without_a_float(payments: PaymentsClient, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(adjust=adjusted("APPROVED", "10.10"))
    answer, adjustment = payments.adjust(**TRIP, amount=TEN)
    assert answer.outcome is Outcome.SUCCEEDED
    assert adjustment is not None
    assert adjustment.authorized == TEN
    assert isinstance(adjustment.authorized.amount, Decimal)


def test_a_request_is_signed_as_botocore_signs_it(payments: PaymentsClient, amazon: ScriptedAmazon) -> None:
    payments.cancel(**TRIP)
    call = amazon.calls[0]
    again = AWSRequest(
        "POST",
        f"http://{call.headers['Host']}{call.path}",
        data=call.text.encode(),
        headers={"Host": call.headers["Host"], "Content-Type": "application/json"},
    )
    again.context["timestamp"] = call.headers["X-Amz-Date"]
    signer = SigV4Auth(Credentials("AKIDTEST", "secret"), "execute-api", "us-east-1")
    again.headers["X-Amz-Date"] = call.headers["X-Amz-Date"]
    signature = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    assert call.headers["Authorization"].endswith(f"Signature={signature}")


def test_a_session_token_travels_with_temporary_credentials(
    amazon_url: str, amazon: ScriptedAmazon, way: Callable[[PaymentsClient], PaymentsClient]
) -> None:
    config = configured(amazon_payments_url=amazon_url, amazon_session_token="temporary")
    with PaymentsClient(config) as client:
        way(client).cancel(**TRIP)
    assert amazon.calls[0].headers["X-Amz-Security-Token"] == "temporary"


@pytest.mark.parametrize(
    ("reply", "outcome", "problem"),
    [
        (refused(400, "UnknownShoppingTrip"), Outcome.REFUSED, Problem.UNKNOWN_TRIP),
        (refused(400, "ShoppingTripExpiredException"), Outcome.REFUSED, Problem.EXPIRED),
        (refused(400, "BadRequestException"), Outcome.REFUSED, Problem.BAD_REQUEST),
        (refused(403, "Forbidden"), Outcome.REFUSED, Problem.NOT_ALLOWED),
        *[(Reply(status), Outcome.REFUSED, Problem.BAD_REQUEST) for status in (401, 404, 405, 413, 415)],
        *[(Reply(status), Outcome.UNKNOWN, Problem.UNINTELLIGIBLE) for status in (201, 202, 302, 409, 418, 425)],
        (Reply(408), Outcome.UNKNOWN, Problem.TIMED_OUT),
        (refused(500, "InternalServerError"), Outcome.UNKNOWN, Problem.SERVER_ERROR),
        (refused(503, "ServiceUnavailable"), Outcome.UNKNOWN, Problem.SERVER_ERROR),
        (Reply(drop=True), Outcome.UNKNOWN, Problem.CONNECTION_LOST),
        (Reply(wait=0.8), Outcome.UNKNOWN, Problem.TIMED_OUT),
    ],
)
def test_a_failure_is_told_apart(
    payments: PaymentsClient, amazon: ScriptedAmazon, reply: Reply, outcome: Outcome, problem: Problem
) -> None:
    amazon.script = replies(capture=reply)
    answer = payments.capture(**TRIP, amount=TEN)
    assert (answer.outcome, answer.problem) == (outcome, problem)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("soon", 600), ("", 600), ("-1", 600), ("9" * 5000, 86400)])
def test_retry_after_is_honoured_and_a_malformed_one_means_the_published_value(
    payments: PaymentsClient, amazon: ScriptedAmazon, header: str, seconds: int
) -> None:
    amazon.script = replies(cancel=refused(429, "Too Many Requests", Retry_After=header))
    answer = payments.cancel(**TRIP)
    assert (answer.outcome, answer.problem, answer.retry_after) == (Outcome.REFUSED, Problem.THROTTLED, seconds)


def test_a_process_that_stood_still_before_it_could_send_does_not_send_any_more(
    amazon_url: str,
    amazon: ScriptedAmazon,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[PaymentsClient], PaymentsClient],
) -> None:
    sign = SigV4Auth.add_auth

    def frozen(signer: SigV4Auth, request: AWSRequest) -> None:
        time.sleep(0.4)
        sign(signer, request)

    monkeypatch.setattr(SigV4Auth, "add_auth", frozen)
    with PaymentsClient(configured(amazon_payments_url=amazon_url, amazon_timeout_seconds=0.2)) as client:
        answer = way(client).capture(**TRIP, amount=TEN)
    assert answer.outcome is Outcome.NOT_SENT
    assert amazon.calls == []


def test_a_service_that_is_not_there_was_not_sent_to(way: Callable[[PaymentsClient], PaymentsClient]) -> None:
    config = configured(amazon_payments_url=f"http://127.0.0.1:{free_port()}")
    with PaymentsClient(config) as client:
        answer = way(client).cancel(**TRIP)
    assert (answer.outcome, answer.problem) == (Outcome.NOT_SENT, Problem.UNREACHABLE)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "MAYBE", "authorizedAmount": {"amount": 1, "code": "USD"}},
        {"status": "APPROVED"},
        {"status": "APPROVED", "authorizedAmount": {"amount": "10.10", "code": "USD"}},
        {"status": "APPROVED", "authorizedAmount": {"amount": Decimal("10.101"), "code": "USD"}},
    ],
)
def test_an_answer_that_cannot_be_understood_is_unknown(
    payments: PaymentsClient, amazon: ScriptedAmazon, body: dict[str, object]
) -> None:
    amazon.script = replies(adjust=Reply(body=body))
    answer, adjustment = payments.adjust(**TRIP, amount=TEN)
    assert (answer.outcome, answer.problem, adjustment) == (Outcome.UNKNOWN, Problem.UNINTELLIGIBLE, None)


def test_what_amazon_would_refuse_is_not_sent(payments: PaymentsClient, amazon: ScriptedAmazon) -> None:
    with pytest.raises(MalformedRequest, match="trip id"):
        payments.cancel(store_id="STORE-001", shopping_trip_id="trip 1")
    with pytest.raises(MalformedRequest, match="empty cart"):
        payments.capture(**TRIP, amount=Money.zero("USD"))
    assert amazon.calls == []


def test_a_host_that_moves_real_money_needs_the_setting_that_says_so() -> None:
    live = "https://us-east-1.payments.amazonphysicalstores.com"
    with pytest.raises(ConfigurationError, match="BACKROOM_AMAZON_REAL_MONEY"):
        PaymentsClient(configured(amazon_payments_url=live))
    PaymentsClient(configured(amazon_payments_url=live, amazon_real_money=True))
    PaymentsClient(configured(amazon_payments_url="https://us-east-1.test.payments.amazonphysicalstores.com"))
    with pytest.raises(ConfigurationError, match="https"):
        PaymentsClient(configured(amazon_payments_url=live.replace("https", "http"), amazon_real_money=True))
    with pytest.raises(ConfigurationError, match="BACKROOM_AMAZON_REAL_MONEY"):
        PaymentsClient(configured(amazon_payments_url="https://latest.example.com"))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8010", "http://"])
def test_a_base_url_that_is_none_is_one_clear_line(url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL"):
        PaymentsClient(configured(amazon_payments_url=url))
