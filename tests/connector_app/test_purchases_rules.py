"""Rules of the purchases table that are about what is taken, not refused (inbound.md, 5)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.connector_app.conftest import Amazon, cart_body, changed, line, new_uuid
from tests.connector_app.test_validation import full_cart


def purchase(engine: Engine, body: dict[str, Any]) -> Any:
    with engine.connect() as connection:
        return (
            connection.execute(
                text("select * from purchase where shopping_trip_id = :trip"),
                {"trip": body["idempotentShoppingTripId"]},
            )
            .mappings()
            .one()
        )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(("shoppingTrip.authEvents.0.location", value) for value in ("ENTRY", "MANUAL_IN_STORE", "EXIT", None)),
        ("shoppingTrip.authEvents.0.scanResult", None),
        ("shoppingTrip.authEvents.0.scanResult.id", ""),
        ("shoppingTrip.authEvents.0.scanResult.id", "x" * 255),
        ("shoppingTrip.authEvents.0.scanResult.type", "SHOPPER"),
        ("shoppingTrip.authEvents.0.timestamp", "2026-03-22T13:00:00.5-04:00"),
        ("shoppingTrip.endTime", "2999-12-31T23:59:59Z"),
        ("cartItems.0.quantity.value", "1"),
        ("cartItems.0.quantity.value", "00000001.0"),
        ("cartItems.0.lineItemId", ""),
        ("cartItems.0.lineItemId", "x" * 255),
        ("cartItems.0.externalIdentifiers.0.id", ""),
        ("cartItems.0.externalIdentifiers.0.id", "x" * 255),
        ("cartItems.0.externalIdentifiers.0.type", "UPC"),
        ("cartItems.0.id", "x" * 255),
        ("shopperIdentity", {}),
        ("shopperIdentity.id", "x" * 255),
        ("shopperDeviceId", "x" * 255),
        ("paymentSource", {}),
        ("paymentSource.id", "x" * 255),
        ("shoppingTrip.news", [1]),
    ],
)
def test_purchases_takes(amazon: Amazon, path: str, value: Any) -> None:
    answer = amazon.purchases(changed(full_cart(), path, value))
    assert (answer.status_code, list(answer.get_json())) == (201, ["purchaseId"])


@pytest.mark.parametrize("items", [[], [line()], [line(), line("SOAP"), line("HAM", "0.5", "kg")]])
def test_carts_of_none_one_and_several_lines_are_taken(amazon: Amazon, items: list[dict[str, Any]]) -> None:
    answer = amazon.purchases(cart_body(*items))
    assert answer.status_code == 201
    assert bool(answer.get_json()["purchaseId"]) == bool(items)


def test_blank_line_ids_may_be_there_twice(amazon: Amazon) -> None:
    assert amazon.purchases(cart_body(line(lineItemId=""), line(lineItemId=""))).status_code == 201


def test_a_group_trip_belongs_to_the_first_auth_events_shopper(amazon: Amazon, retailer: Engine) -> None:
    events = [
        {"id": new_uuid(), "payloadType": "SCAN_CODE", "scanResult": {"id": shopper, "type": "SHOPPER"}}
        for shopper in ("ana", "debtor")
    ]
    body = changed(
        cart_body(line()), "shoppingTrip.authEvents", [*events, {"id": new_uuid(), "payloadType": "FINANCIAL"}]
    )
    assert amazon.purchases(body).status_code == 201
    assert (purchase(retailer, body)["entry_method"], purchase(retailer, body)["shopper_id"]) == ("APP", "ana")


def test_the_carts_own_identity_owns_a_card_trip_that_no_authorization_was_asked_for(
    amazon: Amazon, retailer: Engine
) -> None:
    body = cart_body(line(), shopperIdentity={"id": "card-of-the-cart"})
    amazon.purchases(body)
    assert purchase(retailer, body)["shopper_identity"] == "card-of-the-cart"
