"""Where the store manages its own risk, a debt denies entry at once, and its payoff restores it at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from backroom.db.serving import serving_engine
from backroom.debts.reduction import reduce
from backroom.debts.write_off import forgive, write_off
from backroom.entry.authorization_decision import AuthorizationRules, Recommendation
from backroom.entry.decision import GateRules
from backroom.entry.gate import Gate, GateEvent
from backroom.entry.shopper_authorization import AuthorizationQuestion, authorize_shopper
from backroom.shoppers.registry import get_shopper, register
from tests.debts.conftest import NOON, Debts, Till, add_store

SHOPPER, CARD = "ann", "card-of-bob"


@pytest.fixture(scope="module")
def gate(database: Engine) -> Iterator[Gate]:
    with database.begin() as connection:
        register(connection, SHOPPER, "SHOPPER", keys=["key of ann"])
    serving = serving_engine(database.url, connections=4, timeout_seconds=10, application="a test of the gate")
    yield Gate(serving, GateRules("IMAG", timedelta(seconds=60)))
    serving.dispose()


class Door:
    """The two ways in: by the app, and by a card."""

    def __init__(self, debts: Debts, gate: Gate) -> None:
        self.debts, self.gate = debts, gate

    def opens(self, way: str, store_id: str = "") -> bool:
        store_id = store_id or self.debts.store_id
        if way == "app":
            event = GateEvent("r", auth_event_id=str(uuid.uuid4()), store_id=store_id, key=b"key of ann", at=NOON)
            return self.gate.verify(event, {"requestId": "r"}, now=NOON).status == 200
        asked = AuthorizationQuestion(store_id, CARD, None, None, str(uuid.uuid4()), Recommendation(True))
        rules = AuthorizationRules(frozenset(), 100, None)
        with self.debts.engine.begin() as connection:
            answer = authorize_shopper(connection, asked, "{}", rules=rules, now=NOON)
        return b'"shopperAuthorized":true' in answer.body.replace(b" ", b"")

    def owe(self, way: str, store: str | None = None) -> str:
        return self.debts.owe(
            shopper=SHOPPER if way == "app" else None, card=None if way == "app" else CARD, store=store
        )


@pytest.fixture
def door(debts: Debts, gate: Gate) -> Door:
    debts.run("update debt set paid = amount - reduced, written_off = 0, state = 'PAID'")
    return Door(debts, gate)


ways = pytest.mark.parametrize("way", ["app", "card"])


@ways
def test_a_debt_shuts_the_door_and_its_payoff_opens_it_at_once(door: Door, way: str) -> None:
    assert door.opens(way)
    trip = door.owe(way)
    assert not door.opens(way)
    door.debts.pay(trip)
    assert door.opens(way)


@ways
def test_it_stays_shut_while_the_payoffs_outcome_is_unknown_or_a_no(door: Door, way: str) -> None:
    trip, till = door.owe(way), Till(["DECLINED", "LOST"])
    for _ in range(2):
        door.debts.pay(trip, "SANDBOX", port=till)
        assert not door.opens(way)


@ways
def test_it_stays_shut_while_another_debt_is_open(door: Door, way: str) -> None:
    first, second = door.owe(way), door.owe(way)
    door.debts.pay(first)
    assert not door.opens(way)
    door.debts.pay(second)
    assert door.opens(way)


@ways
def test_a_write_off_leaves_it_shut_until_it_is_forgiven_by_name_or_recovered(door: Door, way: str) -> None:
    for by_name in (True, False):
        trip = door.owe(way)
        with door.debts.engine.begin() as connection:
            write_off(connection, shopping_trip_id=trip, by="eve", reason="moved away", now=NOON)
        assert not door.opens(way)
        if by_name:
            with door.debts.engine.begin() as connection:
                forgive(connection, shopping_trip_id=trip, by="eve", reason="came back", now=NOON)
        else:
            door.debts.pay(trip)
        assert door.opens(way)


@ways
def test_a_refund_of_the_whole_debt_opens_it(door: Door, way: str) -> None:
    trip = door.owe(way)
    for number, shut in ((1, True), (2, False)):
        with door.debts.engine.begin() as connection:
            reduce(
                connection,
                shopping_trip_id=trip,
                amount=Decimal("6.15"),
                source=f"refund:{number}",
                actor="r",
                now=NOON,
            )
        assert door.opens(way) is not shut


@ways
def test_it_counts_at_all_our_stores_unless_set_per_store_and_not_where_amazon_keeps_the_balance(
    door: Door, way: str
) -> None:
    own, amazons = f"{door.debts.store_id}-OWN", f"{door.debts.store_id}-AMAZON"
    add_store(door.debts.engine, own, balance_scope="THIS_STORE")
    add_store(door.debts.engine, amazons, risk_strategy="AMAZON_RECOMMENDATION")
    trip = door.owe(way, store=amazons)
    assert [door.opens(way, store) for store in ("", own, amazons)] == [False, True, True]
    door.debts.pay(trip)
    assert door.opens(way)


def test_the_shoppers_page_shows_what_is_outstanding(door: Door) -> None:
    trip = door.owe("app")
    with door.debts.engine.begin() as connection:
        reduce(connection, shopping_trip_id=trip, amount=Decimal("2.30"), source="refund:1", actor="r", now=NOON)
        assert get_shopper(connection, SHOPPER, now=NOON).owes == {"USD": Decimal(10)}
    door.debts.pay(trip)
    with door.debts.engine.connect() as connection:
        assert get_shopper(connection, SHOPPER, now=NOON).owes == {}
