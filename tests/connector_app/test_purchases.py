"""Create purchases: priced, stored, charged once, whatever the cart is like."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.purchases.bad_carts import apply_decisions
from backroom.reviews.cases import decide
from backroom.settings import Settings
from backroom.shoppers.registry import register
from connector_app.amazon import create_app
from tests.connector_app.conftest import NOW, Amazon, cart_body, changed, gate_body, line, new_uuid, scan_code


def row(engine: Engine, table: str, trip_id: str) -> Any:
    with engine.connect() as connection:
        return (
            connection.execute(text(f"select * from {table} where shopping_trip_id = :trip"), {"trip": trip_id})
            .mappings()
            .one_or_none()
        )


def lines(engine: Engine, trip_id: str) -> list[Any]:
    with engine.connect() as connection:
        return list(
            connection.execute(
                text("select * from purchase_line where shopping_trip_id = :trip order by line_number"),
                {"trip": trip_id},
            ).mappings()
        )


def cases(engine: Engine, subject: str) -> list[Any]:
    with engine.connect() as connection:
        return list(
            connection.execute(
                text("select * from review_case where subject = :subject"), {"subject": subject}
            ).mappings()
        )


def test_a_cart_is_priced_stored_and_its_charge_opened(amazon: Amazon, retailer: Engine) -> None:
    body = cart_body(line("MILK", "2"), line("SOAP", "3.0"), line("HAM", "0.5", "lb"))
    answer = amazon.purchases(body)
    assert answer.status_code == 201
    purchase = row(retailer, "purchase", body["idempotentShoppingTripId"])
    assert answer.get_json() == {"purchaseId": purchase["purchase_id"]}
    milk, soap, ham = lines(retailer, body["idempotentShoppingTripId"])
    assert (milk["list_amount"], milk["tax_amount"], milk["total"]) == (Decimal("4.98"), 0, Decimal("4.98"))
    # 3 x 3.99 = 11.97; a quarter is 2.9925; tax 8.875 % of 8.98 is 0.796975
    assert (soap["list_amount"], soap["promotion_amount"], soap["tax_amount"]) == (
        Decimal("11.97"), Decimal("2.99"), Decimal("0.80"),
    )  # fmt: skip
    assert [applied["promotion_id"] for applied in soap["promotions"]] == ["SPRING"]
    assert soap["tax_jurisdiction"] == "US-NY"
    # 0.5 lb = 0.226796185 kg, x 19.90 = 4.5132…
    assert (ham["list_amount"], ham["price_unit"], ham["quantity"]) == (Decimal("4.51"), "kg", Decimal("0.5"))
    assert purchase["total"] == Decimal("4.98") + Decimal("9.78") + Decimal("4.51")
    assert (purchase["state"], purchase["entry_method"]) == ("PRICED", "CREDIT_CARD")
    assert str(purchase["business_date"]) == "2026-03-22"
    charge = row(retailer, "charge", body["idempotentShoppingTripId"])
    assert (charge["total"], charge["state"]) == (purchase["total"], "DUE")


def test_the_same_trip_gets_the_same_bytes_and_no_second_effect(amazon: Amazon, retailer: Engine) -> None:
    body = cart_body(line())
    first = amazon.purchases(body)
    again = amazon.purchases({**body, "requestId": new_uuid()})
    assert (again.status_code, again.data) == (201, first.data)
    assert len(lines(retailer, body["idempotentShoppingTripId"])) == 1
    assert cases(retailer, body["idempotentShoppingTripId"]) == []


def test_another_cart_for_the_trip_changes_nothing_and_asks(amazon: Amazon, retailer: Engine) -> None:
    body = cart_body(line())
    first = amazon.purchases(body)
    other = amazon.purchases({**body, "cartItems": [line("SOAP")]})
    assert (other.status_code, other.data) == (201, first.data)
    assert [one["item_sku"] for one in lines(retailer, body["idempotentShoppingTripId"])] == ["MILK"]
    (case,) = cases(retailer, body["idempotentShoppingTripId"])
    assert case["kind"] == "DIFFERENT_CART"
    assert case["known"]["second_body"]["cartItems"][0]["id"] == "SOAP"


def test_the_order_of_lines_and_the_spelling_of_quantities_make_no_other_cart(amazon: Amazon, retailer: Engine) -> None:
    body = cart_body(line("MILK", "1.0"), line("SOAP", "2"))
    amazon.purchases(body)
    amazon.purchases({**body, "cartItems": [line("SOAP", "2.00"), line("MILK", "1")]})
    assert cases(retailer, body["idempotentShoppingTripId"]) == []


def test_an_empty_cart_has_an_empty_id_and_only_a_cancel_is_due(amazon: Amazon, retailer: Engine) -> None:
    body = cart_body()
    answer = amazon.purchases(body)
    assert (answer.status_code, answer.get_json()) == (201, {"purchaseId": ""})
    assert row(retailer, "purchase", body["idempotentShoppingTripId"])["state"] == "EMPTY"
    assert row(retailer, "charge", body["idempotentShoppingTripId"])["total"] == 0


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (line("NOBODY-KNOWS"), "no product of this store has the SKU 'NOBODY-KNOWS'"),
        (line("0000", kind="SCANCODE"), "no product of this store has the barcode '0000'"),
        (line("UNPRICED"), "'UNPRICED' has no shelf price"),
        (line("MILK", "1", "kg"), "'MILK' is sold by the unit, the cart counts by the kg"),
        (line("HAM", "1", "unit"), "'HAM' is sold by the kg, the cart counts by the unit"),
        (line("MILK", "9999999999"), "the amount of 'MILK' is not below"),
    ],
)
def test_a_cart_that_cant_be_priced_is_kept_whole_and_asked_about(
    amazon: Amazon, retailer: Engine, item: dict[str, Any], reason: str
) -> None:
    body = cart_body(line("SOAP"), item)
    answer = amazon.purchases(body)
    assert answer.status_code == 201
    assert answer.get_json()["purchaseId"] != ""
    trip_id = body["idempotentShoppingTripId"]
    assert row(retailer, "purchase", trip_id)["state"] == "BAD_CART"
    assert row(retailer, "charge", trip_id) is None
    assert [(one["item_id"], one["total"]) for one in lines(retailer, trip_id)] == [("SOAP", None), (item["id"], None)]
    (case,) = cases(retailer, trip_id)
    assert case["kind"] == "BAD_CART"
    assert reason in case["known"]["problems"][0]


@pytest.mark.parametrize(
    ("barcode", "sku"),
    [
        ("4006381333931", "SOAP"),
        ("04006381333931", "SOAP"),
        ("0036000291452", "MILK"),
        ("036000291452", "HAM"),
    ],
)
def test_a_barcode_finds_its_product_in_every_spelling_but_its_own_first(
    amazon: Amazon, retailer: Engine, barcode: str, sku: str
) -> None:
    with retailer.begin() as connection:
        connection.execute(
            text(
                "insert into catalog_barcode values ('STORE-001', '0036000291452', 'MILK', 'EAN'),"
                " ('STORE-001', '036000291452', 'HAM', 'UPC') on conflict do nothing"
            )
        )
    body = cart_body(line(barcode, "1", "kg" if sku == "HAM" else "unit", kind="SCANCODE"))
    amazon.purchases(body)
    (found,) = lines(retailer, body["idempotentShoppingTripId"])
    assert (found["item_id"], found["item_sku"]) == (barcode, sku)
    assert found["total"] > 0


@pytest.mark.parametrize("trip_id", ["trip.1", "trip 1", "trip/ä", "😀" * 255])
def test_a_trip_that_payments_would_refuse_is_parked(amazon: Amazon, retailer: Engine, trip_id: str) -> None:
    answer = amazon.purchases(cart_body(line(), idempotentShoppingTripId=trip_id))
    assert answer.status_code == 201
    assert row(retailer, "purchase", trip_id)["state"] == "NOT_CHARGEABLE"
    assert row(retailer, "charge", trip_id) is None
    assert [case["kind"] for case in cases(retailer, trip_id)] == ["NOT_CHARGEABLE"]


def by_app(body: dict[str, Any], **scan_result: str) -> dict[str, Any]:
    return changed(
        body, "shoppingTrip.authEvents", [{"id": new_uuid(), "payloadType": "SCAN_CODE", "scanResult": scan_result}]
    )


@pytest.mark.parametrize("kind", ["ASSOCIATE", "CASH", "CASH_SHOPPER"])
def test_who_does_not_pay_by_card_owes_the_card_nothing(amazon: Amazon, retailer: Engine, kind: str) -> None:
    with retailer.begin() as connection:
        register(connection, "cash-4", "CASH_SHOPPER")
    body = by_app(cart_body(line()), id="kim" if kind == "ASSOCIATE" else "cash-4", type=kind)
    amazon.purchases(body)
    purchase = row(retailer, "purchase", body["idempotentShoppingTripId"])
    assert (purchase["state"], purchase["total"]) == ("SETTLED_OTHERWISE", Decimal("2.49"))
    assert purchase["shopper_type"] == kind.replace("CASH_SHOPPER", "CASH").replace("CASH", "CASH_SHOPPER")
    assert row(retailer, "charge", body["idempotentShoppingTripId"])["total"] == 0


def test_a_shopper_of_ours_whom_only_the_cart_calls_an_associate_pays_as_any_other(
    amazon: Amazon, retailer: Engine
) -> None:
    body = by_app(cart_body(line()), id="ana", type="ASSOCIATE")
    amazon.purchases(body)
    purchase = row(retailer, "purchase", body["idempotentShoppingTripId"])
    assert (purchase["state"], purchase["shopper_id"], purchase["shopper_type"]) == ("PRICED", "ana", "SHOPPER")
    assert row(retailer, "charge", body["idempotentShoppingTripId"])["total"] == Decimal("2.49")


@pytest.mark.parametrize(
    ("items", "choice", "state", "charged"),
    [
        ([line()], "price_again", "PRICED", Decimal("2.49")),
        ([line()], "charge_nothing", "SETTLED_OTHERWISE", Decimal(0)),
        ([line(), line("GHOST")], "charge_nothing", "SETTLED_OTHERWISE", Decimal(0)),
    ],
)
def test_an_associate_whom_neither_gate_nor_register_knows_is_a_case_for_a_person(
    amazon: Amazon, retailer: Engine, items: list[dict[str, Any]], choice: str, state: str, charged: Decimal
) -> None:
    body = by_app(cart_body(*items), id="nobody", type="ASSOCIATE")
    trip = body["idempotentShoppingTripId"]
    first = amazon.purchases(body)
    assert (first.status_code, first.get_json()["purchaseId"] != "") == (201, True)
    assert amazon.purchases({**body, "requestId": new_uuid()}).data == first.data
    assert (row(retailer, "purchase", trip)["state"], row(retailer, "purchase", trip)["shopper_type"]) == (
        "BAD_CART", None,
    )  # fmt: skip
    with retailer.begin() as connection:
        assert connection.scalar(text("select count(*) from charge where shopping_trip_id = :t"), {"t": trip}) == 0
        case_id, question = connection.execute(
            text("select case_id, question from review_case where subject = :trip"), {"trip": trip}
        ).one()
        assert question.startswith(f"Who pays for the cart of trip {trip}? It names nobody as ASSOCIATE, whom neither")
        decide(connection, case_id, choice, by="kim", reason="looked at the roster", now=NOW)
        apply_decisions(connection, now=NOW)
    assert row(retailer, "purchase", trip)["state"] == state
    assert row(retailer, "charge", trip)["total"] == charged


@pytest.mark.parametrize("change", ["auth event", "shopper", "card"])
def test_a_copy_with_another_owner_is_another_cart_and_the_first_owner_stays(
    amazon: Amazon, retailer: Engine, change: str
) -> None:
    body = by_app(cart_body(line()), id="ana", type="SHOPPER")
    other = {
        "auth event": changed(body, "shoppingTrip.authEvents.0.id", new_uuid()),
        "shopper": changed(body, "shoppingTrip.authEvents.0.scanResult.id", "kim"),
        "card": {**body, "shopperIdentity": {"id": "another-card"}},
    }[change]
    first = amazon.purchases(body)
    assert amazon.purchases(other).data == first.data
    assert amazon.purchases({**body, "shopperIdentity": {"id": ""}}).data == first.data
    trip = body["idempotentShoppingTripId"]
    assert row(retailer, "purchase", trip)["shopper_id"] == "ana"
    with retailer.connect() as connection:
        asked = connection.execute(text("select kind, known from review_case where subject = :t"), {"t": trip}).all()
    assert [(kind, known["second_body"]) for kind, known in asked] == [("DIFFERENT_CART", other)]


def test_app_entry_belongs_to_the_shopper_of_the_scan_result(amazon: Amazon, retailer: Engine) -> None:
    body = by_app(cart_body(line()), id="ana", type="SHOPPER")
    amazon.purchases(body)
    purchase = row(retailer, "purchase", body["idempotentShoppingTripId"])
    assert (purchase["entry_method"], purchase["shopper_id"]) == ("APP", "ana")


def test_a_scan_result_beside_a_card_does_not_make_it_app_entry(amazon: Amazon, retailer: Engine) -> None:
    body = changed(cart_body(line()), "shoppingTrip.authEvents.0.scanResult", {"id": "kim", "type": "ASSOCIATE"})
    amazon.purchases(body)
    purchase = row(retailer, "purchase", body["idempotentShoppingTripId"])
    assert (purchase["entry_method"], purchase["shopper_id"], purchase["state"]) == ("CREDIT_CARD", None, "PRICED")


def test_a_shopper_refused_at_the_gate_who_taps_a_card_enters_by_card(amazon: Amazon, retailer: Engine) -> None:
    refused = gate_body("flagged_key")
    assert amazon.gate(refused).status_code == 401
    events = [
        {"id": refused["authEvent"]["id"], "payloadType": "SCAN_CODE"},
        {"id": new_uuid(), "payloadType": "FINANCIAL"},
    ]
    body = changed(cart_body(line()), "shoppingTrip.authEvents", events)
    amazon.purchases(body)
    assert row(retailer, "purchase", body["idempotentShoppingTripId"])["entry_method"] == "CREDIT_CARD"


def test_app_entry_without_a_scan_result_is_known_from_our_own_gate(amazon: Amazon, retailer: Engine) -> None:
    entered = gate_body(scan_code(age=11))
    assert amazon.gate(entered).status_code == 200
    event = {"id": entered["authEvent"]["id"], "payloadType": "SCAN_CODE"}
    body = changed(cart_body(line()), "shoppingTrip.authEvents", [event])
    amazon.purchases(body)
    assert row(retailer, "purchase", body["idempotentShoppingTripId"])["shopper_id"] == "ana"


def test_the_day_is_the_stores_at_the_trips_end(amazon: Amazon, retailer: Engine) -> None:
    body = changed(cart_body(line()), "shoppingTrip.endTime", "2026-03-23T03:59:59Z")
    amazon.purchases(body)
    assert str(row(retailer, "purchase", body["idempotentShoppingTripId"])["business_date"]) == "2026-03-22"


def test_a_price_counts_from_its_first_instant(amazon: Amazon, retailer: Engine) -> None:
    body = cart_body(line("SOAP"), shoppingTrip=cart_body()["shoppingTrip"])
    body["shoppingTrip"] |= {"startTime": "2026-02-28T23:00:00Z", "endTime": "2026-02-28T23:59:59.999Z"}
    amazon.purchases(body)
    assert lines(retailer, body["idempotentShoppingTripId"])[0]["promotions"] == []
    later = changed(cart_body(line("SOAP")), "shoppingTrip.startTime", "2026-02-28T23:00:00Z")
    amazon.purchases(changed(later, "shoppingTrip.endTime", "2026-03-01T00:00:00Z"))
    assert lines(retailer, later["idempotentShoppingTripId"])[0]["promotions"][0]["promotion_id"] == "SPRING"


def test_unknown_attributes_are_kept_to_the_last_digit(amazon: Amazon, retailer: Engine) -> None:
    body = cart_body(line())
    raw = json.dumps(body)[:-1] + ', "new": {"share": 0.12345678901234567890}}'
    answer = amazon.client.post("/v1/order/purchases", data=raw, content_type="application/json; charset=utf-8")
    assert answer.status_code == 201
    with retailer.connect() as connection:
        kept = connection.execute(
            text("select raw_body -> 'new' ->> 'share' from purchase where shopping_trip_id = :trip"),
            {"trip": body["idempotentShoppingTripId"]},
        ).scalar_one()
    assert kept == "0.12345678901234567890"


def test_a_refused_cart_is_kept_with_an_alert(amazon: Amazon, retailer: Engine) -> None:
    body = cart_body(line(), storeId="STORE-404")
    assert amazon.purchases(body).get_json() == {"errorMsg": "storeId: not a store of ours"}
    with retailer.connect() as connection:
        kept = connection.execute(text("select * from refused_cart order by refused_id desc limit 1")).mappings().one()
        alert = connection.execute(text("select * from alert where title like '%not a store of ours'")).mappings().one()
    assert json.loads(bytes(kept["body"])) == body
    assert (kept["status"], kept["reason"], kept["received_at"]) == (400, "storeId: not a store of ours", NOW)
    assert alert["severity"] == "critical"


def test_the_connectors_role_may_do_all_this(retailer: Engine) -> None:
    from sqlalchemy import event

    def become(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute("set role backroom_connector")

    app = create_app(Settings(connector_auth="off"), lambda: NOW)
    amazon = Amazon(app.test_client())
    for zone in app.config["ZONES"].values():
        event.listen(zone.engine, "checkout", become)
    body = cart_body(line("SOAP"), line("?"))
    codes = [
        amazon.purchases(cart_body(line())).status_code,
        amazon.purchases(body).status_code,
        amazon.purchases({**body, "cartItems": []}).status_code,
        amazon.purchases(cart_body()).status_code,
        amazon.purchases([]).status_code,
        amazon.purchases([]).status_code,
        amazon.gate(gate_body(scan_code(age=21))).status_code,
        amazon.client.get("/readyz").status_code,
    ]
    assert codes == [201, 201, 201, 201, 400, 400, 200, 200]


@pytest.mark.parametrize("number", ["1e-20000", "0." + "1" * 20000])
def test_a_number_that_no_column_holds_is_a_400_and_the_cart_is_kept(
    amazon: Amazon, retailer: Engine, number: str
) -> None:
    body = json.dumps(cart_body(line()))[:-1] + f', "odd": {number}}}'
    answer = amazon.client.post("/v1/order/purchases", data=body, content_type="application/json")
    assert answer.status_code == 400
    with retailer.connect() as connection:
        kept = connection.execute(text("select reason from refused_cart order by refused_id desc limit 1")).scalar_one()
    assert kept == answer.get_json()["errorMsg"]


def test_a_cart_that_fails_for_a_reason_of_ours_is_put_aside(retailer: Engine, tmp_path: Path) -> None:
    app = create_app(Settings(connector_auth="off", refused_spool=str(tmp_path)), lambda: NOW)

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("a mistake of ours")

    app.config["RECORDER"].settle = fail
    assert app.test_client().post("/v1/order/purchases", json=cart_body(line())).status_code == 500
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text())["status"] == 500


def test_whom_the_gate_let_in_owns_the_trip_whatever_the_cart_says(amazon: Amazon, retailer: Engine) -> None:
    entered = gate_body("ana_key")
    assert amazon.gate(entered).status_code == 200
    event = {
        "id": entered["authEvent"]["id"], "payloadType": "SCAN_CODE", "scanResult": {"id": "kim", "type": "ASSOCIATE"},
    }  # fmt: skip
    body = changed(cart_body(line()), "shoppingTrip.authEvents", [event])
    assert amazon.purchases(body).status_code == 201
    with retailer.connect() as connection:
        row = connection.execute(
            text("select shopper_id, state from purchase where shopping_trip_id = :trip"),
            {"trip": body["idempotentShoppingTripId"]},
        ).one()
    assert tuple(row) == ("ana", "PRICED")


def test_a_cart_of_awkward_ids_is_kept_as_it_came(amazon: Amazon, retailer: Engine) -> None:
    ids = ["NULL", '"', "\\", "{}", "a,b", "é 水", " "]
    items = [{**line(item_id), "lineItemId": f"line {item_id}"} for item_id in ids]
    body = cart_body(*items, line("MILK"))
    assert amazon.purchases(body).status_code == 201
    kept = lines(retailer, body["idempotentShoppingTripId"])
    assert [one["item_id"] for one in kept] == [*ids, "MILK"]
    assert [one["line_item_id"] for one in kept] == [*(f"line {item_id}" for item_id in ids), None]
    assert [one["item_sku"] for one in kept] == [None] * len(ids) + ["MILK"]


def test_what_goes_wrong_with_a_cart_is_tried_once_and_answered_in_the_envelope(
    retailer: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings(connector_auth="off"), lambda: NOW)
    tried: list[int] = []

    def fail(*_: Any, **__: Any) -> None:
        tried.append(1)
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(app.config["RECORDER"], "take", fail)
    answer = app.test_client().post("/v1/order/purchases", json=cart_body(line()))
    assert (answer.status_code, answer.get_json()) == (500, {"errorMsg": "service: internal error"})
    assert len(tried) == 1
