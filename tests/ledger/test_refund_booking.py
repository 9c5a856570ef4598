"""Refunds in the books: what of the sale they undo, tax included, to the cent; what is begun, final, reversed."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import text

from backroom.ledger.book import post_new
from tests.charges.conftest import NOON
from tests.ledger.conftest import World


def test_a_refund_undoes_sale_and_tax_when_it_begins_and_clears_when_it_is_final(world: World) -> None:
    trip = world.captured("12.30")  # net 11.07, tax 1.23
    (refund,) = world.refund(trip, [("CAPTURE", "6.15")], "INITIATED")
    world.books.post()
    balance = world.books.balance(trip)
    assert (balance["refunds"], balance["tax_payable"]) == (Decimal("5.53"), Decimal("-0.61"))
    assert balance["refund_clearing_initiated"] == Decimal("-6.15")
    world.later(refund, "FINAL")
    world.books.post()
    balance = world.books.balance(trip)
    assert "refund_clearing_initiated" not in balance
    assert (balance["refund_clearing"], balance["card_clearing"]) == (Decimal("-6.15"), Decimal("12.30"))


def test_a_refund_that_did_not_take_place_is_reversed_whole_and_may_begin_again(world: World) -> None:
    trip = world.captured()
    world.books.post()
    before = world.books.balance(trip)
    (refund,) = world.refund(trip, [("CAPTURE", "5.00")], "INITIATED")
    world.books.post()
    world.later(refund, "REVERSED")
    world.books.post()
    assert world.books.balance(trip) == before
    (reversal,) = world.books.rows(
        "select r.kind from ledger_transaction t join ledger_transaction r on r.transaction_id = t.reverses"
        " where t.shopping_trip_id = :trip and t.kind = 'REFUND_REVERSED'",
        trip=trip,
    )
    assert reversal["kind"] == "REFUND_INITIATED"
    world.later(refund, "INITIATED", "FINAL")
    world.books.post()
    assert world.books.balance(trip)["refund_clearing"] == Decimal("-5.00")


def test_news_of_a_refund_that_is_heard_all_at_once_is_booked_in_its_order(world: World) -> None:
    trip = world.captured()
    world.refund(trip, [("CAPTURE", "5.00")], "INITIATED", "REVERSED", "INITIATED", "FINAL")
    world.books.post()
    kinds = world.books.rows(
        "select kind from ledger_transaction where shopping_trip_id = :trip and kind like 'REFUND%'"
        " order by transaction_id",
        trip=trip,
    )
    assert [row["kind"] for row in kinds] == [
        "REFUND_INITIATED", "REFUND_REVERSED", "REFUND_INITIATED", "REFUND_FINAL",
    ]  # fmt: skip


def test_an_end_whose_beginning_was_never_heard_is_booked_and_the_late_beginning_moves_nothing(world: World) -> None:
    trip = world.captured()
    (refund,) = world.refund(trip, [("CAPTURE", "5.00")], "FINAL")
    world.books.post()
    with world.books.engine.begin() as connection:
        world.tell_refund(connection, refund, "INITIATED")
    world.books.post()
    assert world.books.balance(trip)["refund_clearing"] == Decimal("-5.00")
    assert "refund_clearing_initiated" not in world.books.balance(trip)


def test_a_refund_by_lines_gives_back_the_tax_of_those_lines(world: World) -> None:
    trip = world.captured("12.30")
    world.lines(trip, ("NY", "5.00", "0.00"), ("NYC", "5.50", "1.10"), ("CA", "0.57", "0.13"))
    world.refund(trip, [("CAPTURE", "6.60")], "FINAL", lines={2: "6.60"})
    world.books.post()
    assert world.details(trip, "tax_payable") == {"CA": Decimal("-0.13")}
    assert world.books.balance(trip)["refunds"] == Decimal("5.50")


def test_a_refund_by_amount_gives_back_tax_over_the_trips_jurisdictions(world: World) -> None:
    trip = world.captured("12.30")
    world.lines(trip, ("NY", "10.00", "1.00"), ("CA", "1.00", "0.30"))
    world.refund(trip, [("CAPTURE", "1.23")], "FINAL")
    world.books.post()
    assert world.details(trip, "tax_payable") == {"NY": Decimal("-0.90"), "CA": Decimal("-0.27")}
    assert world.books.balance(trip)["refunds"] == Decimal("1.10")


def test_refunds_of_every_sort_that_give_back_a_whole_trip_leave_no_sale_and_no_tax(world: World) -> None:
    trip = world.captured("12.30")
    world.lines(trip, ("NY", "5.00", "0.00"), ("NYC", "5.50", "1.10"), ("CA", "0.57", "0.13"))
    world.refund(trip, [("CAPTURE", "0.01")], "FINAL")
    world.refund(trip, [("CAPTURE", "3.33")], "FINAL", lines={2: "3.33"})
    world.refund(trip, [("CAPTURE", "3.27")], "FINAL", lines={2: "3.27"})
    world.refund(trip, [("CAPTURE", "5.69")], "FINAL")
    world.books.post()
    balance = world.books.balance(trip)
    assert "tax_payable" not in balance
    assert -balance["sales"] == balance["refunds"]
    assert balance["refund_clearing"] == Decimal("-12.30")


def test_a_request_in_parts_shares_its_tax_over_them_to_the_cent(world: World) -> None:
    trip = world.owed("12.30", held="5.00")
    world.lines(trip, ("NY", "5.00", "0.00"), ("NYC", "6.17", "1.13"))
    world.refund(trip, [("DEBT", "7.30"), ("CAPTURE", "0.01")], "FINAL", lines={2: "7.30"})
    world.books.post()
    balance = world.books.balance(trip)
    assert "bad_debt_receivable" not in balance
    assert balance["refund_clearing"] == Decimal("-0.01")
    given = Decimal("1.13") + world.details(trip, "tax_payable").get("NYC", Decimal(0))
    assert given + balance["refunds"] == Decimal("7.31")
    assert given in (Decimal("1.12"), Decimal("1.13"))


def test_what_a_refund_takes_off_a_debt_is_booked_once(world: World) -> None:
    trip = world.owed("12.30")
    world.refund(trip, [("DEBT", "12.30")])
    world.books.post()
    balance = world.books.balance(trip)
    assert balance == {
        "sales": Decimal("-11.57"), "promotions": Decimal("0.50"), "refunds": Decimal("11.07"),
    }  # fmt: skip


def test_money_goes_back_by_the_instrument_that_paid(world: World) -> None:
    trip = world.owed("12.30", held="5.00")
    payoff = world.pay_off(trip, "TERMINAL")
    world.refund(trip, [("CAPTURE", "5.00"), (f"PAYOFF:{payoff}", "7.30")], "INITIATED", "FINAL")
    world.books.post()
    assert world.details(trip, "refund_clearing") == {"": Decimal("-5.00"), "TERMINAL": Decimal("-7.30")}


def test_a_stores_own_processor_clears_apart_from_amazons(world: World) -> None:
    books = world.books
    with books.engine.begin() as connection:
        connection.execute(
            text("update store set payment_processor = 'STRIPE' where store_id = :store"), {"store": books.store_id}
        )
    trip = world.captured()
    world.refund(trip, [("CAPTURE", "2.00")], "INITIATED")
    books.post()
    assert world.details(trip, "card_clearing") == {"STRIPE": Decimal("12.30")}
    with books.engine.begin() as connection:  # whoever moved the money gives it back, also after a change
        connection.execute(
            text("update store set payment_processor = 'AMAZON' where store_id = :store"), {"store": books.store_id}
        )
    books.post()
    assert world.details(trip, "refund_clearing_initiated") == {"STRIPE": Decimal("-2.00")}


def test_a_refund_waits_for_the_booking_of_its_sale(world: World) -> None:
    trip = world.captured()
    world.refund(trip, [("CAPTURE", "2.00")], "FINAL")
    with world.books.engine.begin() as busy:
        busy.execute(text("select from charge where shopping_trip_id = :trip for update"), {"trip": trip})
        with world.books.engine.begin() as connection:
            assert post_new(connection, now=NOON) == 0
    assert world.books.post() == 4  # the sale, the capture's beginning and end, the refund
    assert [world.books.post(), world.books.post()] == [0, 0]
