"""A cart that could not be priced is settled once a person has decided, and once only."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.purchases import refused_carts
from backroom.purchases.bad_carts import apply_decisions, warn_of_waiting
from backroom.purchases.cart_resolution import resolve
from backroom.purchases.commands import app
from backroom.reviews.cases import decide
from backroom_airflow.charge_lifecycle_tasks import gather, settle_carts
from tests.connector_app.conftest import NOW, Amazon, cart_body, line


def gathered(**context: Any) -> list[str]:
    """The first two tasks of the pipeline, one after the other."""
    settle_carts(**context)
    return sorted({share["store_id"] for share in gather(**context)})


LATER = NOW + timedelta(hours=2)


def bad_cart(amazon: Amazon, sku: str) -> str:
    body = cart_body(line("MILK"), line(sku, "2"))
    assert amazon.purchases(body).status_code == 201
    return str(body["idempotentShoppingTripId"])


def decided(engine: Engine, trip_id: str, decision: str) -> dict[str, int]:
    with engine.begin() as connection:
        case_id = connection.execute(
            text("select case_id from review_case where subject = :trip and decision is null"), {"trip": trip_id}
        ).scalar_one()
        decide(connection, case_id, decision, by="kim", reason="seen", now=LATER)
        return apply_decisions(connection, now=LATER)


def found(engine: Engine, trip_id: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(
            text(
                "select state, purchase.total, (select total from charge where charge.shopping_trip_id = :trip) as due"
                " from purchase where shopping_trip_id = :trip"
            ),
            {"trip": trip_id},
        ).one()


def test_a_product_that_has_come_to_be_known_is_charged(amazon: Amazon, retailer: Engine) -> None:
    trip_id = bad_cart(amazon, "NEW")
    with retailer.begin() as connection:
        connection.execute(
            text(
                "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, seen_in_run)"
                " values ('STORE-001', 'NEW', '{}', 'h', 'new', 1)"
            )
        )
        connection.execute(
            text("insert into shelf_price values ('STORE-001', 'NEW', '2026-01-01Z', null, 1.25, 'USD')")
        )
    assert decided(retailer, trip_id, "price_again") == {"priced": 1, "waived": 0, "still_bad": 0}
    assert tuple(found(retailer, trip_id)) == ("PRICED", Decimal("4.99"), Decimal("4.99"))
    with retailer.begin() as connection:
        assert apply_decisions(connection, now=LATER) == {"priced": 0, "waived": 0, "still_bad": 0}
        assert connection.execute(
            text("select sum(total) from purchase_line where shopping_trip_id = :trip"), {"trip": trip_id}
        ).scalar_one() == Decimal("4.99")


def test_a_product_that_is_still_unknown_is_asked_about_anew(amazon: Amazon, retailer: Engine) -> None:
    trip_id = bad_cart(amazon, "NEVER")
    assert decided(retailer, trip_id, "price_again")["still_bad"] == 1
    assert tuple(found(retailer, trip_id)) == ("BAD_CART", 0, None)
    assert decided(retailer, trip_id, "charge_nothing") == {"priced": 0, "waived": 1, "still_bad": 0}
    assert tuple(found(retailer, trip_id)) == ("SETTLED_OTHERWISE", 0, 0)


def test_the_command_says_what_it_did(amazon: Amazon, retailer: Engine) -> None:
    bad_cart(amazon, "NOBODY")
    done = CliRunner().invoke(app, ["settle-carts", "--now", "2026-03-22T20:00:00Z"])
    assert (done.output, done.exit_code) == ("0 priced, 0 waived, 0 still bad\n", 0)


def test_a_case_is_due_when_the_known_lines_are_charged_and_an_alert_comes_before(
    amazon: Amazon, retailer: Engine
) -> None:
    trip_id = bad_cart(amazon, "LATE")
    started = NOW.replace(minute=0)
    with retailer.begin() as connection:
        due_at = connection.execute(
            text("select due_at from review_case where subject = :trip"), {"trip": trip_id}
        ).scalar_one()
        assert due_at == started + timedelta(hours=46 - 8)
        assert warn_of_waiting(connection, now=started + timedelta(hours=25)) == 0
        assert warn_of_waiting(connection, now=started + timedelta(hours=26)) >= 1
        alerts = connection.execute(text("select title from alert where deduplication_key like 'bad-carts%'"))
        assert "wait for a decision" in alerts.scalar_one()


def test_the_charge_pipeline_acts_on_what_was_decided(amazon: Amazon, retailer: Engine) -> None:
    trip_id = bad_cart(amazon, "GIVEN")
    with retailer.begin() as connection:
        case_id = connection.execute(
            text("select case_id from review_case where subject = :trip"), {"trip": trip_id}
        ).scalar_one()
        decide(connection, case_id, "charge_nothing", by="kim", reason="a gift", now=LATER)
    assert gathered(dag_run=SimpleNamespace(logical_date=LATER)) == ["STORE-001"]
    assert tuple(found(retailer, trip_id)) == ("SETTLED_OTHERWISE", 0, 0)


def test_a_cart_that_came_through_the_connector_is_resolved_line_by_line(amazon: Amazon, retailer: Engine) -> None:
    body = cart_body(line("MILK"), line("4006381333000", "2", kind="SCANCODE"), line("GHOST"))
    first = amazon.purchases(body)
    trip_id = body["idempotentShoppingTripId"]
    with retailer.begin() as connection:
        done = resolve(
            connection, trip_id, mapped={2: "SOAP"}, dropped={3}, by="kim", reason="seen", now=LATER
        )  # fmt: skip
    assert str(done.charged) == "9.00 USD"  # 2.49, and 2 x 3.99 less a quarter (5.98), plus 8.875 % tax
    assert tuple(found(retailer, trip_id)) == ("PRICED", Decimal("9.00"), Decimal("9.00"))
    again = amazon.purchases(body)
    assert (again.status_code, again.data) == (201, first.data)


def test_a_refused_cart_is_taken_once_what_was_wrong_is_right(amazon: Amazon, retailer: Engine) -> None:
    body = cart_body(storeId="STORE-NEW")
    assert amazon.purchases(body).status_code == 400
    with retailer.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds)"
                " values ('STORE-NEW', 'n', 'm', 'UTC', 'USD', 'X', 'NONE', 75, '{FILES}')"
            )
        )
        refused_id = connection.execute(
            text("select refused_id from refused_cart where shopping_trip_id = :trip"),
            {"trip": body["idempotentShoppingTripId"]},
        ).scalar_one()
        done = refused_carts.retry(connection, refused_id, by="kim", now=LATER, new_id=lambda: "P-new")
    assert (done.outcome, done.reason) == ("TAKEN", "EMPTY")
    assert amazon.purchases(body).get_json() == {"purchaseId": ""}
