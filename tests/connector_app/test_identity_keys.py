"""Verify identity keys: who may come in, and the same answer for the same gate event."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.connector_app.conftest import TOKENS, Amazon, gate_body, new_uuid, scan_code

REFUSED = {"errorMsg": "identityKey: invalid or unknown key"}


def decision(engine: Engine, body: dict[str, Any]) -> Any:
    with engine.connect() as connection:
        return (
            connection.execute(
                text("select * from gate_decision where auth_event_id = :id"), {"id": body["authEvent"]["id"]}
            )
            .mappings()
            .one()
        )


@pytest.mark.parametrize(("key", "kind"), [("ana_key", "SHOPPER"), ("kim_key", "ASSOCIATE")])
def test_a_known_shopper_comes_in(amazon: Amazon, key: str, kind: str) -> None:
    answer = amazon.gate(gate_body(key))
    assert answer.status_code == 200
    assert answer.get_json() == {"visitorDetails": {"id": key.removesuffix("_key"), "type": kind}}


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("nobody_key", "UNKNOWN_KEY"),
        (b"\xff\x00\xfe", "UNKNOWN_KEY"),
        ("flagged_key", "SHOPPER_FLAGGED"),
        ("debtor_key", "BALANCE_OUTSTANDING"),
        (scan_code(prefix="ELSE"), "WRONG_PREFIX"),
        (scan_code("f" * 21), "UNKNOWN_KEY"),
        (scan_code(age=61), "CODE_STALE"),
        (scan_code(age=-61), "CODE_FROM_THE_FUTURE"),
        (scan_code(TOKENS["flagged"]), "SHOPPER_FLAGGED"),
        (scan_code(TOKENS["debtor"]), "BALANCE_OUTSTANDING"),
        ("JWOIMAG18bc0554d045a48b29afa9e2aaac14ae", "CODE_STALE"),
        (TOKENS["ana"], "UNKNOWN_KEY"),
    ],
)
def test_who_may_not_come_in_gets_one_and_the_same_401(
    amazon: Amazon, retailer: Engine, key: str | bytes, reason: str
) -> None:
    body = gate_body(key)
    answer = amazon.gate(body)
    assert (answer.status_code, answer.get_json()) == (401, REFUSED)
    assert decision(retailer, body)["reason"] == reason


def test_a_debt_is_amazons_business_where_amazon_manages_the_risk(amazon: Amazon) -> None:
    assert amazon.gate(gate_body("debtor_key", storeId="STORE-002")).status_code == 200


@pytest.mark.parametrize("age", [0, 60, -60])
def test_a_code_within_the_freshness_opens(amazon: Amazon, age: int) -> None:
    assert amazon.gate(gate_body(scan_code(age=age))).status_code == 200


def test_a_code_with_a_custom_part_opens(amazon: Amazon) -> None:
    assert amazon.gate(gate_body(scan_code(age=31) + "Gate7")).status_code == 200


@pytest.mark.parametrize("disguise", [str.upper, lambda code: code + "x", lambda code: code])
def test_a_code_serves_one_gate_event(amazon: Amazon, retailer: Engine, disguise: Any) -> None:
    age = {"upper": 41, "<lambda>": 43}.get(disguise.__name__, 45) + (0.5 if disguise("a") == "a" else 0)
    code = scan_code(age=age)
    assert amazon.gate(gate_body(code)).status_code == 200
    prefix, rest = code[:7], code[7:]
    again = gate_body(prefix + disguise(rest))
    assert amazon.gate(again).status_code == 401
    assert decision(retailer, again)["reason"] == "CODE_USED"


def test_a_refused_code_is_not_used_up(amazon: Amazon, retailer: Engine) -> None:
    code = scan_code(TOKENS["debtor"], age=33)
    assert amazon.gate(gate_body(code)).status_code == 401
    assert amazon.gate(gate_body(code, storeId="STORE-002")).status_code == 200


def test_an_opaque_key_is_used_again_and_again(amazon: Amazon) -> None:
    assert [amazon.gate(gate_body("kim_key")).status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("key", ["ana_key", "nobody_key", scan_code(age=47)])
def test_a_gate_event_gets_its_first_answer_again(amazon: Amazon, retailer: Engine, key: str) -> None:
    body = gate_body(key)
    first = amazon.gate(body)
    again = amazon.gate({**body, "requestId": new_uuid()})
    assert (again.status_code, again.data) == (first.status_code, first.data)


def test_the_first_answer_outlives_what_it_was_based_on(amazon: Amazon, retailer: Engine) -> None:
    body = gate_body("nobody_yet")
    first = amazon.gate(body)
    with retailer.begin() as connection:
        from backroom.shoppers.registry import register

        register(connection, "late", "SHOPPER", keys=["nobody_yet"])
    assert amazon.gate(body).data == first.data
    assert amazon.gate(gate_body("nobody_yet")).status_code == 200


def test_another_key_for_the_event_gets_the_first_answer_and_asks(amazon: Amazon, retailer: Engine) -> None:
    body = gate_body("ana_key")
    first = amazon.gate(body)
    other = amazon.gate({**body, "identityKey": gate_body("kim_key")["identityKey"]})
    assert (other.status_code, other.data) == (200, first.data)
    with retailer.connect() as connection:
        kind = connection.execute(
            text("select kind from review_case where subject = :id"), {"id": body["authEvent"]["id"]}
        ).scalar_one()
    assert kind == "DIFFERENT_KEY"


def test_a_malformed_call_is_not_remembered(amazon: Amazon) -> None:
    body = gate_body("ana_key")
    assert amazon.gate({**body, "storeId": "STORE-404"}).status_code == 400
    assert amazon.gate(body).status_code == 200


def test_the_key_is_kept_nowhere(amazon: Amazon, retailer: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    body = gate_body("ana_key")
    amazon.gate(body)
    kept = str(dict(decision(retailer, body)))
    assert body["identityKey"] not in kept
    assert "ana_key" not in kept
    assert body["identityKey"] not in capsys.readouterr().err


def test_one_code_at_two_gates_at_once_opens_one(amazon: Amazon, retailer: Engine) -> None:
    """The client is not shared between threads: each gate has its own."""
    start = threading.Barrier(6)
    code = scan_code(age=51)

    def show(_number: int) -> int:
        start.wait()
        return Amazon(amazon.client.application.test_client()).gate(gate_body(code)).status_code

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(show, range(6))) == [200, 401, 401, 401, 401, 401]


def test_a_copy_with_another_code_that_comes_too_late_does_not_use_it_up(amazon: Amazon, retailer: Engine) -> None:
    """The copies race; whichever loses leaves its code unused."""
    start = threading.Barrier(2)
    codes = [scan_code(age=52), scan_code(age=53)]
    body = gate_body()

    def show(code: str) -> bytes:
        start.wait()
        client = Amazon(amazon.client.application.test_client())
        return client.gate({**body, "identityKey": gate_body(code)["identityKey"]}).data

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(show, codes)
    assert first == second
    assert sorted(amazon.gate(gate_body(code)).status_code for code in codes) == [200, 401]
