"""A debt follows its charge: owned by who came in, lowered or withdrawn by later news, also after it was paid."""

from __future__ import annotations

import pytest

from backroom.debts.write_off import write_off
from tests.debts.conftest import NOON, Debts


def test_a_late_capture_of_a_part_lowers_the_debt(debts: Debts) -> None:
    trip = debts.owe("12.30")
    debts.charge_says(trip, owed="2.30", captured="10")
    assert debts.amounts(trip) == ("OPEN", "2.30", "0.00", "0.00", "0.00", "0.00", "2.30")
    assert debts.debt(trip)["cause"] == "PARTIAL_APPROVAL"


def test_a_late_capture_of_a_part_gives_back_what_was_paid_too_much(debts: Debts) -> None:
    trip = debts.owe("12.30")
    debts.pay(trip)
    debts.charge_says(trip, owed="2.30", captured="10")
    assert debts.amounts(trip) == ("PAID", "2.30", "12.30", "0.00", "0.00", "10.00", "0.00")
    assert debts.returns(trip) == [("CAPTURE", "10.00")]


def test_a_late_capture_undoes_a_write_off(debts: Debts) -> None:
    trip = debts.owe("12.30")
    with debts.engine.begin() as connection:
        write_off(connection, shopping_trip_id=trip, by="ann", reason="moved away", now=NOON)
    debts.charge_says(trip, owed="0", captured="12.30")
    assert debts.events(trip) == [("WRITTEN_OFF", "12.30"), ("WRITE_OFF_UNDONE", "12.30")]
    assert debts.amounts(trip) == ("PAID", "0.00", "0.00", "0.00", "0.00", "0.00", "0.00")
    assert debts.returns(trip) == []


def test_a_payoff_that_is_open_when_the_card_has_paid_goes_back_itself(debts: Debts) -> None:
    trip = debts.owe("12.30")
    begun = debts.begin(trip)
    debts.charge_says(trip, owed="0", captured="12.30")
    debts.settle(begun.payoff_id, "PAID")
    assert debts.returns(trip) == [(f"PAYOFF:{begun.payoff_id}", "12.30")]
    assert debts.debt(trip)["outstanding"] == 0


def test_a_debt_that_comes_again_counts_what_was_paid(debts: Debts) -> None:
    trip = debts.owe("2.30", total="12.30", captured="10")
    debts.pay(trip)
    debts.charge_says(trip, owed="12.30", captured="0")  # the capture was taken back
    assert debts.amounts(trip) == ("OPEN", "12.30", "2.30", "0.00", "0.00", "0.00", "10.00")


@pytest.mark.parametrize(
    ("shopper", "authorized", "cart", "owner"),
    [
        ("ann", None, "card-of-cart", ("ann", "card-of-cart")),
        (None, "card-at-gate", "card-of-cart", (None, "card-at-gate")),
        (None, None, "card-of-cart", (None, "card-of-cart")),
    ],
)
def test_whose_debt_it_is(
    debts: Debts, shopper: str | None, authorized: str | None, cart: str, owner: tuple[str | None, str]
) -> None:
    trip = debts.owe("0", total="12.30", shopper=shopper, card=cart)
    if authorized:
        debts.run(
            "insert into shopper_authorization (gate_authentication_event_id, shopping_trip_id, store_id,"
            " shopper_identity, risk_strategy, authorized, reason, risks, body_hash, response_body, raw_body,"
            " received_at) values (cast(:trip as text), cast(:trip as text), :store, :card, 'RETAILER_MANAGED', true,"
            " 'LOW_RISK', '[]', 'h', '', '{}', :now)",
            trip=trip, store=debts.store_id, card=authorized, now=NOON,
        )  # fmt: skip
    debts.charge_says(trip, owed="12.30")
    debt = debts.debt(trip)
    assert (debt["shopper_id"], debt["shopper_identity"]) == owner
