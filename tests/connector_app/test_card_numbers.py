"""Card numbers planted in every free-text input are found nowhere afterwards."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from backroom.db.metadata import load_all_tables
from tests.connector_app.conftest import Amazon, cart_body, changed, gate_body, line

PLANTED = "4111111111111111"
SPACED = "5555 5555 5555 4444"


def everything_kept(engine: Engine) -> str:
    """Every row of every table, and every byte of what is kept as bytes, as one text."""
    found = []
    with engine.connect() as connection:
        for table in load_all_tables().sorted_tables:
            for row in connection.execute(table.select()):
                found += [value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row]
    return "\n".join(found)


@pytest.mark.parametrize("number", [PLANTED, SPACED])
def test_a_card_number_in_a_cart_is_not_kept(amazon: Amazon, retailer: Engine, number: str) -> None:
    body = cart_body(line(lineItemId=number, note=f"card {number}"), shopperDeviceId=number, remark={"deep": [number]})
    body["shopperIdentity"] = {"id": number}
    body["paymentSource"] = {"id": number, "pan": int(number.replace(" ", ""))}
    assert amazon.purchases(body).status_code == 201
    kept = everything_kept(retailer)
    assert body["idempotentShoppingTripId"] in kept
    assert number not in kept
    assert number.replace(" ", "") not in kept


def test_a_card_number_in_a_refused_cart_is_not_kept(amazon: Amazon, retailer: Engine) -> None:
    body = changed(cart_body(line(), memo=f"refuse me {PLANTED}"), "storeId", 7)
    assert amazon.purchases(body).status_code == 400
    raw = b'{"broken": "refuse me too ' + PLANTED.encode()
    answer = amazon.client.post("/v1/order/purchases", data=raw, content_type="application/json")
    assert answer.status_code == 400
    kept = everything_kept(retailer)
    assert "refuse me too" in kept
    assert PLANTED not in kept


def test_a_card_number_at_the_gate_is_not_kept(amazon: Amazon, retailer: Engine) -> None:
    assert amazon.gate(gate_body("unknown_key", hint=PLANTED)).status_code == 401
    assert PLANTED not in everything_kept(retailer)


def test_a_sku_and_a_barcode_of_many_digits_keep_their_meaning(amazon: Amazon, retailer: Engine) -> None:
    body = cart_body(line("4006381333931", kind="SCANCODE"))
    assert amazon.purchases(body).status_code == 201
    assert "4006381333931" in everything_kept(retailer)
