"""Who may call: the signature, the gateway's list, and no route that forgot to ask."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr, ValidationError
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from backroom.errors import ConfigurationError
from backroom.settings import Settings
from connector_app.amazon import create_app
from connector_app.amazon.app import OPEN_ENDPOINTS
from connector_app.amazon.authentication import is_allowed
from tests.connector_app.conftest import KEY_ID, SECRET, cart_body, gate_body, line, signed_headers

GATE, ORDER = "/v1/identity/identity-keys", "/v1/order/purchases"
SCAN, DETAILS, SHOPPER = "/v1/identity/scan", "/v1/identity/scan/details", "/v1/identity/shopper"
AUTHORIZATION = "/v1/fraudandabuse/shopperauthorization"
IDENTITY_ROLE = "arn:aws:iam::111122223333:role/IdentityGateway"
ORDERING_ROLE = "arn:aws:iam::111122223333:role/service/OrderingGateway"
AUTHORIZATION_ROLE = "arn:aws:iam::111122223333:role/FraudGateway"


def present() -> datetime:
    return datetime.now(UTC)


@cache
def sigv4(clock: Any = present) -> FlaskClient:
    config = Settings(
        connector_auth="sigv4", connector_access_key_id=KEY_ID, connector_secret_access_key=SecretStr(SECRET)
    )
    return create_app(config, clock).test_client()


@cache
def gateway() -> FlaskClient:
    config = Settings(
        connector_auth="gateway",
        connector_gateway_secret=SecretStr("gateway-secret"),
        connector_identity_arns=[IDENTITY_ROLE],
        connector_ordering_arns=[ORDERING_ROLE],
        connector_authorization_arns=[AUTHORIZATION_ROLE],
    )
    return create_app(config).test_client()


def send(
    client: FlaskClient, path: str, body: bytes, *, sent: bytes | None = None, url: str | None = None, **signing: Any
) -> TestResponse:
    """Signs `body` for `url` and sends `sent` to `path`."""
    headers = signed_headers("POST", url or f"http://localhost{path}", body, **signing)
    return client.post(path, data=body if sent is None else sent, headers=headers)


def cart() -> bytes:
    return json.dumps(cart_body(line())).encode()


@pytest.mark.parametrize(
    "signing",
    [
        {},
        {"token": "a-session-token"},
        {"headers": {"X-Extra": "one  two"}},
        {"headers": {"X-Amzn-Trace-Id": "Root=1"}},
    ],
)  # fmt: skip
def test_a_good_signature_is_let_through(retailer: Engine, signing: dict[str, Any]) -> None:
    assert send(sigv4(), ORDER, cart(), **signing).status_code == 201


def test_the_query_string_is_part_of_what_is_signed(retailer: Engine) -> None:
    assert send(sigv4(), f"{ORDER}?b=2&a=x%20y", cart()).status_code == 201
    assert send(sigv4(), f"{ORDER}?b=3", cart(), url=f"http://localhost{ORDER}?b=2").status_code == 403


@pytest.mark.parametrize(
    ("signing", "reason"),
    [
        ({"secret": "another"}, "the signature does not match"),
        ({"key_id": "AKIDOTHER"}, "unknown access key, region or service"),
        ({"service": "s3"}, "unknown access key, region or service"),
        ({"region": "eu-west-1"}, "unknown access key, region or service"),
        ({"url": f"http://localhost{GATE}"}, "the signature does not match"),
        ({"url": f"http://elsewhere{ORDER}"}, "the signature does not match"),
        ({"sent": b'{"another": "body"}'}, "the signature does not match"),
        ({"headers": {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}}, "the signature does not match"),
    ],
)
def test_a_wrong_signature_is_refused(retailer: Engine, signing: dict[str, Any], reason: str) -> None:
    answer = send(sigv4(), ORDER, cart(), **signing)
    assert answer.status_code == 403
    assert answer.get_json() == {"errorMsg": f"authentication: {reason}"}


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_outside_the_clock_skew_is_refused(retailer: Engine, minutes: int) -> None:
    answer = send(sigv4(lambda: datetime.now(UTC) + timedelta(minutes=minutes)), ORDER, cart())
    assert answer.get_json() == {
        "errorMsg": "authentication: X-Amz-Date is missing, malformed or too far from our time"
    }
    assert send(sigv4(lambda: datetime.now(UTC) + timedelta(minutes=4)), ORDER, cart()).status_code == 201


@pytest.mark.parametrize("header", ["Authorization", "X-Amz-Date", "Content-Type"])
def test_a_signed_header_that_is_gone_or_changed_is_noticed(retailer: Engine, header: str) -> None:
    body = cart()
    headers = signed_headers("POST", f"http://localhost{ORDER}", body)
    for value in ("", "application/json; charset=utf-8", "20260101T000000Z", "ä"):
        assert sigv4().post(ORDER, data=body, headers={**headers, header: value}).status_code == 403
    del headers[header]
    assert sigv4().post(ORDER, data=body, headers=headers).status_code == 403


def test_signing_without_the_host_is_not_enough(retailer: Engine) -> None:
    body = cart()
    headers = signed_headers("POST", f"http://localhost{ORDER}", body)
    headers["Authorization"] = headers["Authorization"].replace("host;", "")
    assert sigv4().post(ORDER, data=body, headers=headers).status_code == 403


def test_a_cart_beyond_the_limit_is_kept_up_to_the_limit(retailer: Engine) -> None:
    config = {
        "connector_auth": "sigv4",
        "connector_access_key_id": KEY_ID,
        "connector_secret_access_key": SecretStr(SECRET),
    }
    client = create_app(Settings(**config, connector_max_body_bytes=1000)).test_client()  # type: ignore[arg-type]
    with retailer.begin() as connection:
        connection.execute(text("delete from refused_cart"))
    assert send(client, ORDER, b" " * 1001, secret="another").status_code == 403
    assert send(client, ORDER, b" " * 1001).status_code == 413
    with retailer.begin() as connection:
        kept = connection.execute(text("delete from refused_cart returning body, status")).all()
    assert [(len(body), status) for body, status in kept] == [(1000, 403), (1000, 413)]


@pytest.mark.parametrize(
    ("path", "caller", "secret", "status"),
    [
        (ORDER, ORDERING_ROLE, "gateway-secret", 201),
        (ORDER, "arn:aws:sts::111122223333:assumed-role/OrderingGateway/session-7", "gateway-secret", 201),
        (GATE, "arn:aws:sts::111122223333:assumed-role/IdentityGateway/s", "gateway-secret", 200),
        (ORDER, ORDERING_ROLE, "another", 403),
        (ORDER, ORDERING_ROLE, None, 403),
        (ORDER, IDENTITY_ROLE, "gateway-secret", 403),
        (GATE, ORDERING_ROLE, "gateway-secret", 403),
        (SCAN, IDENTITY_ROLE, "gateway-secret", 400),
        (DETAILS, IDENTITY_ROLE, "gateway-secret", 400),
        (SHOPPER, IDENTITY_ROLE, "gateway-secret", 400),
        (SCAN, AUTHORIZATION_ROLE, "gateway-secret", 403),
        (AUTHORIZATION, AUTHORIZATION_ROLE, "gateway-secret", 400),
        (AUTHORIZATION, IDENTITY_ROLE, "gateway-secret", 403),
        (AUTHORIZATION, ORDERING_ROLE, "gateway-secret", 403),
        (ORDER, AUTHORIZATION_ROLE, "gateway-secret", 403),
        (ORDER, None, "gateway-secret", 403),
        (ORDER, "", "gateway-secret", 403),
        (ORDER, "arn:aws:sts::444455556666:assumed-role/OrderingGateway/s", "gateway-secret", 403),
        (ORDER, "arn:aws:sts::111122223333:assumed-role/OtherOrderingGateway/s", "gateway-secret", 403),
    ],
)
def test_behind_the_gateway_each_path_has_its_callers(
    retailer: Engine, path: str, caller: str | None, secret: str | None, status: int
) -> None:
    headers = {"X-Caller-Arn": caller, "X-Backroom-Gateway-Secret": secret}
    body = cart_body(line()) if path == ORDER else gate_body()
    answer = gateway().post(
        path, json=body, headers={name: value for name, value in headers.items() if value is not None}
    )
    assert answer.status_code == status


def test_a_role_with_a_path_is_the_role_of_its_sessions() -> None:
    assert is_allowed("arn:aws:sts::111122223333:assumed-role/OrderingGateway/x", (ORDERING_ROLE,))
    assert not is_allowed("arn:aws:sts::111122223333:assumed-role/service/OrderingGateway", (IDENTITY_ROLE,))


@pytest.mark.parametrize("client", [sigv4, gateway])
def test_every_route_but_the_health_checks_asks_for_credentials(retailer: Engine, client: Any) -> None:
    app = client().application
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint not in OPEN_ENDPOINTS]
    assert {rule.rule for rule in rules} == {GATE, SCAN, DETAILS, SHOPPER, AUTHORIZATION, ORDER}
    for rule in rules:
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            answer = app.test_client().open(rule.rule, method=method, data=b"{}", content_type="application/json")
            assert answer.status_code == 403, rule


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_the_health_checks_and_the_document_are_open(retailer: Engine, path: str) -> None:
    assert sigv4().get(path).status_code == 200


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"connector_auth": "sigv4"}, "BACKROOM_CONNECTOR_SECRET_ACCESS_KEY"),
        (
            {"connector_auth": "gateway", "connector_gateway_secret": SecretStr("s")},
            "BACKROOM_CONNECTOR_ORDERING_ARNS",
        ),
    ],
)
def test_a_mode_without_what_it_needs_does_not_start(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        create_app(Settings(**settings))


def test_authentication_is_not_switched_off_in_production() -> None:
    with pytest.raises(ValidationError, match="development only"):
        Settings(env="production", connector_auth="off")


def test_switched_off_in_development_everyone_is_let_through(retailer: Engine) -> None:
    client = create_app(Settings(connector_auth="off")).test_client()
    for headers in ({}, {"Authorization": "nonsense"}, {"X-Caller-Arn": "arn:aws:iam::1:role/nobody"}):
        assert client.post(ORDER, data=cart(), headers=headers).status_code == 201


def test_behind_the_gateway_a_signature_alone_or_no_secret_at_all_is_refused(retailer: Engine) -> None:
    """The gateway has checked the signature; who goes around it has none of its secrets."""
    assert send(gateway(), ORDER, cart()).status_code == 403
    assert send(gateway(), ORDER, cart(), headers={"X-Caller-Arn": ORDERING_ROLE}).status_code == 403
    for secret in ("", "gateway-secre", "gateway-secret2", "gateway-secr\u00e9t"):
        headers = {"X-Caller-Arn": ORDERING_ROLE, "X-Backroom-Gateway-Secret": secret}
        assert gateway().post(ORDER, data=cart(), headers=headers).status_code == 403
    with pytest.raises(ValidationError, match="BACKROOM_CONNECTOR_GATEWAY_SECRET"):
        Settings(env="production", connector_auth="gateway", connector_ordering_arns=[ORDERING_ROLE])


def test_a_good_caller_of_one_path_does_not_open_another_afterwards(retailer: Engine) -> None:
    """What was found about a caller is remembered by path."""
    client = gateway()
    headers = {"X-Caller-Arn": ORDERING_ROLE, "X-Backroom-Gateway-Secret": "gateway-secret"}
    for _ in range(2):
        assert client.post(ORDER, data=cart(), headers=headers).status_code == 201
        assert client.post(GATE, json=gate_body(), headers=headers).status_code == 403


def test_an_altered_body_is_refused_and_no_purchase_is_made_of_it(retailer: Engine) -> None:
    body = cart_body(line())
    signed, sent = json.dumps(body).encode(), json.dumps({**body, "storeId": "STORE-002"}).encode()
    assert send(sigv4(), ORDER, signed, sent=sent).status_code == 403
    with retailer.connect() as connection:
        found = connection.scalar(
            text("select count(*) from purchase where shopping_trip_id = :trip"),
            {"trip": body["idempotentShoppingTripId"]},
        )
    assert found == 0
