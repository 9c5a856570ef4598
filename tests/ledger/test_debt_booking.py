"""What happened to debts, in the books: receipts, write-offs, recoveries, and what came too much."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import text

from backroom.debts.standing import Happened
from backroom.ledger.accounts import Account
from backroom.ledger.debt_booking import debt_postings
from backroom.reviews import cases
from tests.charges.conftest import NOON, minutes
from tests.ledger.conftest import World


def test_a_payoff_moves_the_debt_to_receipts_by_its_method(world: World) -> None:
    trip = world.owed()
    world.pay_off(trip, "TERMINAL")
    world.books.post()
    assert world.details(trip, "payoff_receipts") == {"TERMINAL": Decimal("12.30")}
    assert "bad_debt_receivable" not in world.books.balance(trip)


def test_a_write_off_is_an_expense_and_its_recovery_an_income(world: World) -> None:
    trip = world.owed()
    world.write_off(trip)
    world.books.post()
    assert world.books.balance(trip)["write_off"] == Decimal("12.30")
    assert "bad_debt_receivable" not in world.books.balance(trip)
    world.pay_off(trip, at=NOON + minutes(240))
    world.books.post()
    balance = world.books.balance(trip)
    assert (balance["write_off"], balance["recovery"], balance["payoff_receipts"]) == (
        Decimal("12.30"), Decimal("-12.30"), Decimal("12.30"),
    )  # fmt: skip


def test_a_capture_found_after_a_write_off_reverses_it(world: World) -> None:
    trip = world.owed()
    world.write_off(trip)
    world.books.post()
    # Amazon reports a capture that was never asked for: a person says that it is true
    world.books.order(trip, "SETTLED", "12.30", at=NOON + minutes(200))
    world.books.gather(NOON + minutes(210))
    (case,) = world.books.cases(trip)
    decide(world, case["case_id"], "captured")
    world.books.gather(NOON + minutes(220))
    world.books.post()
    balance = world.books.balance(trip)
    assert balance["card_clearing"] == Decimal("12.30")
    assert not {"write_off", "bad_debt_receivable", "shopper_receivable"} & set(balance)
    (undone,) = world.books.rows(
        "select r.kind from ledger_transaction t join ledger_transaction r on r.transaction_id = t.reverses"
        " where t.shopping_trip_id = :trip and t.kind = 'WRITE_OFF_UNDONE'",
        trip=trip,
    )
    assert undone["kind"] == "DEBT_WRITTEN_OFF"


def test_money_that_came_twice_is_owed_to_the_shopper_until_it_went_back(world: World) -> None:
    trip = world.owed()
    payoff = world.pay_off(trip)
    returned(world, trip, "12.30", f"payoff:{payoff}")
    world.books.post()
    balance = world.books.balance(trip)
    assert (balance["owed_to_shoppers"], balance["payoff_receipts"]) == (Decimal("-12.30"), Decimal("24.60"))
    (refund,) = world.refund(trip, [(f"PAYOFF:{payoff}", "12.30")], "INITIATED", is_return=True)
    world.later(refund, "FINAL")
    world.books.post()
    balance = world.books.balance(trip)
    assert "owed_to_shoppers" not in balance
    assert "refunds" not in balance
    assert world.details(trip, "refund_clearing") == {"CASH": Decimal("-12.30")}


def test_forgiving_moves_nothing() -> None:
    assert debt_postings("FORGIVEN", Decimal(0), "") == (None, [])


def test_every_kind_of_debt_event_has_its_postings_and_they_balance() -> None:
    for kind in Happened:
        _, postings = debt_postings(kind, Decimal(5), "CASH")
        assert sum(posting.amount for posting in postings) == 0
        for posting in postings:
            assert posting.detail == ("CASH" if posting.account is Account.PAYOFF_RECEIPTS else "")


def decide(world: World, case_id: int, choice: str) -> None:
    with world.books.engine.begin() as connection:
        cases.decide(connection, case_id, choice, by="ana", reason="seen", now=NOON + minutes(215))


def returned(world: World, trip: str, amount: str, source: str) -> None:
    """A second payoff of the trip came in, and goes back: the debt's columns and history, and the payoff's row."""
    with world.books.engine.begin() as connection:
        values = {"trip": trip, "amount": Decimal(amount), "source": f"{source}/again", "at": NOON + minutes(130)}
        connection.execute(
            text(
                "insert into payoff (shopping_trip_id, store_id, amount, currency, method, reference, state, asked_by,"
                " intended_at)"
                " select shopping_trip_id, store_id, :amount, currency, 'CASH', :source, 'PAID', 'ana', :at"
                " from debt where shopping_trip_id = :trip"
            ),
            values,
        )
        connection.execute(
            text("update debt set paid = paid + :amount, returned = :amount where shopping_trip_id = :trip"), values
        )
        for kind in ("PAID", "PAYOFF_RETURNED"):
            connection.execute(
                text(
                    "insert into debt_event (shopping_trip_id, kind, amount, currency, happened_at, actor, source,"
                    " details) values (:trip, :kind, :amount, 'USD', :at, 'debts', :source,"
                    ' \'{"method": "CASH"}\')'
                ),
                values | {"kind": kind},
            )
