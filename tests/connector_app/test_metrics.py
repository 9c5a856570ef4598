"""`GET /metrics`: for whom it is, what it counts, and that it names nobody."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import Engine

from backroom.settings import Settings
from connector_app.amazon import create_app
from tests.connector_app.conftest import (
    KEY_ID,
    NOW,
    SECRET,
    LiveConnector,
    cart_body,
    changed,
    gate_body,
    line,
    scan_code,
)

GATE, ORDER = "/v1/identity/identity-keys", "/v1/order/purchases"
LABELS = {"operation", "status", "outcome", "le"}


def samples(written: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """By name and labels; those of the connector."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(written)
        for sample in family.samples
        if sample.name.startswith("backroom_connector")
    }


def read(client: FlaskClient) -> dict[Any, float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return samples(answer.get_data(as_text=True))


def key(name: str, **labels: str) -> Any:
    return f"backroom_connector_{name}", tuple(sorted(labels.items()))


def test_calls_are_counted_by_operation_and_status_with_their_seconds_and_what_was_decided(retailer: Engine) -> None:
    client = create_app(Settings(connector_auth="off"), lambda: NOW).test_client()
    before = read(client)
    cart, code = cart_body(line()), scan_code(age=20)
    client.post(ORDER, json=cart)
    client.post(ORDER, json=cart)
    client.post(ORDER, json=changed(cart, "cartItems.0.type", "?"))
    client.post(ORDER, json=cart_body(line("NOBODY-KNOWS")))
    for shown in (code, code, "nobody's key", "flagged_key", "debtor_key"):
        client.post(GATE, json=gate_body(shown))
    client.get("/healthz")
    client.post("/no/such/path", json={})
    after = read(client)

    def more(name: str, **labels: str) -> float:
        return after.get(key(name, **labels), 0) - before.get(key(name, **labels), 0)

    order, gate = "order.purchases", "identity.identity_keys"
    assert [more("calls_total", operation=order, status=status) for status in ("201", "400")] == [3, 1]
    assert [more("calls_total", operation=gate, status=status) for status in ("200", "401")] == [1, 4]
    assert more("calls_total", operation="none", status="404") == 1
    assert (more("seconds_count", operation=order), more("seconds_count", operation=gate)) == (4, 5)
    assert more("seconds_sum", operation=order) > 0
    assert more("seconds_bucket", operation=gate, le="+Inf") == 5
    outcomes = {outcome: more("outcomes_total", operation=order, outcome=outcome) for outcome in (
        "PRICED", "REPEATED", "REFUSED", "BAD_CART",
    )}  # fmt: skip
    assert set(outcomes.values()) == {1}, outcomes
    reasons = ("ADMITTED", "CODE_USED", "UNKNOWN_KEY", "SHOPPER_FLAGGED", "BALANCE_OUTSTANDING")
    assert {reason: more("outcomes_total", operation=gate, outcome=reason) for reason in reasons} == dict.fromkeys(
        reasons, 1
    )


def test_labels_are_of_few_words_and_hold_no_id(retailer: Engine) -> None:
    client = create_app(Settings(connector_auth="off"), lambda: NOW).test_client()
    cart, event = cart_body(line(), requestId="a-request-id-of-ours"), gate_body()
    client.post(ORDER, json=cart)
    client.post(GATE, json=event)
    client.post("/v1/order/purchases/a-path-of-ours", json={})
    client.post(ORDER, json=changed(cart, "storeId", "a-store-of-ours"))
    written = client.get("/metrics").get_data(as_text=True)
    for _, labels in samples(written):
        assert {name for name, _ in labels} <= LABELS
        for name, value in labels:
            if name != "le":
                assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)?|[0-9]{3}|[A-Z_]+", value), (name, value)
    for private in (cart["idempotentShoppingTripId"], event["authEvent"]["id"], "ana", "STORE-001", "of-ours"):
        assert f'"{private}' not in written
        assert f'{private}"' not in written


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer the-token", 200), ("Bearer another", 403), ("Bearer ", 403), (None, 403), ("Bearer the-tokené", 403),
    ],
)  # fmt: skip
@pytest.mark.parametrize("env", ["development", "production"])
def test_where_a_token_is_set_it_is_asked_for(
    retailer: Engine, env: str, authorization: str | None, status: int
) -> None:
    config = Settings(env=env, metrics_token=SecretStr("the-token"), **SIGNED)  # type: ignore[arg-type]
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = create_app(config).test_client().get("/metrics", headers=headers)
    assert answer.status_code == status
    assert (b"backroom_connector" in answer.data) is (status == 200)


SIGNED: dict[str, Any] = {
    "connector_auth": "sigv4",
    "connector_access_key_id": KEY_ID,
    "connector_secret_access_key": SecretStr(SECRET),
}


@pytest.mark.parametrize(("env", "status"), [("production", 403), ("development", 200)])
def test_without_a_token_it_is_for_development_only(retailer: Engine, env: str, status: int) -> None:
    client = create_app(Settings(env=env, **SIGNED)).test_client()
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
        assert client.get("/metrics", headers=headers).status_code == status


def test_a_served_connector_adds_up_what_all_of_its_processes_count(
    served: Callable[..., AbstractContextManager[LiveConnector]], retailer: Engine
) -> None:
    with served(BACKROOM_CONNECTOR_WORKERS="2", BACKROOM_METRICS_TOKEN="the-token") as server:
        for _ in range(30):  # each over a connection of its own, so that all processes get some
            assert server.post(ORDER, cart_body(line())).status_code == 201
        headers = {"Authorization": "Bearer the-token"}
        answers = [httpx.get(f"{server.url}/metrics", headers=headers).text for _ in range(9)]
        assert httpx.get(f"{server.url}/metrics").status_code == 403
    counted = key("calls_total", operation="order.purchases", status="201")
    assert {samples(written)[counted] for written in answers} == {30}
    assert {samples(written)[key("seconds_count", operation="order.purchases")] for written in answers} == {30}
