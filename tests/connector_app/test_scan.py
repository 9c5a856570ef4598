"""Resolve scan and scan details: whose a scan is, and what it brings (inbound.md, 2 and 3)."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from backroom.settings import settings
from backroom.shoppers.registry import register
from tests.connector_app.conftest import MISSING, NOW, TOKENS, Amazon, changed, new_uuid, scan_code
from tests.connector_app.test_validation import A_UUID, BAD_INSTANTS, BAD_NAMES, BAD_UUIDS, about
from tests.shoppers.accounts import add_account

SCAN, DETAILS = "/v1/identity/scan", "/v1/identity/scan/details"


@pytest.fixture(scope="module", autouse=True)
def accounts(retailer: Engine) -> None:
    """A loyalty card of nobody's, two of ana's, a closed one; a cash shopper."""
    with retailer.begin() as connection:
        register(connection, "cash-1", "CASH_SHOPPER", keys=["cash_key"])
        for loyalty_id, provider, shopper_id, active in (
            ("gold-7", "GreenPoints", None, True),
            ("ana-1", "GreenPoints", "ana", True),
            ("ana-2", "BlueClub", "ana", True),
            ("closed-1", "GreenPoints", None, False),
        ):
            promotions = {"gold-7": ["P2", "P1"], "ana-2": ["P3"], "ana-1": ["P3"]}.get(loyalty_id, [])
            add_account(connection, loyalty_id, f"{loyalty_id} card", provider, shopper_id, promotions, active=active)


def coded(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def scan_body(value: str | bytes = "gold-7 card", **changes: Any) -> dict[str, Any]:
    event = {
        "id": new_uuid(), "timestamp": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"), "location": "MANUAL_IN_STORE",
        "value": coded(value), "channel": "OPTICAL",
    }  # fmt: skip
    return {"requestId": new_uuid(), "storeId": "STORE-001", "scanEvent": event, **changes}


def details_body(result_id: str = "gold-7", kind: str = "LOYALTY", **changes: Any) -> dict[str, Any]:
    return {"storeId": "STORE-001", "scanResult": {"id": result_id, "type": kind}, **changes}


def scan(amazon: Amazon, body: Any) -> TestResponse:
    return amazon.client.post(SCAN, json=body)


def kept(engine: Engine, key: str) -> Any:
    with engine.connect() as connection:
        return (
            connection.execute(
                text("select * from identity_answer where operation = 'SCAN' and idempotency_key = :key"), {"key": key}
            )
            .mappings()
            .one_or_none()
        )


@pytest.mark.parametrize(
    ("value", "result_id", "kind"),
    [
        ("gold-7 card", "gold-7", "LOYALTY"),
        ("ana-1 card", "ana-1", "LOYALTY"),
        ("ana_key", "ana", "SHOPPER"),
        ("kim_key", "kim", "ASSOCIATE"),
        ("cash_key", "cash-1", "CASH"),
        (scan_code(age=17.5), "ana", "SHOPPER"),
    ],
)
def test_a_known_value_is_accepted_with_whose_it_is(amazon: Amazon, value: str, result_id: str, kind: str) -> None:
    answer = scan(amazon, scan_body(value))
    assert (answer.status_code, answer.get_json()) == (
        200, {"action": "ACCEPT", "scanResult": {"id": result_id, "type": kind}},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nobody's", "UNKNOWN_KEY"),
        (b"\xff\x00", "UNKNOWN_KEY"),
        ("closed-1 card", "UNKNOWN_KEY"),
        ("flagged_key", "SHOPPER_FLAGGED"),
        (scan_code(age=61), "CODE_STALE"),
        (scan_code(prefix="ELSE"), "WRONG_PREFIX"),
    ],
)
def test_an_unknown_value_is_a_200_with_reject(
    amazon: Amazon, retailer: Engine, value: str | bytes, reason: str
) -> None:
    body = scan_body(value)
    answer = scan(amazon, body)
    assert (answer.status_code, answer.get_json()) == (200, {"action": "REJECT"})
    assert kept(retailer, body["scanEvent"]["id"])["reason"] == reason


@pytest.mark.parametrize(
    ("location", "action"), [("ENTRY", "REJECT"), ("MANUAL_IN_STORE", "ACCEPT"), ("EXIT", "ACCEPT")]
)
def test_a_balance_counts_for_a_scan_at_the_entry_only(amazon: Amazon, location: str, action: str) -> None:
    body = changed(scan_body("debtor_key"), "scanEvent.location", location)
    assert scan(amazon, body).get_json()["action"] == action


@pytest.mark.parametrize("value", [MISSING, None, "", "  "])
@pytest.mark.parametrize("padding", ["", " ", "\n"])
def test_without_a_value_an_id_that_is_no_uuid_is_the_value_trimmed(
    amazon: Amazon, retailer: Engine, value: Any, padding: str
) -> None:
    body = changed(changed(scan_body(), "scanEvent.id", coded("gold-7 card") + padding), "scanEvent.value", value)
    assert scan(amazon, body).get_json() == {"action": "ACCEPT", "scanResult": {"id": "gold-7", "type": "LOYALTY"}}
    remembered = kept(retailer, body["requestId"])
    assert coded("gold-7 card") not in str(dict(remembered))


def test_a_value_goes_before_an_id_that_could_be_one(amazon: Amazon, retailer: Engine) -> None:
    body = changed(scan_body("ana_key"), "scanEvent.id", coded("gold-7 card"))
    assert scan(amazon, body).get_json()["scanResult"]["id"] == "ana"
    assert kept(retailer, body["requestId"]) is not None


@pytest.mark.parametrize("value", [f" {coded('gold-7 card')}", f"{coded('gold-7 card')} \r\n"])
def test_a_value_is_trimmed(amazon: Amazon, value: str) -> None:
    assert scan(amazon, changed(scan_body(), "scanEvent.value", value)).get_json()["action"] == "ACCEPT"


REFUSED = [
    *(("requestId", value) for value in [MISSING, *BAD_UUIDS]),
    *(("storeId", value) for value in [MISSING, "STORE-404", *BAD_NAMES]),
    *(("scanEvent", value) for value in [MISSING, None, "x", [], {}]),
    *(("scanEvent.id", value) for value in [MISSING, None, "", " ", "not base64!", A_UUID + "0", 7, coded("x" * 751)]),
    *(("scanEvent.timestamp", value) for value in [MISSING, *BAD_INSTANTS]),
    *(("scanEvent.location", value) for value in [MISSING, None, "", "entry", "ROOF", 7]),
    *(
        ("scanEvent.value", value)
        for value in [MISSING, None, "", " ", "!!!", "YWJ", "YWJj=", "é", 7, coded("x" * 751)]
    ),
    *(("scanEvent.channel", value) for value in ["", "optical", "SMOKE", 7]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), REFUSED, ids=lambda value: "MISSING" if value is MISSING else None)
def test_scan_refuses(amazon: Amazon, path: str, value: Any) -> None:
    answer = scan(amazon, changed(scan_body(), path, value))
    assert answer.status_code == 400
    assert set(answer.get_json()) == {"errorMsg"}
    assert about(answer.get_json()["errorMsg"], path), answer.get_json()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("scanEvent.value", coded("x" * 750)),
        ("scanEvent.channel", MISSING),
        ("scanEvent.channel", None),
        ("scanEvent.channel", "NFC"),
        ("news", [0.5, {"a": None}]),
        ("scanEvent.news", {}),
    ],
    ids=lambda value: "MISSING" if value is MISSING else None,
)
def test_scan_takes(amazon: Amazon, path: str, value: Any) -> None:
    assert scan(amazon, changed(scan_body(), path, value)).status_code == 200


def test_unknown_attributes_are_kept_and_the_value_is_not(amazon: Amazon, retailer: Engine) -> None:
    body = changed(scan_body("ana_key", news={"n": 0.25}), "scanEvent.more", "x")
    scan(amazon, body)
    remembered = kept(retailer, body["scanEvent"]["id"])
    assert remembered["raw_body"]["news"] == {"n": 0.25}
    assert remembered["raw_body"]["scanEvent"]["more"] == "x"
    assert body["scanEvent"]["value"] not in str(dict(remembered))
    assert remembered["shopper_id"] == "ana"


@pytest.mark.parametrize("value", ["gold-7 card", "nobody's", scan_code(age=27.5)])
def test_a_scan_event_gets_its_first_answer_again(amazon: Amazon, retailer: Engine, value: str) -> None:
    body = scan_body(value)
    first = scan(amazon, body)
    with retailer.begin() as connection:
        add_account(connection, "gold-7", "gold-7 card", "GreenPoints", None, ["P2", "P1"], active=False)
    again = scan(amazon, {**body, "requestId": new_uuid()})
    with retailer.begin() as connection:
        kept = connection.execute(text("select convert_from(response_body, 'UTF8') from identity_answer")).scalars()
        assert [said for said in kept if "gold-7" in said] == [], "answers are kept without the account's id"
        add_account(connection, "gold-7", "gold-7 card", "GreenPoints", None, ["P2", "P1"])
    assert (again.status_code, again.data) == (200, first.data)


def test_a_scan_without_an_event_id_is_known_by_its_request(amazon: Amazon, retailer: Engine) -> None:
    body = changed(changed(scan_body(), "scanEvent.id", coded("gold-7 card")), "scanEvent.value", MISSING)
    first = scan(amazon, body)
    again = scan(amazon, changed(body, "scanEvent.id", coded("nobody's")))
    assert again.data == first.data
    assert cases(retailer, body["requestId"]) == ["DIFFERENT_KEY"]


def test_another_value_for_the_event_gets_the_first_answer_and_asks(amazon: Amazon, retailer: Engine) -> None:
    body = scan_body("gold-7 card")
    first = scan(amazon, body)
    other = scan(amazon, changed(body, "scanEvent.value", coded("ana_key")))
    assert other.data == first.data
    assert cases(retailer, body["scanEvent"]["id"]) == ["DIFFERENT_KEY"]


def cases(engine: Engine, subject: str) -> list[str]:
    with engine.connect() as connection:
        found = connection.execute(text("select kind from review_case where subject = :id"), {"id": subject})
        return list(found.scalars())


def test_a_refused_scan_is_not_remembered(amazon: Amazon) -> None:
    body = scan_body()
    assert scan(amazon, {**body, "storeId": "STORE-404"}).status_code == 400
    assert scan(amazon, body).get_json()["action"] == "ACCEPT"


def test_copies_at_once_have_one_effect_and_equal_answers(amazon: Amazon, retailer: Engine) -> None:
    body = scan_body(scan_code(age=37.5))
    answers = at_once(amazon, [body] * 8)
    assert {answer for answer, _ in answers} == {answers[0][0]}
    assert b"ACCEPT" in answers[0][0]
    with retailer.connect() as connection:
        used = connection.execute(
            text("select count(*) from scan_code_use where auth_event_id = :id"), {"id": body["scanEvent"]["id"]}
        ).scalar_one()
    assert used == 1


def test_one_code_serves_one_scan(amazon: Amazon) -> None:
    code = scan_code(age=38.5)
    answers = at_once(amazon, [scan_body(code) for _ in range(6)])
    assert sorted(b"ACCEPT" in body for body, _ in answers) == [False] * 5 + [True]


def test_a_code_that_was_scanned_opens_no_gate(amazon: Amazon) -> None:
    from tests.connector_app.conftest import gate_body

    code = scan_code(age=39.5)
    assert scan(amazon, scan_body(code)).get_json()["action"] == "ACCEPT"
    assert amazon.gate(gate_body(code)).status_code == 401


def at_once(amazon: Amazon, bodies: list[dict[str, Any]], path: str = SCAN) -> list[tuple[bytes, int]]:
    """The client is not shared between threads."""
    start = threading.Barrier(len(bodies))

    def send(body: dict[str, Any]) -> tuple[bytes, int]:
        start.wait()
        answer = amazon.client.application.test_client().post(path, json=body)
        return answer.data, answer.status_code

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(send, bodies))


@pytest.mark.parametrize(
    ("result_id", "kind", "provider", "promotions"),
    [
        ("gold-7", "LOYALTY", "GreenPoints", ["P1", "P2"]),
        ("ana-1", "LOYALTY", "GreenPoints", ["P3"]),
        ("ana", "SHOPPER", "GreenPoints", ["P3"]),
    ],
)
def test_details_are_the_accounts_provider_and_promotions(
    amazon: Amazon, result_id: str, kind: str, provider: str, promotions: list[str]
) -> None:
    answer = amazon.client.post(DETAILS, json=details_body(result_id, kind))
    assert (answer.status_code, answer.get_json()) == (200, {"provider": provider, "promotionIds": promotions})


@pytest.mark.parametrize(
    ("result_id", "kind"),
    [("nobody", "LOYALTY"), ("closed-1", "LOYALTY"), ("ana", "LOYALTY"), ("gold-7", "SHOPPER"), ("kim", "ASSOCIATE")],
)
def test_details_of_what_has_no_open_account_are_a_404(amazon: Amazon, result_id: str, kind: str) -> None:
    answer = amazon.client.post(DETAILS, json=details_body(result_id, kind))
    assert (answer.status_code, answer.get_json()) == (404, {"errorMsg": "scanResult: not found"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(("storeId", value) for value in [MISSING, "STORE-404", *BAD_NAMES]),
        *(("scanResult", value) for value in [MISSING, None, "x", [], {}]),
        *(("scanResult.id", value) for value in [MISSING, *BAD_NAMES]),
        *(("scanResult.type", value) for value in [MISSING, None, "", "loyalty", "VIP", 7]),
    ],
    ids=lambda value: "MISSING" if value is MISSING else None,
)
def test_details_refuse(amazon: Amazon, path: str, value: Any) -> None:
    answer = amazon.client.post(DETAILS, json=changed(details_body(), path, value))
    assert answer.status_code == 400
    assert about(answer.get_json()["errorMsg"], path), answer.get_json()


@pytest.mark.parametrize("kind", ["SHOPPER", "ASSOCIATE", "CASH", "CASH_SHOPPER", "LOYALTY"])
def test_details_take_each_type(amazon: Amazon, kind: str) -> None:
    assert amazon.client.post(DETAILS, json=details_body("ana", kind, news=1)).status_code in (200, 404)


def test_a_token_of_a_scan_code_is_no_value_by_itself(amazon: Amazon) -> None:
    assert scan(amazon, scan_body(TOKENS["ana"])).get_json() == {"action": "REJECT"}


def test_without_a_privacy_key_there_are_no_loyalty_accounts(amazon: Amazon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKROOM_PRIVACY_KEYS", "")
    settings.cache_clear()
    try:
        assert scan(amazon, scan_body("nobody's")).get_json() == {"action": "REJECT"}
        assert amazon.client.post(DETAILS, json=details_body()).status_code == 404
    finally:
        monkeypatch.undo()
        settings.cache_clear()
