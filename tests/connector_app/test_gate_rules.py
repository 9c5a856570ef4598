"""Rules of the gate that depend on the store and the kind of shopper (inbound.md, 1 and the table of strategies)."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from backroom.shoppers.registry import register
from tests.connector_app.conftest import Amazon, gate_body


@pytest.fixture(scope="module", autouse=True)
def stores(retailer: Engine) -> None:
    """A store of each strategy, one of them with its own balances only, one closed; a cash shopper; two debtors."""
    with retailer.begin() as connection:
        for store_id, strategy, scope, active in (
            ("STORE-003", "AMAZON_RECOMMENDATION", "ALL_STORES", True),
            ("STORE-004", "NONE", "ALL_STORES", True),
            ("STORE-005", "RETAILER_MANAGED", "THIS_STORE", True),
            ("STORE-006", "RETAILER_MANAGED", "ALL_STORES", False),
        ):
            connection.execute(
                text(
                    "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction,"
                    " risk_strategy, preauthorization_amount, feeds, balance_scope, active)"
                    " values (:id, 'a store', 'm', 'UTC', 'USD', 'X', :strategy, 75, '{FILES}', :scope, :active)"
                ),
                {"id": store_id, "strategy": strategy, "scope": scope, "active": active},
            )
        register(connection, "cash-3", "CASH_SHOPPER", keys=["cash_key_3"])
        for shopper_id, store_id, paid, state in (
            ("owes-here", "STORE-005", 0, "OPEN"),
            ("owes-there", "STORE-001", 11, "OPEN"),
            ("has-paid", "STORE-001", 12, "PAID"),
            ("written-off", "STORE-001", 0, "WRITTEN_OFF"),
            ("forgiven", "STORE-001", 0, "WRITTEN_OFF"),
        ):
            register(connection, shopper_id, "SHOPPER", keys=[f"{shopper_id}_key"])
            connection.execute(
                text(
                    "insert into debt (shopping_trip_id, store_id, shopper_id, cause, currency, amount, paid, state,"
                    " written_off, opened_at, forgiven_at) values (:trip, :store, :shopper, 'CAPTURE_DECLINED', 'USD',"
                    " 12, :paid, :state, :written_off, '2026-03-01Z', :forgiven)"
                ),
                {
                    "trip": f"t-{shopper_id}",
                    "store": store_id,
                    "shopper": shopper_id,
                    "paid": paid,
                    "state": state,
                    "written_off": 12 if state == "WRITTEN_OFF" else 0,
                    "forgiven": "2026-03-02Z" if shopper_id == "forgiven" else None,
                },
            )


@pytest.mark.parametrize(
    ("shopper", "store_id", "status"),
    [
        ("owes-here", "STORE-001", 401),
        ("owes-here", "STORE-005", 401),
        ("owes-there", "STORE-001", 401),
        ("owes-there", "STORE-005", 200),
        ("owes-here", "STORE-002", 200),
        ("owes-here", "STORE-003", 200),
        ("owes-here", "STORE-004", 200),
        ("has-paid", "STORE-001", 200),
        ("written-off", "STORE-001", 401),
        ("written-off", "STORE-002", 200),
        ("forgiven", "STORE-001", 200),
    ],
)
def test_a_balance_denies_entry_at_all_our_stores_unless_set_per_store(
    amazon: Amazon, shopper: str, store_id: str, status: int
) -> None:
    assert amazon.gate(gate_body(f"{shopper}_key", storeId=store_id)).status_code == status


@pytest.mark.parametrize("store_id", ["STORE-001", "STORE-002", "STORE-003", "STORE-004"])
def test_a_flagged_shopper_is_refused_whatever_the_strategy(amazon: Amazon, store_id: str) -> None:
    assert amazon.gate(gate_body("flagged_key", storeId=store_id)).status_code == 401


def test_a_cash_shopper_comes_in_as_one(amazon: Amazon) -> None:
    answer = amazon.gate(gate_body("cash_key_3"))
    assert answer.get_json() == {"visitorDetails": {"id": "cash-3", "type": "CASH_SHOPPER"}}


def test_a_closed_store_is_not_a_store_of_ours(amazon: Amazon) -> None:
    answer = amazon.gate(gate_body("ana_key", storeId="STORE-006"))
    assert (answer.status_code, answer.get_json()) == (400, {"errorMsg": "storeId: not a store of ours"})
