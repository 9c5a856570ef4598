"""Shopper authorization: the strategies, our risk data, the answer kept by the gate event (inbound.md, 6)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from backroom.entry.card_of_trip import identity_of_trip
from backroom.settings import Settings
from backroom.shoppers import cards
from connector_app.amazon import create_app
from tests.connector_app.conftest import MISSING, NOW, Amazon, cart_body, changed, gate_body, line, new_uuid
from tests.connector_app.test_scan import at_once
from tests.connector_app.test_validation import BAD_INSTANTS, BAD_NAMES, about

PATH = "/v1/fraudandabuse/shopperauthorization"
EMPTY: dict[str, Any] = {"shopperAuthorized": True, "authorizationConditions": [], "shopperRisks": []}


@pytest.fixture(scope="module", autouse=True)
def risks(retailer: Engine) -> None:
    """A store of each strategy, and one that looks at its own debts only; cards that owe, are flagged or trusted."""
    with retailer.begin() as connection:
        for store_id, strategy, scope in (
            ("STORE-003", "AMAZON_RECOMMENDATION", "ALL_STORES"),
            ("STORE-004", "NONE", "ALL_STORES"),
            ("STORE-005", "RETAILER_MANAGED", "THIS_STORE"),
        ):
            connection.execute(
                text(
                    "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction,"
                    " risk_strategy, preauthorization_amount, feeds, balance_scope)"
                    " values (:id, 'a store', 'm', 'UTC', 'USD', 'X', :strategy, 75, '{FILES}', :scope)"
                ),
                {"id": store_id, "strategy": strategy, "scope": scope},
            )
        for trip, token, amount, paid, state in (
            ("owed-1", "card-owes", 12, 0, "OPEN"),
            ("owed-2", "card-paid-once", 12, 12, "PAID"),
            ("owed-3", "card-offender", 5, 5, "PAID"),
            ("owed-4", "card-offender", 6, 0, "WRITTEN_OFF"),
        ):
            connection.execute(
                text(
                    "insert into debt (shopping_trip_id, store_id, shopper_identity, cause, currency, amount, paid,"
                    " state, written_off, opened_at, forgiven_at) values (:trip, 'STORE-001', :token,"
                    " 'CAPTURE_DECLINED', 'USD', :amount, :paid, :state, :written_off, '2026-03-01Z', :forgiven)"
                ),
                {
                    "trip": trip,
                    "token": token,
                    "amount": amount,
                    "paid": paid,
                    "state": state,
                    "written_off": amount if state == "WRITTEN_OFF" else 0,
                    "forgiven": "2026-03-02Z" if state == "WRITTEN_OFF" else None,
                },
            )
        judged = {"reason": "a test", "actor": "a test", "now": NOW}
        cards.judge(connection, "card-flagged", "FLAGGED", **judged)
        cards.judge(connection, "card-trusted", "TRUSTED", **judged)


def body(card: str = "card-1", store_id: str = "STORE-001", **changes: Any) -> dict[str, Any]:
    """The page's example, for a new gate event."""
    money = {"value": 75, "currencyCode": "USD"}
    interaction = {
        "shoppingTripId": f"trip-{new_uuid()}",
        "gateAuthenticationEvent": {
            "id": new_uuid(), "type": "CREDIT_CARD", "interactionType": "TAP", "timestamp": "2026-03-22T17:00:00Z",
            "location": "ENTRY", "data": {},
        },
        "recommendation": {"shopperAuthorized": True, "authorizationConditions": [], "shopperRisks": []},
        "cartHint": {
            "totalPrice": dict(money),
            "items": [
                {
                    "id": "MILK", "type": "SKU", "unitPrice": dict(money), "quantity": {"value": 1, "unit": "unit"},
                    "externalIdentifiers": [{"id": "0123", "externalIdentifierType": "UPC"}],
                }
            ],
        },
    }  # fmt: skip
    return {
        "storeId": store_id,
        "shopperIdentity": {"id": card},
        "authorizedAmount": money,
        "shopperInteraction": interaction,
        **changes,
    }


def recommending(asked: dict[str, Any], authorized: bool, *risks: str, conditions: Any = ()) -> dict[str, Any]:
    suggested = {
        "shopperAuthorized": authorized, "authorizationConditions": list(conditions), "shopperRisks": list(risks),
    }  # fmt: skip
    return changed(asked, "shopperInteraction.recommendation", suggested)


def event_id(asked: dict[str, Any]) -> str:
    return str(asked["shopperInteraction"]["gateAuthenticationEvent"]["id"])


def trip_id(asked: dict[str, Any]) -> str:
    return str(asked["shopperInteraction"]["shoppingTripId"])


def send(amazon: Amazon, asked: Any) -> TestResponse:
    return amazon.client.post(PATH, json=asked)


def kept(engine: Engine, key: str) -> Any:
    with engine.connect() as connection:
        return (
            connection.execute(
                text("select * from shopper_authorization where gate_authentication_event_id = :key"), {"key": key}
            )
            .mappings()
            .one_or_none()
        )


def outcome(answer: TestResponse) -> tuple[bool, list[str]]:
    assert answer.status_code == 200
    found = answer.get_json()
    assert set(found) == set(EMPTY)
    return found["shopperAuthorized"], found["shopperRisks"]


def test_low_risk_is_authorized(amazon: Amazon, retailer: Engine) -> None:
    asked = body()
    answer = send(amazon, asked)
    assert (answer.status_code, answer.get_json()) == (200, EMPTY)
    row = kept(retailer, event_id(asked))
    assert (row["shopper_identity"], row["shopping_trip_id"], row["risk_strategy"], row["reason"]) == (
        "card-1", trip_id(asked), "RETAILER_MANAGED", "LOW_RISK",
    )  # fmt: skip
    assert (row["authorized"], row["recommended"], row["received_at"]) == (True, True, NOW)


@pytest.mark.parametrize(
    ("token", "store_id", "authorized", "risks"),
    [
        ("card-owes", "STORE-001", False, ["BadDebt"]),
        ("card-owes", "STORE-005", True, []),
        ("card-owes", "STORE-003", True, []),
        ("card-paid-once", "STORE-001", True, []),
        ("card-flagged", "STORE-001", False, ["CustomerFraud"]),
        ("card-flagged", "STORE-003", False, ["CustomerFraud"]),
        ("card-trusted", "STORE-003", True, []),
    ],
)
def test_our_risk_data_decides(amazon: Amazon, token: str, store_id: str, authorized: bool, risks: list[str]) -> None:
    assert outcome(send(amazon, body(token, store_id))) == (authorized, risks)


def test_the_stores_own_debts_deny_where_only_those_count(amazon: Amazon, retailer: Engine) -> None:
    with retailer.begin() as connection:
        connection.execute(
            text(
                "insert into debt (shopping_trip_id, store_id, shopper_identity, cause, currency, amount, opened_at)"
                " values ('owed-5', 'STORE-005', 'card-local', 'CAPTURE_DECLINED', 'USD', 1, '2026-03-01Z')"
            )
        )
    assert outcome(send(amazon, body("card-local", "STORE-005"))) == (False, ["BadDebt"])


def test_a_flagged_shoppers_card_is_denied(amazon: Amazon, retailer: Engine) -> None:
    """A card that was sent with a trip of theirs."""
    trip = changed(cart_body(line()), "shoppingTrip.authEvents", [
        {"id": new_uuid(), "payloadType": "SCAN_CODE", "scanResult": {"id": "flagged", "type": "SHOPPER"}}
    ])  # fmt: skip
    assert amazon.purchases({**trip, "shopperIdentity": {"id": "card-of-flagged"}}).status_code == 201
    assert outcome(send(amazon, body("card-of-flagged"))) == (False, ["CustomerFraud"])


@pytest.mark.parametrize(
    ("store_id", "token", "risks", "authorized"),
    [
        ("STORE-003", "card-1", ["InvalidCard"], False),
        ("STORE-003", "card-1", ["CustomerFraud", "BadDebt", "InvalidCard"], False),
        ("STORE-003", "card-1", [], False),
        ("STORE-003", "card-trusted", ["CustomerFraud"], True),
        ("STORE-001", "card-1", ["InvalidCard"], False),
        ("STORE-001", "card-1", ["CustomerFraud"], False),
        ("STORE-001", "card-1", ["BadDebt"], True),
        ("STORE-001", "card-trusted", ["InvalidCard"], False),
    ],
)
def test_a_recommended_denial_is_followed_or_overridden(
    amazon: Amazon, store_id: str, token: str, risks: list[str], authorized: bool
) -> None:
    assert outcome(send(amazon, recommending(body(token, store_id), False, *risks))) == (authorized, risks)


@pytest.mark.parametrize("store_id", ["STORE-001", "STORE-003"])
def test_a_recommended_adjust_is_passed_on_to_the_digit(amazon: Amazon, retailer: Engine, store_id: str) -> None:
    asked = json.dumps(recommending(body(store_id=store_id), True, "InvalidCard", conditions=["ADJUST"]))
    raw = asked.replace('["ADJUST"]', '[{"type": "ADJUST", "amount": {"value": 20.10, "currencyCode": "USD"}}]')
    answer = amazon.client.post(PATH, data=raw, content_type="application/json")
    assert answer.status_code == 200
    assert b'"value":20.10,' in answer.data
    row = kept(retailer, event_id(json.loads(asked)))
    assert (row["amount"], row["currency"], row["risks"]) == (Decimal("20.10"), "USD", ["InvalidCard"])


def test_numbers_are_exact_and_unknown_attributes_are_kept_to_the_last_digit(amazon: Amazon, retailer: Engine) -> None:
    asked = body()
    raw = json.dumps(asked)[:-1] + ', "new": {"share": 0.12345678901234567890}}'
    raw = raw.replace('"value": 75', '"value": 9999999999.9999000000001')
    assert amazon.client.post(PATH, data=raw, content_type="application/json").status_code == 400
    raw = raw.replace("9999999999.9999000000001", "9999999999.9998999999999")
    assert amazon.client.post(PATH, data=raw, content_type="application/json").status_code == 200
    with retailer.connect() as connection:
        found = connection.execute(
            text(
                "select raw_body -> 'new' ->> 'share', raw_body -> 'authorizedAmount' ->> 'value'"
                " from shopper_authorization where gate_authentication_event_id = :id"
            ),
            {"id": event_id(asked)},
        ).one()
    assert tuple(found) == ("0.12345678901234567890", "9999999999.9998999999999")


@pytest.fixture(scope="module")
def lenient(retailer: Engine) -> Amazon:
    """A connector that gives repeat offenders 20.00 at most."""
    config = Settings(connector_auth="off", authorization_repeat_offender_amount=Decimal(20))
    return Amazon(create_app(config, lambda: NOW).test_client())


@pytest.mark.parametrize("store_id", ["STORE-001", "STORE-003"])
def test_a_repeat_offender_gets_less(lenient: Amazon, amazon: Amazon, retailer: Engine, store_id: str) -> None:
    asked = body("card-offender", store_id)
    answer = send(lenient, asked)
    reduced = [{"type": "ADJUST", "amount": {"value": 20.0, "currencyCode": "USD"}}]
    assert answer.get_json() == {**EMPTY, "authorizationConditions": reduced}
    assert b'"value":20.00' in answer.data
    assert kept(retailer, event_id(asked))["amount"] == 20
    assert send(lenient, body("card-paid-once", store_id)).get_json() == EMPTY
    assert send(amazon, body("card-offender", store_id)).get_json() == EMPTY


@pytest.mark.parametrize("store_id", ["STORE-002", "STORE-004"])
def test_a_store_without_a_connector_is_a_404(amazon: Amazon, retailer: Engine, store_id: str) -> None:
    asked = body(store_id=store_id)
    answer = send(amazon, asked)
    assert answer.status_code == 404
    assert answer.get_json() == {"errorMsg": "storeId: no shopper authorization is configured for this store"}
    assert kept(retailer, event_id(asked)) is None


EVENT = "shopperInteraction.gateAuthenticationEvent"
SUGGESTED = "shopperInteraction.recommendation"
HINT = "shopperInteraction.cartHint"
LONG = "x" * 256
BAD_NUMBERS = ["75", None, True, -1, -0.01, 10_000_000_000, [], {}]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(("storeId", value) for value in [MISSING, "STORE-404", *BAD_NAMES]),
        *(("shopperIdentity", value) for value in [MISSING, None, "x", [], {}]),
        *(("shopperIdentity.id", value) for value in [MISSING, *BAD_NAMES]),
        *(("authorizedAmount", value) for value in [75, "75", [], {}]),
        *(("authorizedAmount.value", value) for value in [MISSING, *BAD_NUMBERS]),
        *(("authorizedAmount.currencyCode", value) for value in [MISSING, None, "", "usd", "US", "USDX", 840]),
        *(("shopperInteraction", value) for value in ["x", 7, []]),
        *(("shopperInteraction.shoppingTripId", value) for value in [LONG, 7]),
        *((EVENT, value) for value in ["x", []]),
        *((f"{EVENT}.id", value) for value in ["", LONG, 7]),
        *((f"{EVENT}.type", value) for value in [LONG, 7]),
        *((f"{EVENT}.interactionType", value) for value in [LONG, 7]),
        *((f"{EVENT}.timestamp", value) for value in BAD_INSTANTS if value is not None),
        *((f"{EVENT}.location", value) for value in ["", "entry", "ROOF", 7]),
        *((f"{EVENT}.data", value) for value in ["x", []]),
        *((SUGGESTED, value) for value in ["x", [], {}]),
        *((f"{SUGGESTED}.shopperAuthorized", value) for value in [MISSING, None, "true", 1, 0]),
        *((f"{SUGGESTED}.authorizationConditions", value) for value in ["ADJUST", {}, [None], ["ADJUST"], [{}]]),
        *((f"{SUGGESTED}.authorizationConditions.0.type", value) for value in [MISSING, *BAD_NAMES]),
        *((f"{SUGGESTED}.authorizationConditions.0.amount", value) for value in [5, "5", {}]),
        *((f"{SUGGESTED}.authorizationConditions.0.amount.value", value) for value in [MISSING, *BAD_NUMBERS]),
        *((f"{SUGGESTED}.authorizationConditions.0.amount.currencyCode", value) for value in [MISSING, "usd", 7]),
        *((f"{SUGGESTED}.shopperRisks", value) for value in ["InvalidCard", {}, [7], [None], [""], [LONG]]),
        *((HINT, value) for value in ["x", []]),
        *((f"{HINT}.totalPrice", value) for value in [5, {}]),
        *((f"{HINT}.items", value) for value in ["x", {}, ["x"]]),
        *((f"{HINT}.items.0.id", value) for value in [LONG, 7]),
        *((f"{HINT}.items.0.type", value) for value in [LONG, 7]),
        *((f"{HINT}.items.0.unitPrice.value", value) for value in [MISSING, *BAD_NUMBERS]),
        *((f"{HINT}.items.0.quantity", value) for value in ["1", 1, []]),
        *((f"{HINT}.items.0.quantity.value", value) for value in ["1.0", True, -1]),
        *((f"{HINT}.items.0.quantity.unit", value) for value in [LONG, 7]),
        *((f"{HINT}.items.0.externalIdentifiers", value) for value in ["x", {}, ["x"]]),
        *((f"{HINT}.items.0.externalIdentifiers.0.id", value) for value in [LONG, 7]),
        *((f"{HINT}.items.0.externalIdentifiers.0.externalIdentifierType", value) for value in [LONG, 7]),
    ],
    ids=lambda value: "MISSING" if value is MISSING else "256 characters" if value == LONG else None,
)
def test_shopper_authorization_refuses(amazon: Amazon, path: str, value: Any) -> None:
    condition = {"type": "ADJUST", "amount": {"value": 5, "currencyCode": "USD"}}
    answer = send(amazon, changed(recommending(body(), True, conditions=[condition]), path, value))
    assert answer.status_code == 400
    assert set(answer.get_json()) == {"errorMsg"}
    assert about(answer.get_json()["errorMsg"], path), answer.get_json()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("storeId", "STORE-003"),
        ("shopperIdentity.id", "x" * 255),
        *(("authorizedAmount", value) for value in [MISSING, None]),
        *(("authorizedAmount.value", value) for value in [0, 0.1, 75.5, 9_999_999_999]),
        *(("shopperInteraction", value) for value in [MISSING, None, {}]),
        *(("shopperInteraction.shoppingTripId", value) for value in [MISSING, None, "", "any id"]),
        *((EVENT, value) for value in [MISSING, None, {}]),
        *((f"{EVENT}.{name}", MISSING) for name in ("type", "interactionType", "timestamp", "location", "data")),
        *((f"{EVENT}.id", value) for value in [MISSING, None, "no UUID", "x" * 255]),
        *((f"{EVENT}.type", value) for value in ["DEBIT_CARD", "PALM", ""]),
        *((f"{EVENT}.interactionType", value) for value in ["TAP", "INSERT", "SWIPE", "SCAN"]),
        *((f"{EVENT}.location", value) for value in ["ENTRY", "MANUAL_IN_STORE", "EXIT"]),
        (f"{EVENT}.data", {"any": [1, None]}),
        *((SUGGESTED, value) for value in [MISSING, None]),
        *((f"{SUGGESTED}.authorizationConditions", value) for value in [MISSING, None, [], [{"type": "NEW"}]]),
        *((f"{SUGGESTED}.shopperRisks", value) for value in [MISSING, None, [], ["SomethingNew"]]),
        *((HINT, value) for value in [MISSING, None, {}]),
        *((f"{HINT}.items.0.quantity.value", value) for value in [0, 0.25, MISSING]),
        ("news", {"a": 1}),
    ],
    ids=lambda value: "MISSING" if value is MISSING else None,
)
def test_shopper_authorization_takes(amazon: Amazon, path: str, value: Any) -> None:
    assert send(amazon, changed(body(), path, value)).status_code == 200


def test_a_gate_event_gets_its_first_answer_again(amazon: Amazon, retailer: Engine) -> None:
    asked = body("card-later")
    first = send(amazon, asked)
    with retailer.begin() as connection:
        cards.judge(connection, "card-later", "FLAGGED", reason="a test", actor="a test", now=NOW)
    again = send(amazon, {**asked, "news": 1})
    assert (again.status_code, again.data) == (200, first.data)
    assert outcome(send(amazon, body("card-later"))) == (False, ["CustomerFraud"])
    assert cases(retailer, event_id(asked)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("shopperIdentity.id", "card-flagged"),
        ("storeId", "STORE-003"),
        ("authorizedAmount.value", 76),
        ("shopperInteraction.shoppingTripId", "another trip"),
        (f"{SUGGESTED}.shopperAuthorized", False),
    ],
)
def test_other_content_for_the_event_gets_the_first_answer_and_asks(
    amazon: Amazon, retailer: Engine, path: str, value: Any
) -> None:
    asked = body()
    first = send(amazon, asked)
    other = send(amazon, changed(asked, path, value))
    assert (other.status_code, other.data) == (200, first.data)
    assert cases(retailer, event_id(asked)) == ["DIFFERENT_AUTHORIZATION"]


def cases(engine: Engine, subject: str) -> list[str]:
    with engine.connect() as connection:
        found = connection.execute(text("select kind from review_case where subject = :id"), {"id": subject})
        return list(found.scalars())


def test_copies_at_once_are_kept_once_and_get_equal_answers(amazon: Amazon, retailer: Engine) -> None:
    asked = body("card-owes")
    answers = at_once(amazon, [asked] * 8, PATH)
    assert set(answers) == {answers[0]}
    assert answers[0][1] == 200
    with retailer.connect() as connection:
        number = connection.execute(
            text("select count(*) from shopper_authorization where shopping_trip_id = :trip"), {"trip": trip_id(asked)}
        ).scalar_one()
    assert number == 1


def test_without_an_event_id_the_content_is_the_key(amazon: Amazon, retailer: Engine) -> None:
    asked = changed(body("card-no-event"), f"{EVENT}.id", MISSING)
    first = send(amazon, asked)
    with retailer.begin() as connection:
        cards.judge(connection, "card-no-event", "FLAGGED", reason="a test", actor="a test", now=NOW)
    assert send(amazon, asked).data == first.data
    assert outcome(send(amazon, changed(asked, "shopperInteraction.shoppingTripId", "t2"))) == (
        False,
        ["CustomerFraud"],
    )
    with retailer.connect() as connection:
        assert identity_of_trip(connection, trip_id(asked)) == "card-no-event"


def test_the_card_owns_its_trip(amazon: Amazon, retailer: Engine) -> None:
    """Of several cards the first that was authorized."""
    denied, first, second = body("card-owes"), body("card-a"), body("card-b")
    first_id, second_id = sorted((event_id(first), event_id(second)))  # the test's clock stands still
    first = changed(first, "shopperInteraction.gateAuthenticationEvent.id", first_id)
    second = changed(second, "shopperInteraction.gateAuthenticationEvent.id", second_id)
    for asked in (denied, first, second):
        asked["shopperInteraction"]["shoppingTripId"] = "trip-of-three"
        assert send(amazon, asked).status_code == 200
    with retailer.connect() as connection:
        assert identity_of_trip(connection, "trip-of-three") == "card-a"
        assert identity_of_trip(connection, "trip-of-nobody") is None


def test_a_shopper_refused_at_the_app_who_taps_a_card_makes_one_trip_of_the_cards(
    amazon: Amazon, retailer: Engine
) -> None:
    refused = gate_body("debtor_key")
    assert amazon.gate(refused).status_code == 401
    tapped = body("card-tapped")
    assert outcome(send(amazon, tapped)) == (True, [])
    events = [
        {"id": refused["authEvent"]["id"], "payloadType": "SCAN_CODE"},
        {"id": event_id(tapped), "payloadType": "FINANCIAL"},
    ]
    trip = changed(cart_body(line(), idempotentShoppingTripId=trip_id(tapped)), "shoppingTrip.authEvents", events)
    assert amazon.purchases(trip).status_code == 201
    with retailer.connect() as connection:
        purchase = connection.execute(
            text("select entry_method, shopper_id, shopper_identity from purchase where shopping_trip_id = :trip"),
            {"trip": trip_id(tapped)},
        ).one()
    assert tuple(purchase) == ("CREDIT_CARD", None, "card-tapped")


@pytest.mark.parametrize(
    ("fallback", "recommended", "status", "authorized"),
    [
        ("recommendation", True, 200, True),
        ("recommendation", False, 200, False),
        ("recommendation", None, 503, None),
        ("deny", True, 200, False),
        ("deny", None, 200, False),
        ("unavailable", True, 503, None),
    ],
)
@pytest.mark.parametrize("trouble", ["locked", "gone"])
def test_while_the_risk_data_does_not_answer_the_fallback_does(
    retailer: Engine, trouble: str, fallback: str, recommended: bool | None, status: int, authorized: bool | None
) -> None:
    """A table that is locked (a statement's time-out), a database that is gone; never remembered."""
    settings: dict[str, Any] = {"connector_auth": "off", "risk_fallback": fallback, "connector_gate_seconds": 0.2}
    if trouble == "gone":
        gone = retailer.url.set(port=1).render_as_string(hide_password=False)
        settings["database_url"] = SecretStr(gone)
    connector = Amazon(create_app(Settings(**settings), lambda: NOW).test_client())
    asked = body("card-owes")
    asked = (
        changed(asked, SUGGESTED, MISSING) if recommended is None else recommending(asked, recommended, "InvalidCard")
    )
    with retailer.connect() as other:
        if trouble == "locked":
            other.execute(text("lock table card_standing in access exclusive mode"))
        answer = send(connector, asked)
        other.rollback()
    assert answer.status_code == status
    if authorized is None:
        assert answer.get_json() == {"errorMsg": "service: unavailable, try again"}
    else:
        risks = [] if recommended is None else ["InvalidCard"]
        assert answer.get_json() == {**EMPTY, "shopperAuthorized": authorized, "shopperRisks": risks}
    assert kept(retailer, event_id(asked)) is None


def test_a_token_that_looks_like_a_cards_number_is_not_kept_and_ties_to_nothing(
    amazon: Amazon, retailer: Engine
) -> None:
    asked = body("4111111111111111")
    assert send(amazon, asked).status_code == 200
    row = kept(retailer, event_id(asked))
    assert "4111111111111111" not in str(dict(row))
    with retailer.connect() as connection:
        assert identity_of_trip(connection, trip_id(asked)) is None
