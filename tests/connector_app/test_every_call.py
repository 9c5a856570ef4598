"""What holds for every call: the envelope, sizes, nesting, content types, methods, capacity, a lost database, roles."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, event, text
from werkzeug.test import TestResponse

from backroom.settings import Settings
from connector_app.amazon import create_app
from connector_app.amazon.openapi import OPERATIONS
from tests.connector_app.conftest import NOW, Amazon, cart_body, gate_body, line
from tests.connector_app.test_card_numbers import PLANTED, SPACED, everything_kept
from tests.connector_app.test_get_shopper import SHOPPER, shopper_body
from tests.connector_app.test_scan import DETAILS, SCAN, details_body, scan_body
from tests.connector_app.test_shopper_authorization import PATH as AUTHORIZATION
from tests.connector_app.test_shopper_authorization import body as authorization_body
from tests.connector_app.test_validation import nested

GATE, ORDER = "/v1/identity/identity-keys", "/v1/order/purchases"
PATHS = [operation.path for operation in OPERATIONS]
IDENTITY = [GATE, SCAN, DETAILS, SHOPPER]


def good(path: str, **changes: Any) -> dict[str, Any]:
    """A call that is answered well (404 for details: ana has no account here)."""
    bodies: dict[str, Any] = {
        GATE: lambda: gate_body(**changes),
        SCAN: lambda: scan_body("ana_key", **changes),
        DETAILS: lambda: details_body("ana", "SHOPPER", **changes),
        SHOPPER: lambda: shopper_body(**changes),
        AUTHORIZATION: lambda: authorization_body(**changes),
        ORDER: lambda: cart_body(line(), **changes),
    }
    return dict(bodies[path]())


def well(path: str) -> int:
    return {DETAILS: 404, ORDER: 201}.get(path, 200)


def raw(amazon: Amazon, path: str, data: bytes, content_type: str | None = "application/json") -> TestResponse:
    return amazon.client.post(path, data=data, content_type=content_type)


def test_every_call_of_the_document_is_among_these() -> None:
    assert {*IDENTITY, AUTHORIZATION, ORDER} == set(PATHS)


@pytest.mark.parametrize("path", PATHS)
def test_a_good_call_is_answered_in_json(amazon: Amazon, path: str) -> None:
    answer = amazon.client.post(path, json=good(path))
    assert (answer.status_code, answer.content_type) == (well(path), "application/json")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("size", [2_000_001, 17_000_000])
def test_a_body_beyond_the_limit_is_a_413(amazon: Amazon, path: str, size: int) -> None:
    answer = raw(amazon, path, b" " * size)
    assert (answer.status_code, answer.get_json()) == (413, {"errorMsg": "body: too large"})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("levels", [51, 1000, 100_000])
def test_a_body_nested_too_deeply_is_a_400(amazon: Amazon, path: str, levels: int) -> None:
    answer = raw(amazon, path, nested(levels))
    assert answer.status_code == 400
    assert answer.get_json()["errorMsg"].startswith("body: ")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b"[]", b'"x"', b'{"a": NaN}', b'{"a": 1e400}', b'\xff{"a": 1}', b'{"a": "\\u0000"}',
     b'{"a": "\\ud800"}', b'{"a": 1} x'],
    ids=repr,
)  # fmt: skip
def test_what_is_not_a_sound_json_object_is_a_400(amazon: Amazon, path: str, data: bytes) -> None:
    answer = raw(amazon, path, data)
    assert answer.status_code == 400
    assert answer.get_json()["errorMsg"].startswith("body: ")


@pytest.mark.parametrize("path", PATHS)
def test_an_empty_object_names_the_first_field_that_is_required(amazon: Amazon, path: str) -> None:
    answer = raw(amazon, path, b"{}")
    first = "storeId" if path in {DETAILS, AUTHORIZATION} else "requestId"
    assert (answer.status_code, answer.get_json()) == (400, {"errorMsg": f"{first}: required"})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("content_type", ["application/xml", "text/plain", "application/x-www-form-urlencoded"])
def test_another_content_type_is_a_415(amazon: Amazon, path: str, content_type: str) -> None:
    answer = raw(amazon, path, json.dumps(good(path)).encode(), content_type)
    assert (answer.status_code, answer.get_json()) == (415, {"errorMsg": "Content-Type: must be application/json"})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", None])
def test_json_with_a_charset_and_no_content_type_are_taken(amazon: Amazon, path: str, content_type: str | None) -> None:
    assert raw(amazon, path, json.dumps(good(path)).encode(), content_type).status_code == well(path)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_a_405(amazon: Amazon, path: str, method: str) -> None:
    answer = amazon.client.open(path, method=method)
    assert (answer.status_code, answer.get_json()) == (405, {"errorMsg": "request: method not allowed"})
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("path", [f"{path}/more" for path in PATHS] + ["/", "/v1/identity", "/v2/order/purchases"])
def test_an_unknown_path_is_a_404(amazon: Amazon, path: str) -> None:
    answer = amazon.client.post(path, json={})
    assert (answer.status_code, answer.get_json()) == (404, {"errorMsg": "request: not found"})


@pytest.mark.parametrize("path", PATHS)
def test_beyond_capacity_the_gate_says_429_and_who_is_retried_503(retailer: Engine, path: str) -> None:
    """A place held is a place taken; nobody waits."""
    config = Settings(
        connector_auth="off", connector_gate_calls=1, connector_purchases_calls=1, connector_waiting=0,
        connector_gate_seconds=0.2, connector_purchases_seconds=0.2,
    )  # fmt: skip
    app = create_app(config, lambda: NOW)
    body = good(path)
    zones = app.config["ZONES"]
    with zones["gate"].in_flight.place(), zones["purchases"].in_flight.place():
        answer = app.test_client().post(path, json=body)
    assert answer.status_code == (429 if path in IDENTITY else 503)
    assert answer.get_json() == {"errorMsg": "service: at capacity, try again"}
    assert app.test_client().post(path, json=body).status_code == well(path)  # it was not remembered


@pytest.mark.parametrize("path", IDENTITY)
def test_a_lost_database_is_a_500_at_the_gate(retailer: Engine, amazon: Amazon, path: str) -> None:
    gone = SecretStr(retailer.url.set(port=1).render_as_string(hide_password=False))
    connector = create_app(Settings(connector_auth="off", database_url=gone, connector_gate_seconds=0.5), lambda: NOW)
    body = good(path)
    answer = connector.test_client().post(path, json=body)
    assert (answer.status_code, answer.get_json()) == (500, {"errorMsg": "service: unavailable, try again"})
    assert amazon.client.post(path, json=body).status_code == well(path)


@pytest.mark.parametrize("number", [PLANTED, SPACED])
@pytest.mark.parametrize("path", PATHS)
def test_a_card_number_in_free_text_is_not_kept(amazon: Amazon, retailer: Engine, path: str, number: str) -> None:
    body = good(path, remark={f"card {number}": [f"{number}."]})
    assert amazon.client.post(path, json=body).status_code == well(path)
    kept = everything_kept(retailer)
    assert number not in kept
    assert number.replace(" ", "") not in kept


def test_the_connectors_role_may_do_all_this(retailer: Engine) -> None:
    """Also what happens seldom: other content under the same id."""
    app = create_app(Settings(connector_auth="off"), lambda: NOW)

    def become(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute("set role backroom_connector")

    for zone in app.config["ZONES"].values():
        event.listen(zone.engine, "checkout", become)
    client = app.test_client()
    for path in PATHS:
        body = good(path)
        assert client.post(path, json=body).status_code == well(path), path
        assert client.post(path, json=body).status_code == well(path), path
    repeated = scan_body("ana_key")
    authorization = authorization_body()
    for path, first, other in (
        (SCAN, repeated, {**repeated, "scanEvent": {**repeated["scanEvent"], "value": "YWJj"}}),
        (SHOPPER, shopper := shopper_body(), {**shopper, "shopperKey": "YWJj"}),
        (AUTHORIZATION, authorization, {**authorization, "shopperIdentity": {"id": "another"}}),
    ):
        assert client.post(path, json=first).data == client.post(path, json=other).data
    with retailer.connect() as connection:
        kinds = connection.execute(text("select kind from review_case order by kind")).scalars()
        assert set(kinds) >= {"DIFFERENT_AUTHORIZATION", "DIFFERENT_KEY"}
