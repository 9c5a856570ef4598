"""A cart that could not be priced is settled once a person has decided, and once only."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.purchases.bad_carts import apply_decisions, warn_of_waiting
from backroom.purchases.commands import app
from backroom.reviews.cases import decide
from backroom_airflow.charge_lifecycle_tasks import gather
from tests.connector_app.conftest import NOW, Amazon, cart_body, line

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


def test_a_case_is_due_when_the_preauthorization_ends_and_an_alert_comes_before(
    amazon: Amazon, retailer: Engine
) -> None:
    trip_id = bad_cart(amazon, "LATE")
    started = NOW.replace(minute=0)
    with retailer.begin() as connection:
        due_at = connection.execute(
            text("select due_at from review_case where subject = :trip"), {"trip": trip_id}
        ).scalar_one()
        assert due_at == started + timedelta(hours=46)
        assert warn_of_waiting(connection, now=started + timedelta(hours=39)) == 0
        assert warn_of_waiting(connection, now=started + timedelta(hours=41)) >= 1
        alerts = connection.execute(text("select title from alert where deduplication_key like 'bad-carts%'"))
        assert "wait for a decision" in alerts.scalar_one()


def test_the_charge_pipeline_acts_on_what_was_decided(amazon: Amazon, retailer: Engine) -> None:
    trip_id = bad_cart(amazon, "GIVEN")
    with retailer.begin() as connection:
        case_id = connection.execute(
            text("select case_id from review_case where subject = :trip"), {"trip": trip_id}
        ).scalar_one()
        decide(connection, case_id, "charge_nothing", by="kim", reason="a gift", now=LATER)
    assert gather(dag_run=SimpleNamespace(logical_date=LATER)) == ["STORE-001"]
    assert tuple(found(retailer, trip_id)) == ("SETTLED_OTHERWISE", 0, 0)
