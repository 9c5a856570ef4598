"""Who may call the portal: the retailer's app, for the shopper whom its identity provider vouches for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from backroom.errors import ConfigurationError
from connector_app.portal import create_app
from connector_app.portal.app import OPEN_ENDPOINTS
from tests.connector_app.portal.conftest import (
    KEYS,
    NOW,
    PATH,
    App,
    app_over,
    bearer,
    claims,
    portal_settings,
    public_pem,
)

SECONDS = int(NOW.timestamp())
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused


def status(app: App, authorization: str | None) -> int:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = app.client.post(PATH, json={}, headers=headers)
    if answer.status_code == 401:
        assert answer.get_json() == {"errorMsg": "authentication: a valid bearer token is needed"}
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    return answer.status_code


@pytest.mark.parametrize("algorithm", KEYS)
def test_each_kind_of_key_is_good_for_its_own_algorithm_only(app: App, algorithm: str) -> None:
    portal = app_over(portal_settings(portal_app_public_key=public_pem(KEYS[algorithm])))
    for other in KEYS:
        assert status(portal, bearer(algorithm=other)) == (201 if other == algorithm else 401)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": None},
        {"exp": SECONDS - 30},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": 10**400},
        {"nbf": SECONDS + 31},
        {"iat": SECONDS + 31},
        {"iss": None},
        {"iss": "https://identity.stranger.test"},
        {"aud": None},
        {"aud": "another-service"},
        {"aud": ["another-service"]},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\0b"},
        {"sub": "\ud800"},
        {"sub": "x" * 256},
    ],
)
def test_a_token_that_says_something_wrong_is_a_401(app: App, changes: dict[str, Any]) -> None:
    assert status(app, bearer(**changes)) == 401


@pytest.mark.parametrize(
    "changes", [{"exp": SECONDS - 29}, {"nbf": SECONDS + 30}, {"aud": ["another-service", "the-portal"]}, {"iat": None}]
)
def test_what_is_within_the_leeway_or_optional_is_let_through(app: App, changes: dict[str, Any]) -> None:
    assert status(app, bearer(**changes)) == 201


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer x", "Bearer a.b.c", "Bearer " + "x" * 9000]
)
def test_no_bearer_or_none_that_can_be_read_is_a_401(app: App, authorization: str | None) -> None:
    assert status(app, authorization) == 401


def test_the_schemes_name_may_be_in_any_case(app: App) -> None:
    assert status(app, bearer().replace("Bearer", "bEARER")) == 201


def test_another_key_an_altered_claim_and_no_signature_are_a_401(app: App) -> None:
    stranger = jwt.encode(claims(), ed25519.Ed25519PrivateKey.generate(), algorithm="EdDSA")
    head, _, signature = bearer().removeprefix("Bearer ").split(".")
    altered = base64.urlsafe_b64encode(json.dumps(claims("bo")).encode()).decode().rstrip("=")
    for token in (stranger, f"{head}.{altered}.{signature}", jwt.encode(claims(), None, algorithm="none")):
        assert status(app, f"Bearer {token}") == 401


def test_the_public_key_is_no_shared_secret(app: App) -> None:
    """The classic confusion: an HMAC made with the public key's own text."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    signed = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims())}"
    mac = hmac.new(public_pem(KEYS["EdDSA"]).encode(), signed.encode(), hashlib.sha256).digest()
    assert status(app, f"Bearer {signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}") == 401


def test_every_route_asks_for_credentials_but_the_open_ones(app: App) -> None:
    rules = list(app.client.application.url_map.iter_rules())
    assert {rule.endpoint for rule in rules} > OPEN_ENDPOINTS
    for rule in rules:
        if rule.endpoint.startswith("pages_"):
            continue  # for people, who are led to the sign-in: test_pages.py
        for method in rule.methods or ():
            answer = app.client.open(rule.rule, method=method)
            assert (answer.status_code == 401) == (rule.endpoint not in OPEN_ENDPOINTS), (method, rule.rule)


def test_the_open_routes_are_these_and_no_others() -> None:
    assert sorted(OPEN_ENDPOINTS) == ["health.healthz", "health.readyz", "webhooks.sandbox", "webhooks.stripe"]


def test_a_key_with_its_line_ends_written_out_is_read(app: App) -> None:
    written = public_pem(KEYS["EdDSA"]).replace("\n", "\\n")
    assert status(app_over(portal_settings(portal_app_public_key=written)), bearer()) == 201


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"portal_app_public_key": None}, "BACKROOM_PORTAL_APP_PUBLIC_KEY"),
        ({"portal_app_issuer": ""}, "BACKROOM_PORTAL_APP_ISSUER"),
        ({"portal_app_audience": ""}, "BACKROOM_PORTAL_APP_AUDIENCE"),
        ({"portal_app_public_key": "nonsense"}, "not the PEM"),
        ({"portal_app_public_key": public_pem(WEAK)}, "at least 2048 bits"),
        ({"portal_app_public_key": public_pem(ec.generate_private_key(ec.SECP384R1()))}, "P-256"),
    ],
)
def test_a_portal_that_could_not_tell_who_calls_does_not_start(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        create_app(portal_settings(**changes))
