"""A bad cart that nobody has resolved is charged for its known lines while the card can be; the rest is unbilled."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine
from typer.testing import CliRunner

from backroom.cli import build_app
from backroom.errors import BackroomError
from backroom.ledger.book import post_new
from backroom.ledger.verification import verify
from backroom.purchases import unbilled
from backroom.purchases.bad_carts import apply_decisions, warn_of_waiting
from backroom.reviews.cases import decide
from backroom.settings import Settings
from backroom_airflow.charge_lifecycle_tasks import gather, settle_carts
from tests.purchases.bad_cart_world import EXPIRES, MARGIN, STARTED, Shop


def gathered(**context: Any) -> list[str]:
    """The first two tasks of the pipeline, one after the other."""
    settle_carts(**context)
    return sorted({share["store_id"] for share in gather(**context)})


SECOND = timedelta(seconds=1)


@pytest.fixture
def shop(database: Engine) -> Shop:
    return Shop.opened(database)


def charge_overdue(shop: Shop, now: datetime = MARGIN) -> dict[str, int]:
    with shop.engine.begin() as connection:
        return unbilled.charge_overdue(connection, now=now)


def unbilled_lines(shop: Shop, trip: str) -> list[tuple[Any, ...]]:
    return shop.rows(
        "select line_number, item_id, quantity, unit, reason from unbilled_line where shopping_trip_id = :trip"
        " order by line_number",
        trip=trip,
    )


def test_known_lines_are_charged_and_every_other_line_is_kept_with_its_reason(shop: Shop) -> None:
    trip = shop.cart(("MILK", "2"), ("STRANGE", "1.5", "kg"), ("SOAP", "1"), ("BREAD", "1"), ("HAM", "1", "unit"))
    assert charge_overdue(shop) == {"carts": 1, "lines": 3}
    assert shop.stands(trip) == ("PRICED", Decimal("7.30"), Decimal("7.30"))
    assert [total for _, total, _ in shop.lines(trip)] == [Decimal("4"), None, Decimal("3.3"), None, None]
    assert unbilled_lines(shop, trip) == [
        (2, "STRANGE", Decimal("1.5"), "kg", "no product of this store has the SKU 'STRANGE'"),
        (4, "BREAD", Decimal(1), "unit", "'BREAD' has no shelf price at the trip's end"),
        (5, "HAM", Decimal(1), "unit", "'HAM' is sold by the kg, the cart counts by the unit"),
    ]
    assert shop.cases(trip) == [("SETTLED", "charge_lifecycle")]
    assert shop.stock(trip) == {"MILK": 2, "SOAP": 1, "BREAD": 1}
    [(title, severity)] = shop.rows("select title, severity from alert where store_id = :store")
    assert title == f"{shop.store_id}: 3 lines of 1 carts were not charged, because nobody resolved them in time"
    assert severity == "critical"
    [(actor, details)] = shop.rows(
        "select actor, details from audit_entry where subject = :trip and action = 'carts.charge_in_part'", trip=trip
    )
    assert (actor, details["charged"], sorted(details["unbilled"])) == ("charge_lifecycle", "7.30", ["2", "4", "5"])


def test_a_cart_without_a_known_line_is_charged_nothing_so_that_its_hold_is_freed(shop: Shop) -> None:
    trip = shop.cart(("STRANGE", "1"), ("ODD", "1"))
    assert charge_overdue(shop) == {"carts": 1, "lines": 2}
    assert shop.stands(trip) == ("PRICED", 0, 0)
    assert shop.rows("select state from charge where shopping_trip_id = :trip", trip=trip) == [("CANCEL_DUE",)]
    assert len(unbilled_lines(shop, trip)) == 2


def test_a_cart_that_can_be_priced_by_then_is_charged_whole(shop: Shop) -> None:
    trip = shop.cart(("MILK", "1"), ("LATE", "1"))
    shop.sells("LATE", price="5")
    assert charge_overdue(shop) == {"carts": 1, "lines": 0}
    assert shop.stands(trip) == ("PRICED", Decimal(7), Decimal(7))
    assert shop.rows("select title from alert where store_id = :store") == []


def test_it_happens_at_the_margin_and_not_a_second_before(shop: Shop) -> None:
    trip = shop.cart(("MILK", "1"), ("STRANGE", "1"))
    assert charge_overdue(shop, MARGIN - SECOND) == {"carts": 0, "lines": 0}
    assert shop.stands(trip)[0] == "BAD_CART"
    assert charge_overdue(shop, MARGIN) == {"carts": 1, "lines": 1}
    [(due, expires)] = shop.rows(
        "select next_attempt_at, expires_at from charge where shopping_trip_id = :trip", trip=trip
    )
    assert (due, expires) == (MARGIN, EXPIRES)


def test_a_second_run_does_nothing(shop: Shop) -> None:
    trip = shop.cart(("MILK", "1"), ("STRANGE", "1"))
    charge_overdue(shop)
    assert charge_overdue(shop, MARGIN + timedelta(hours=1)) == {"carts": 0, "lines": 0}
    assert len(shop.rows("select * from charge_event where shopping_trip_id = :trip", trip=trip)) == 1
    assert len(unbilled_lines(shop, trip)) == 1


def test_dropped_and_mapped_lines_count_as_the_person_said(shop: Shop) -> None:
    trip = shop.cart(("STRANGE", "1"), ("ODD", "1"), ("WEIRD", "1"))
    shop.resolve(trip, {1: "SOAP"}, (2,))
    assert charge_overdue(shop) == {"carts": 1, "lines": 1}
    assert shop.stands(trip)[2] == Decimal("3.30")
    assert [line for line, *_ in unbilled_lines(shop, trip)] == [3]
    assert shop.lines(trip) == [("SOAP", Decimal("3.3"), False), (None, None, True), (None, None, False)]


def test_an_unbilled_line_can_not_be_resolved_any_more_and_the_message_says_why(shop: Shop) -> None:
    trip = shop.cart(("MILK", "1"), ("STRANGE", "1"))
    charge_overdue(shop)
    with pytest.raises(BackroomError) as refused:
        shop.resolve(trip, {2: "SOAP"}, now=MARGIN + SECOND)
    assert "too late" in str(refused.value)
    assert "charged for its known lines at 2026-03-24 07:00 UTC" in str(refused.value)
    assert "unbilled for good: line 2" in str(refused.value)
    assert shop.stands(trip)[1:] == (Decimal(2), Decimal(2))


@pytest.mark.parametrize("decision", ["price_again", "charge_nothing"])
def test_a_decision_that_is_not_acted_on_yet_goes_before_the_margin(shop: Shop, decision: str) -> None:
    trip = shop.cart(("MILK", "1"), ("STRANGE", "1"))
    with shop.engine.begin() as connection:
        case_id = shop.rows("select case_id from review_case where subject = :trip", trip=trip)[0][0]
        decide(connection, case_id, decision, by="ana", reason="seen", now=MARGIN)
    assert charge_overdue(shop) == {"carts": 0, "lines": 0}
    with shop.engine.begin() as connection:
        apply_decisions(connection, now=MARGIN)
    if decision == "charge_nothing":
        assert charge_overdue(shop) == {"carts": 0, "lines": 0}
        assert shop.stands(trip) == ("SETTLED_OTHERWISE", 0, 0)
    else:  # asked about anew, and it is still too late
        assert charge_overdue(shop) == {"carts": 1, "lines": 1}
        assert shop.stands(trip)[2] == Decimal(2)


def test_a_cart_that_somebody_holds_is_passed_over_and_taken_by_the_next_run(shop: Shop) -> None:
    held, free = shop.cart(("MILK", "1"), ("STRANGE", "1")), shop.cart(("MILK", "1"), ("STRANGE", "1"))
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(f"select from purchase where shopping_trip_id = '{held}' for update")
        assert charge_overdue(shop) == {"carts": 1, "lines": 1}
        assert shop.stands(free)[0] == "PRICED"
    assert charge_overdue(shop) == {"carts": 1, "lines": 1}
    assert shop.stands(held)[0] == "PRICED"


def test_many_runs_at_once_and_a_resolver_charge_each_cart_once(shop: Shop) -> None:
    trips = [shop.cart(("MILK", "1"), ("STRANGE", "1")) for _ in range(20)]
    start = threading.Barrier(4)

    def overdue() -> int:
        start.wait()
        return charge_overdue(shop)["carts"]

    def resolving() -> int:
        start.wait()
        done = 0
        for trip in trips:
            try:
                shop.resolve(trip, {2: "SOAP"}, now=MARGIN)
                done += 1
            except BackroomError:
                pass
        return done

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(work) for work in (overdue, overdue, overdue, resolving)]
        assert sum(run.result() for run in runs) == len(trips)
    for trip in trips:
        state, total, due = shop.stands(trip)
        lost = len(unbilled_lines(shop, trip))
        assert (state, total, due) == ("PRICED", total, total)
        assert (total, lost) in ((Decimal("5.30"), 0), (Decimal(2), 1))
        assert len(shop.cases(trip)) == 1


def test_the_ledger_books_what_was_charged_and_no_more(shop: Shop) -> None:
    trip = shop.cart(("MILK", "1"), ("STRANGE", "1"), ("SOAP", "1"))
    charge_overdue(shop)
    with shop.engine.begin() as connection:
        post_new(connection, now=MARGIN)
        assert [wrong for wrong in verify(connection) if trip in wrong.subject] == []
    assert shop.rows(
        "select account, amount from ledger_posting join ledger_transaction using (transaction_id)"
        " where shopping_trip_id = :trip order by account",
        trip=trip,
    ) == [("sales", Decimal("-5")), ("shopper_receivable", Decimal("5.3")), ("tax_payable", Decimal("-0.3"))]


def test_the_charge_pipeline_does_it_and_finds_the_charge_due(shop: Shop) -> None:
    trip, alone = shop.cart(("MILK", "1"), ("STRANGE", "1")), shop.cart(("ODD", "1"))
    assert shop.store_id not in gathered(dag_run=SimpleNamespace(logical_date=MARGIN - SECOND))
    assert shop.store_id in gathered(dag_run=SimpleNamespace(logical_date=MARGIN))
    assert (shop.stands(trip)[0], shop.stands(alone)[0]) == ("PRICED", "PRICED")


def test_more_carts_than_one_transaction_takes_are_all_charged(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unbilled, "AT_ONCE", 2)
    trips = [shop.cart(("MILK", "1"), ("STRANGE", "1")) for _ in range(5)]
    gathered(dag_run=SimpleNamespace(logical_date=MARGIN))
    assert {shop.stands(trip)[0] for trip in trips} == {"PRICED"}


def test_an_alert_comes_some_hours_before(shop: Shop) -> None:
    shop.cart(("STRANGE", "1"))
    with shop.engine.begin() as connection:
        warn_of_waiting(connection, now=MARGIN - timedelta(hours=12) - SECOND)
        assert shop.rows("select title from alert where store_id = :store") == []
        warn_of_waiting(connection, now=MARGIN - timedelta(hours=12))
    [(title,)] = shop.rows("select title from alert where store_id = :store")
    assert title == f"{shop.store_id}: 1 carts wait for a decision; soon only their known lines are charged"


def test_the_command_lists_what_is_unbilled(shop: Shop) -> None:
    trip = shop.cart(("MILK", "1"), ("STRANGE", "1"), started=STARTED)
    charge_overdue(shop)
    done = CliRunner().invoke(build_app(["carts"]), ["carts", "unbilled", "--store", shop.store_id, "--json"])
    [line] = json.loads(done.output)
    assert (line["shopping_trip_id"], line["line_number"], line["item_id"]) == (trip, 2, "STRANGE")
    shown = CliRunner().invoke(build_app(["carts"]), ["carts", "show", trip]).output
    assert "unbilled" in shown


@pytest.mark.parametrize("margin", [6, 46])
def test_a_margin_that_leaves_a_charge_no_time_is_refused(margin: int) -> None:
    with pytest.raises(ValidationError, match="BACKROOM_BAD_CART_MARGIN_HOURS must leave a charge its time"):
        Settings(bad_cart_margin_hours=margin)
    assert Settings(bad_cart_margin_hours=7).bad_cart_margin_hours == 7
