"""Get shopper, inbound: whom an associate helps (inbound.md, 4)."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from backroom.shoppers.registry import register
from tests.connector_app.conftest import MISSING, NOW, TOKENS, Amazon, changed, gate_body, new_uuid, scan_code
from tests.connector_app.test_scan import at_once, cases, coded
from tests.connector_app.test_validation import BAD_INSTANTS, BAD_NAMES, BAD_UUIDS, about

SHOPPER = "/v1/identity/shopper"
PHONE = "+1 206 555 0100"


@pytest.fixture(scope="module", autouse=True)
def more_shoppers(retailer: Engine) -> None:
    """One who is known by a telephone number, a cash shopper, a key that is good at one store only."""
    with retailer.begin() as connection:
        register(connection, "phil", "SHOPPER", keys=[PHONE])
        register(connection, "cash-2", "CASH_SHOPPER", keys=["cash_key_2"])
        register(connection, "local", "ASSOCIATE", keys=["local_key"], store_id="STORE-002")


def shopper_body(key: str | bytes = "ana_key", **changes: Any) -> dict[str, Any]:
    return {
        "requestId": new_uuid(),
        "shopperKey": coded(key),
        "shopperKeyType": "QR_CODE",
        "storeId": "STORE-001",
        "timestamp": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **changes,
    }


def ask(amazon: Amazon, body: Any) -> TestResponse:
    return amazon.client.post(SHOPPER, json=body)


@pytest.mark.parametrize(
    ("key", "kind", "visitor"),
    [
        ("ana_key", "QR_CODE", {"id": "ana", "type": "SHOPPER"}),
        ("kim_key", None, {"id": "kim", "type": "ASSOCIATE"}),
        ("cash_key_2", "QR_CODE", {"id": "cash-2", "type": "CASH_SHOPPER"}),
        (scan_code(age=12.25), "QR_CODE", {"id": "ana", "type": "SHOPPER"}),
        (scan_code(age=13.25), None, {"id": "ana", "type": "SHOPPER"}),
        (PHONE, "PHONE_NUMBER", {"id": "phil", "type": "SHOPPER"}),
    ],
)
def test_a_known_shopper_is_named(amazon: Amazon, key: str, kind: str | None, visitor: dict[str, str]) -> None:
    answer = ask(amazon, shopper_body(key, shopperKeyType=kind))
    assert (answer.status_code, answer.get_json()) == (200, {"visitorDetails": visitor})


@pytest.mark.parametrize(
    ("key", "kind", "reason"),
    [
        ("nobody_key", "QR_CODE", "UNKNOWN_KEY"),
        ("+1 000", "PHONE_NUMBER", "UNKNOWN_KEY"),
        (scan_code(age=14.25), "PHONE_NUMBER", "UNKNOWN_KEY"),
        (scan_code(age=61.25), "QR_CODE", "CODE_STALE"),
        (scan_code(prefix="ELSE"), "QR_CODE", "WRONG_PREFIX"),
        ("flagged_key", "QR_CODE", "SHOPPER_FLAGGED"),
        ("debtor_key", "QR_CODE", "BALANCE_OUTSTANDING"),
        ("local_key", "QR_CODE", "UNKNOWN_KEY"),
        (TOKENS["ana"], "QR_CODE", "UNKNOWN_KEY"),
    ],
)
def test_whom_the_gate_would_not_let_in_is_a_401(
    amazon: Amazon, retailer: Engine, key: str, kind: str, reason: str
) -> None:
    body = shopper_body(key, shopperKeyType=kind)
    answer = ask(amazon, body)
    assert (answer.status_code, answer.get_json()) == (401, {"errorMsg": "shopperKey: invalid or unknown key"})
    assert kept(retailer, body["requestId"])["reason"] == reason


def kept(engine: Engine, request_id: str) -> Any:
    with engine.connect() as connection:
        return (
            connection.execute(
                text("select * from identity_answer where operation = 'GET_SHOPPER' and idempotency_key = :id"),
                {"id": request_id},
            )
            .mappings()
            .one()
        )


def test_a_key_of_one_store_is_good_there(amazon: Amazon) -> None:
    assert ask(amazon, shopper_body("local_key", storeId="STORE-002")).status_code == 200


TOO_LONG = base64.b64encode(b"x" * 751).decode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(("requestId", value) for value in [MISSING, *BAD_UUIDS]),
        *(("shopperKey", value) for value in [MISSING, None, "", "!!!", "YWJ", "YWJj\n", "YWJj=", TOO_LONG, "é", 7]),
        *(("shopperKeyType", value) for value in ["", "qr_code", "EMAIL", 7, []]),
        *(("storeId", value) for value in [MISSING, "STORE-404", *BAD_NAMES]),
        *(("timestamp", value) for value in [MISSING, *BAD_INSTANTS]),
    ],
    ids=lambda value: "MISSING" if value is MISSING else None,
)
def test_get_shopper_refuses(amazon: Amazon, path: str, value: Any) -> None:
    answer = ask(amazon, changed(shopper_body(), path, value))
    assert answer.status_code == 400
    assert set(answer.get_json()) == {"errorMsg"}
    assert about(answer.get_json()["errorMsg"], path), answer.get_json()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("shopperKey", base64.b64encode(b"x" * 750).decode()),
        ("shopperKeyType", MISSING),
        ("shopperKeyType", None),
        ("shopperKeyType", "PHONE_NUMBER"),
        ("news", {"a": [1]}),
    ],
    ids=lambda value: "MISSING" if value is MISSING else None,
)
def test_get_shopper_takes(amazon: Amazon, path: str, value: Any) -> None:
    assert ask(amazon, changed(shopper_body(), path, value)).status_code in (200, 401)


@pytest.mark.parametrize("key", ["ana_key", "nobody_key", scan_code(age=22.25)])
def test_a_request_gets_its_first_answer_again(amazon: Amazon, retailer: Engine, key: str) -> None:
    body = shopper_body(key)
    first = ask(amazon, body)
    with retailer.begin() as connection:
        connection.execute(text("update shopper set active = not active where shopper_id = 'ana'"))
    again = ask(amazon, body)
    with retailer.begin() as connection:
        connection.execute(text("update shopper set active = true where shopper_id = 'ana'"))
    assert (again.status_code, again.data) == (first.status_code, first.data)


def test_another_key_for_the_request_gets_the_first_answer_and_asks(amazon: Amazon, retailer: Engine) -> None:
    body = shopper_body("ana_key")
    first = ask(amazon, body)
    assert ask(amazon, {**body, "shopperKey": coded("kim_key")}).data == first.data
    assert cases(retailer, body["requestId"]) == ["DIFFERENT_KEY"]


def test_a_refused_request_is_not_remembered(amazon: Amazon) -> None:
    body = shopper_body()
    assert ask(amazon, {**body, "storeId": "STORE-404"}).status_code == 400
    assert ask(amazon, body).status_code == 200


def test_copies_at_once_get_equal_answers(amazon: Amazon) -> None:
    answers = at_once(amazon, [shopper_body(scan_code(age=23.25))] * 8, SHOPPER)
    assert set(answers) == {answers[0]}
    assert answers[0][1] == 200


def test_a_code_serves_one_request_and_then_no_gate(amazon: Amazon) -> None:
    code = scan_code(age=24.25)
    answers = at_once(amazon, [shopper_body(code) for _ in range(5)], SHOPPER)
    assert sorted(status for _, status in answers) == [200, 401, 401, 401, 401]
    assert amazon.gate(gate_body(code)).status_code == 401


def test_the_key_is_kept_nowhere(amazon: Amazon, retailer: Engine) -> None:
    body = shopper_body("ana_key", news=0.125)
    ask(amazon, body)
    remembered = kept(retailer, body["requestId"])
    assert body["shopperKey"] not in str(dict(remembered))
    assert remembered["raw_body"]["news"] == 0.125
