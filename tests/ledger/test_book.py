"""The books: every movement once, in balance, and what the charges say."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from backroom.db.roles import ROLES
from backroom.ledger.accounts import NORMAL_SIDE, Account
from backroom.ledger.book import post_new
from backroom.ledger.commands import app
from backroom.ledger.verification import balances, verify
from backroom.reviews import cases
from tests.amazon.scripted_amazon import ScriptedAmazon, adjusted, replies
from tests.charges.conftest import NOON, Books, add_store, hours, minutes


def test_a_sale_is_booked_when_its_purchase_is_priced(books: Books) -> None:
    trip = books.trip("12.30")
    assert books.post() == 1
    assert books.balance(trip) == {
        "shopper_receivable": Decimal("12.30"),
        "sales": Decimal("-11.57"),
        "promotions": Decimal("0.50"),
        "tax_payable": Decimal("-1.23"),
    }
    posting = books.one("select detail from ledger_posting where account = 'tax_payable' limit 1")
    assert posting["detail"] == "NY"


def test_tax_that_shelf_prices_hold_is_owed_and_is_no_sale(books: Books) -> None:
    trip = books.trip("12.30")
    with books.engine.begin() as connection:  # the same line where the price of 11.57 holds 1.01 of tax
        for statement in (
            "update purchase set tax_total = 1.01, tax_included_total = 1.01, total = 11.07",
            "update purchase_line set tax_amount = 1.01, tax_included = true, total = 11.07",
            "update charge set total = 11.07",
            "update charge_event set amount = 11.07",
        ):
            connection.execute(text(f"{statement} where shopping_trip_id = :trip"), {"trip": trip})
    books.post()
    assert books.balance(trip) == {
        "shopper_receivable": Decimal("11.07"),
        "sales": Decimal("-10.56"),
        "promotions": Decimal("0.50"),
        "tax_payable": Decimal("-1.01"),
    }
    with books.engine.connect() as connection:
        assert [found for found in verify(connection) if trip in found.subject] == []


def test_what_no_card_pays_is_not_a_receivable_of_a_shopper(books: Books) -> None:
    trip = books.trip("12.30")
    with books.engine.begin() as connection:
        connection.execute(
            text("update purchase set state = 'SETTLED_OTHERWISE' where shopping_trip_id = :trip"), {"trip": trip}
        )
    books.post()
    booked = books.balance(trip)
    assert booked["settled_otherwise"] == Decimal("12.30")
    assert "shopper_receivable" not in booked
    with books.engine.connect() as connection:
        assert [found for found in verify(connection) if trip in found.subject] == []


def test_each_event_is_booked_once_however_often_it_runs(books: Books, amazon: ScriptedAmazon) -> None:
    trip = books.trip("12.30")
    books.work()
    assert books.post() == 2
    books.order(trip, "SETTLED", "12.30", at=NOON + minutes(20))
    books.event(trip, "CaptureApproved", "12.30", at=NOON + minutes(20))
    books.gather(NOON + minutes(25))
    assert [books.post() for _ in range(3)] == [1, 0, 0]


def test_a_beginning_and_an_end_that_are_booked_together_are_still_two_movements(
    books: Books, amazon: ScriptedAmazon
) -> None:
    trip = books.trip("12.30")
    books.work()
    books.order(trip, "CANCELLED", "0", at=NOON + minutes(20))
    books.gather(NOON + minutes(25))
    books.post()
    rows = books.rows(
        "select kind, reverses is not null as reverses from ledger_transaction where shopping_trip_id = :trip"
        " order by transaction_id",
        trip=trip,
    )
    assert [(row["kind"], row["reverses"]) for row in rows] == [
        ("SALE", False),
        ("CAPTURE_INITIATED", False),
        ("CAPTURE_REVERSED", True),
        ("DEBT_OPENED", False),
    ]


def test_a_test_store_stays_out_of_the_books(database: Engine, books: Books) -> None:
    trial = Books(database, f"TRIAL-{books.store_id}", books.client)
    add_store(database, trial.store_id, test=True)
    trip = trial.trip("12.30")
    assert trial.post() == 0
    assert trial.balance(trip) == {}


def test_a_sale_is_counted_on_the_stores_own_day(books: Books) -> None:
    books.trip("12.30")
    books.post()
    row = books.one("select business_date from ledger_transaction where store_id = :store", store=books.store_id)
    assert row["business_date"] == NOON.date()


def test_many_trips_of_every_kind_leave_the_books_in_balance_and_agreeing(books: Books, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(adjust=[adjusted("APPROVED", "5.00"), adjusted("DECLINED", "0")] * 10)
    trips = [books.trip("12.30") for _ in range(20)]
    for minute in (0, 30, 60):
        books.work(NOON + minutes(minute))
    for trip in trips[::2]:
        books.order(trip, "SETTLED", "5.00", at=NOON + minutes(80))
    books.gather(NOON + minutes(90))
    books.post()
    with books.engine.connect() as connection:
        rows = balances(connection, store_id=books.store_id)
        assert verify(connection) == []
    assert sum(row["amount"] for row in rows) == 0
    owed = books.one("select sum(amount) as amount from debt where store_id = :store", store=books.store_id)
    by_account = {row["account"]: row["amount"] for row in rows}
    assert by_account["bad_debt_receivable"] == owed["amount"]


def test_the_database_refuses_a_transaction_that_does_not_balance(books: Books) -> None:
    with pytest.raises(DBAPIError, match="out of balance"), books.engine.begin() as connection:
        connection.execute(
            text(
                "with t as (insert into ledger_transaction (source, kind, store_id, business_date, happened_at)"
                " values ('test', 'SALE', :store, '2026-11-23', now()) returning transaction_id)"
                " insert into ledger_posting select transaction_id, 1, 'sales', '', 1, 'USD' from t"
            ),
            {"store": books.store_id},
        )


def test_a_charge_that_says_something_else_than_the_books_is_named(books: Books) -> None:
    trip = books.trip("12.30")
    books.post()
    with books.engine.begin() as connection:
        connection.execute(text("update charge set captured = 1 where shopping_trip_id = :trip"), {"trip": trip})
        found = verify(connection)
        connection.rollback()
    assert {one.what for one in found if trip in one.subject} == {
        "card_clearing", "shopper_receivable", "charge, captured",
    }  # fmt: skip


def test_a_charge_whose_row_is_locked_is_booked_by_the_next_run(books: Books) -> None:
    trip = books.trip("12.30")
    with books.engine.begin() as busy:
        busy.execute(text("select from charge where shopping_trip_id = :trip for update"), {"trip": trip})
        with books.engine.begin() as connection:
            assert post_new(connection, now=NOON) == 0
    assert books.post() == 1


def test_the_command_line_verifies_and_shows_balances(books: Books) -> None:
    books.trip("12.30")
    books.post()
    checked = CliRunner().invoke(app, ["verify"])
    assert (checked.exit_code, "balance" in checked.output) == (0, True)
    shown = CliRunner().invoke(app, ["balances", "--store", books.store_id, "--json"])
    assert sum(Decimal(row["amount"]) for row in json.loads(shown.output)) == 0


def test_every_account_has_its_normal_side() -> None:
    assert set(NORMAL_SIDE) == set(Account)


def test_a_capture_begun_ruled_out_and_begun_again_is_booked_as_three_movements(
    books: Books, amazon: ScriptedAmazon
) -> None:
    trip = books.trip("12.30")
    books.work()
    books.post()
    late = NOON + hours(60)
    books.work(late)  # no evidence came: a person is asked
    (case,) = books.cases(trip)
    with books.engine.begin() as connection:
        cases.decide(connection, case["case_id"], "not_captured", by="ana", reason="checked", now=late)
    books.gather(late + minutes(5))
    books.work(late + minutes(5))
    books.post()
    rows = books.rows(
        "select kind from ledger_transaction where shopping_trip_id = :trip order by transaction_id", trip=trip
    )
    assert [row["kind"] for row in rows] == ["SALE", "CAPTURE_INITIATED", "CAPTURE_REVERSED", "CAPTURE_INITIATED"]
    assert books.balance(trip)["card_clearing_initiated"] == Decimal("12.30")


def unbilled(books: Books, trip: str, sku: str, quantity: str = "2", unit: str = "unit") -> None:
    """A line of the trip's cart that was left out of its bill."""
    with books.engine.begin() as connection:
        values = {"trip": trip, "sku": sku, "quantity": quantity, "unit": unit, "store": books.store_id, "at": NOON}
        connection.execute(
            text(
                "insert into purchase_line (shopping_trip_id, line_number, item_id, item_type, quantity, unit)"
                " values (:trip, 2, :sku, 'SKU', :quantity, :unit)"
            ),
            values,
        )
        connection.execute(
            text(
                "insert into unbilled_line (shopping_trip_id, line_number, store_id, item_id, quantity, unit, reason,"
                " recorded_at) values (:trip, 2, :store, :sku, :quantity, :unit, 'no price', :at)"
            ),
            values,
        )


def price(books: Books, sku: str, amount: str, *, sold_by: str = "unit", valid_from: datetime = NOON) -> None:
    with books.engine.begin() as connection:
        values = {
            "store": books.store_id, "sku": sku, "amount": amount, "sold_by": sold_by, "at": valid_from, "day": NOON,
        }  # fmt: skip
        run = connection.execute(
            text(
                "insert into catalog_run (business_date, source, state, started_at)"
                " values (:day, 'files', 'DONE', :day) returning run_id"
            ),
            values,
        ).scalar_one()
        connection.execute(
            text(
                "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, unit, seen_in_run)"
                " values (:store, :sku, '{}', 'h', 'a thing', :sold_by, :run) on conflict do nothing"
            ),
            values | {"run": run},
        )
        connection.execute(
            text(
                "insert into shelf_price (store_id, item_sku, valid_from, amount, currency)"
                " values (:store, :sku, :at, :amount, 'USD')"
            ),
            values,
        )


def test_what_could_not_be_billed_is_a_memo_once_a_list_price_is_known(books: Books) -> None:
    trip = books.trip("12.30")
    unbilled(books, trip, "HAM", "0.5", "kg")
    books.post()
    assert "unbilled" not in books.balance(trip)
    price(books, "HAM", "9.99", sold_by="kg", valid_from=NOON + hours(30))
    price(books, "HAM", "99.99", sold_by="kg", valid_from=NOON + hours(60))
    assert books.post(NOON + hours(70)) == 1
    balance = books.balance(trip)
    assert (balance["unbilled"], balance["unbilled_offset"]) == (Decimal("5.00"), Decimal("-5.00"))
    assert books.post(NOON + hours(71)) == 0


@pytest.mark.parametrize(("days", "sold_by", "booked"), [(34, "unit", 1), (36, "unit", 0), (1, "kg", 0)])
def test_a_price_that_comes_much_too_late_or_for_another_unit_makes_no_memo(
    books: Books, days: int, sold_by: str, booked: int
) -> None:
    trip = books.trip("12.30")
    unbilled(books, trip, "SOAP")
    books.post()
    price(books, "SOAP", "3.00", sold_by=sold_by)
    assert books.post(NOON + hours(24 * days)) == booked


def test_a_round_takes_only_so_many_and_the_next_one_the_rest(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backroom.ledger.charge_booking.AT_ONCE", 2)
    for _ in range(5):
        books.trip("12.30")
    assert books.post() == 5


def test_the_books_can_only_be_added_to(books: Books) -> None:
    books.trip("12.30")
    books.post()
    for role in ROLES:
        for statement in ("update ledger_posting set amount = 1", "delete from ledger_transaction"):
            with pytest.raises(DBAPIError, match="permission denied"), books.engine.begin() as connection:
                connection.execute(text(f"set local role {role}"))
                connection.execute(text(statement))
