"""Debts as charges make and unmake them, with the whole lifecycle and the gate at work."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backroom.debts import payoff
from backroom.reviews import cases
from tests.amazon.scripted_amazon import ScriptedAmazon, adjusted, refused, replies
from tests.charges.conftest import NOON, Books, hours, minutes
from tests.debts.conftest import Debts


def decline(books: Books, amazon: ScriptedAmazon) -> str:
    """A trip whose card was declined at every try."""
    trip = books.trip()
    amazon.script = replies(adjust=adjusted("DECLINED", "0"))
    for minute in (0, 30, 60):
        books.work(NOON + minutes(minute))
    return trip


def test_every_decline_is_a_debt_of_the_whole_total(books: Books, amazon: ScriptedAmazon) -> None:
    debt = books.debt(decline(books, amazon))
    assert debt is not None
    assert (debt["cause"], debt["outstanding"], debt["state"]) == ("ADJUST_DECLINED", Decimal("12.30"), "OPEN")


@pytest.mark.parametrize(
    ("status", "message"), [(403, "not allow-listed"), (400, "BadRequestException"), (400, "UnknownShoppingTrip")]
)
def test_our_own_mistakes_are_nobodys_debt(books: Books, amazon: ScriptedAmazon, status: int, message: str) -> None:
    trip = books.trip()
    amazon.script = replies(adjust=refused(status, message))
    books.work()
    assert books.debt(trip) is None


def test_an_open_debt_that_the_card_has_paid_after_all_is_withdrawn(books: Books, amazon: ScriptedAmazon) -> None:
    trip = decline(books, amazon)
    settle_as_captured(books, trip, "12.30")
    assert (books.charge(trip)["state"], books.debt(trip)) == ("CAPTURED", None)


def test_what_was_paid_off_and_captured_after_all_goes_back_by_the_card(
    books: Books, debts: Debts, amazon: ScriptedAmazon
) -> None:
    trip = decline(books, amazon)
    debts.pay(trip, at=NOON + hours(2))
    settle_as_captured(books, trip, "12.30")
    assert debts.amounts(trip) == ("PAID", "0.00", "12.30", "0.00", "0.00", "12.30", "0.00")
    assert debts.returns(trip) == [("CAPTURE", "12.30")]
    (case,) = debts.cases(trip, "FOUND_AFTER_PAYOFF")
    assert (case["asked_by"], case["known"]["captured"]) == ("debts", "12.30")


def settle_as_captured(books: Books, trip: str, amount: str) -> None:
    """Amazon reports a capture that we had given up; a person says that it is so."""
    books.event(trip, "CaptureApproved", amount, at=NOON + hours(3))
    books.gather(NOON + hours(3))
    (case,) = books.cases(trip)
    with books.engine.begin() as connection:
        cases.decide(connection, case["case_id"], "captured", by="ann", reason="the bank says so", now=NOON + hours(4))
    books.gather(NOON + hours(4))


def test_once_a_payoff_has_begun_the_card_is_never_asked_again(books: Books, amazon: ScriptedAmazon) -> None:
    trip = books.trip()
    amazon.script = replies(adjust=adjusted("DECLINED", "0"))
    for minute in (0, 30, 60):
        books.work(NOON + minutes(minute))
    assert books.charge(trip)["state"] == "IN_DEBT"
    with books.engine.begin() as connection:
        payoff.begin(
            connection, shopping_trip_id=trip, method="SANDBOX", instrument={}, asked_by="app",
            now=NOON + minutes(61),
        )  # fmt: skip
    asked = amazon.paths(trip)
    for hour in (2, 24, 47):
        books.gather(NOON + hours(hour))
        books.work(NOON + hours(hour))
    assert amazon.paths(trip) == asked
    assert asked.count("adjust") == 3
