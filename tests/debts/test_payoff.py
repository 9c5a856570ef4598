"""Paying off: by intent and outcome, under the trip's lock, never twice, never while the card may still pay."""

from __future__ import annotations

import contextlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from backroom.debts import payoff
from backroom.debts.account import NoSuchDebt
from backroom.debts.looking_up import look_up_due
from backroom.debts.payoff import PayoffRefused, PayoffState
from backroom.debts.reduction import reduce
from backroom.money import Money
from backroom.reviews import cases
from tests.charges.conftest import hours, minutes
from tests.debts.conftest import NOON, Debts, Till

PAID = ("PAID", "12.30", "12.30", "0.00", "0.00", "0.00", "0.00")
OPEN = ("OPEN", "12.30", "0.00", "0.00", "0.00", "0.00", "12.30")


@pytest.mark.parametrize("method", ["CASH", "TERMINAL"])
def test_money_taken_at_the_till_pays_the_debt_at_once(debts: Debts, method: str) -> None:
    trip = debts.owe()
    done = debts.pay(trip, method)
    assert (done.state, done.amount) == (PayoffState.PAID, Money.of("12.30", "USD"))
    assert debts.amounts(trip) == PAID
    assert debts.events(trip) == [("PAID", "12.30")]
    assert debts.debt(trip)["closed_at"] == NOON
    audit = debts.rows("select action, actor from audit_entry where subject = :trip order by entry_id", trip=trip)
    assert [(row["action"], row["actor"]) for row in audit] == [
        ("debt.payoff.begin", "till-1"),
        ("debt.payoff.paid", "debts"),
    ]


def test_a_processor_is_asked_once_between_the_intent_and_the_outcome(debts: Debts) -> None:
    trip, till = debts.owe(), Till()
    done = debts.pay(trip, "SANDBOX", port=till)
    assert (done.state, till.asked) == (PayoffState.PAID, [done.reference])
    assert done.processor_reference == f"p-{done.reference}"
    assert debts.amounts(trip) == PAID


def test_a_declined_payoff_leaves_the_debt_and_another_may_be_tried(debts: Debts) -> None:
    trip, till = debts.owe(), Till(["DECLINED", "NOT_SENT", "PAID"])
    states = [debts.pay(trip, "SANDBOX", port=till).state for _ in range(2)]
    assert states == [PayoffState.DECLINED, PayoffState.NOT_SENT]
    assert debts.amounts(trip) == OPEN
    assert debts.pay(trip, "SANDBOX", port=till).state is PayoffState.PAID
    assert len(set(till.asked)) == 3


@pytest.mark.parametrize("state", ["DUE", "ADJUST_PENDING", "AUTHORIZED", "UNKNOWN", "CAPTURE_INITIATED"])
def test_it_is_refused_while_the_card_may_still_pay(debts: Debts, state: str) -> None:
    trip = debts.owe(state=state)
    with pytest.raises(PayoffRefused, match=state):
        debts.pay(trip)
    assert debts.rows("select * from payoff where shopping_trip_id = :trip", trip=trip) == []


def test_it_is_refused_while_someone_works_on_the_charge(debts: Debts) -> None:
    trip = debts.owe(state="CANCEL_DUE")
    debts.run(
        "update charge set lease_until = clock_timestamp() + interval '1 minute' where shopping_trip_id = :t", t=trip
    )
    with pytest.raises(PayoffRefused, match="CANCEL_DUE"):
        debts.pay(trip)
    debts.run(
        "update charge set lease_until = clock_timestamp() - interval '1 minute' where shopping_trip_id = :t", t=trip
    )
    assert debts.pay(trip).state is PayoffState.PAID


def test_it_is_refused_while_a_person_is_asked_whether_the_card_has_paid(debts: Debts) -> None:
    trip = debts.owe(state="PARKED")
    with debts.engine.begin() as connection:
        case = cases.open_case(
            connection, kind="EVIDENCE_DISAGREES", subject=trip, store_id=debts.store_id, asked_by="charges",
            question="?", known={}, choices=[("captured", ""), ("leave", "")], now=NOON,
        )  # fmt: skip
    assert case is not None
    with pytest.raises(PayoffRefused, match=f"review show {case}"):
        debts.pay(trip)
    with debts.engine.begin() as connection:
        cases.decide(connection, case, "leave", by="ann", reason="settled by post", now=NOON)
    assert debts.pay(trip).state is PayoffState.PAID


def test_where_nothing_is_owed_there_is_nothing_to_pay(debts: Debts) -> None:
    trip = debts.owe()
    debts.pay(trip)
    with pytest.raises(PayoffRefused, match="nothing is owed"):
        debts.pay(trip)
    with pytest.raises(NoSuchDebt, match="has no debt"):
        debts.pay("no-such-trip")


def test_of_many_at_once_one_pays(debts: Debts) -> None:
    trip, till, ready = debts.owe(), Till(), threading.Barrier(8)

    def try_to_pay(number: int) -> str:
        ready.wait()
        try:
            done = debts.pay(trip, "CASH") if number % 2 else debts.pay(trip, "SANDBOX", port=till)
        except PayoffRefused as error:
            return str(error)
        return done.state

    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(try_to_pay, range(8)))
    assert ended.count("PAID") == 1, ended
    assert debts.amounts(trip) == PAID
    assert len(till.asked) <= 1


@pytest.mark.parametrize("_again", range(3))
def test_a_payoff_and_news_that_the_card_has_paid_keep_the_money_once(debts: Debts, _again: int) -> None:
    trip, ready = debts.owe(), threading.Barrier(8)

    def either(number: int) -> None:
        ready.wait()
        if number % 2:
            debts.charge_says(trip, owed="0", captured="12.30")
        else:
            with contextlib.suppress(PayoffRefused, NoSuchDebt):
                debts.pay(trip)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(either, range(8)))
    paid = debts.rows("select amount from payoff where shopping_trip_id = :t and state = 'PAID'", t=trip)
    assert len(paid) <= 1
    assert debts.returns(trip) == [("CAPTURE", "12.30")] * len(paid), "what came twice goes back once"
    assert len(debts.cases(trip, "FOUND_AFTER_PAYOFF")) == len(paid), "and finance hears of it once"


def test_a_payoff_and_refunds_at_once_never_take_more_than_is_owed(debts: Debts) -> None:
    trip, ready = debts.owe(), threading.Barrier(6)

    def take(number: int) -> Decimal:
        ready.wait()
        if number == 0:
            try:
                return debts.pay(trip).amount.amount
            except PayoffRefused:
                return Decimal(0)
        with debts.engine.begin() as connection:
            connection.execute(text("select 1 from charge where shopping_trip_id = :t for update"), {"t": trip})
            return reduce(
                connection, shopping_trip_id=trip, amount=Decimal(4), source=f"refund:{number}", actor="r", now=NOON
            )

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(6))) == Decimal("12.30")
    assert debts.debt(trip)["outstanding"] == 0


def test_a_refund_of_an_unpaid_trip_reduces_its_debt_once(debts: Debts) -> None:
    trip = debts.owe()

    def by(amount: str, source: str) -> Decimal:
        with debts.engine.begin() as connection:
            asked: dict[str, Any] = {"source": source, "actor": "refunds", "now": NOON}
            return reduce(connection, shopping_trip_id=trip, amount=Decimal(amount), **asked)

    assert [by("5", "refund:1"), by("5", "refund:1"), by("20", "refund:2"), by("1", "refund:3")] == [
        Decimal(5), Decimal(5), Decimal("7.30"), 0,
    ]  # fmt: skip
    assert debts.amounts(trip) == ("PAID", "12.30", "0.00", "12.30", "0.00", "0.00", "0.00")
    assert debts.events(trip) == [("REDUCED", "5.00"), ("REDUCED", "7.30")]


def test_a_lost_answer_is_looked_up_and_never_charged_again(debts: Debts) -> None:
    trip, till = debts.owe(), Till(["LOST"])
    assert debts.pay(trip, "SANDBOX", port=till).state is PayoffState.UNKNOWN
    assert debts.amounts(trip) == OPEN
    with pytest.raises(PayoffRefused, match="outcome comes first"):
        debts.pay(trip)
    assert look_up_due(debts.engine, lambda _: till, now=NOON + minutes(4))["PAID"] == 0  # not due yet
    assert look_up_due(debts.engine, lambda _: till, now=NOON + minutes(5))["PAID"] == 1
    assert debts.amounts(trip) == PAID
    assert len(till.asked) == 1


def test_who_was_frozen_after_the_intent_asks_for_nothing(debts: Debts) -> None:
    trip, till, hours_passing = debts.owe(), Till(), itertools.count(0, 3600)
    done = payoff.pay(
        debts.engine, till, shopping_trip_id=trip, method="SANDBOX", instrument={}, asked_by="app", now=NOON,
        clock=lambda: float(next(hours_passing)),
    )  # fmt: skip
    assert (done.state, till.asked) == (PayoffState.NOT_SENT, [])


def test_a_payoff_whose_worker_died_is_looked_up(debts: Debts) -> None:
    trip, till = debts.owe(), Till()
    begun = debts.begin(trip)
    till.taken[begun.reference] = begun.amount  # the call had taken effect
    look_up_due(debts.engine, lambda _: till, now=NOON + minutes(5))
    assert debts.amounts(trip) == PAID


def test_what_the_processor_does_not_know_may_be_on_its_way_for_an_hour(debts: Debts) -> None:
    trip, till = debts.owe(), Till()
    begun = debts.begin(trip)
    look_up_due(debts.engine, lambda _: till, now=NOON + minutes(59))
    assert payoff_of(debts, begun.payoff_id)["state"] == "UNKNOWN"
    look_up_due(debts.engine, lambda _: till, now=NOON + minutes(64))
    assert payoff_of(debts, begun.payoff_id)["state"] == "NOT_SENT"
    assert debts.pay(trip, port=till, method="SANDBOX").state is PayoffState.PAID


@pytest.mark.parametrize(("decision", "amounts"), [("paid", PAID), ("not_paid", OPEN)])
def test_what_no_look_up_tells_in_time_a_person_does(debts: Debts, decision: str, amounts: tuple[str, ...]) -> None:
    trip, till = debts.owe(), Till(["NEVER"], says="UNKNOWN")
    debts.pay(trip, "SANDBOX", port=till)
    for hour in (1, 23):
        look_up_due(debts.engine, lambda _: till, now=NOON + hours(hour))
    assert debts.cases(trip, "UNKNOWN_PAYOFF") == []
    for _ in range(2):
        look_up_due(debts.engine, lambda _: till, now=NOON + hours(24))
    (case,) = debts.cases(trip, "UNKNOWN_PAYOFF")
    with debts.engine.begin() as connection:
        cases.decide(connection, case["case_id"], decision, by="ann", reason="asked the bank", now=NOON + hours(25))
    look_up_due(debts.engine, lambda _: till, now=NOON + hours(25))
    assert debts.amounts(trip) == amounts
    assert (
        debts.rows("select * from payoff where shopping_trip_id = :t and state in ('INTENDED', 'UNKNOWN')", t=trip)
        == []
    )


def test_a_case_about_a_payoff_ends_with_the_processors_word(debts: Debts) -> None:
    trip, till = debts.owe(), Till(["LOST"], says="UNKNOWN")
    debts.pay(trip, "SANDBOX", port=till)
    look_up_due(debts.engine, lambda _: till, now=NOON + hours(24))
    till.says = None
    look_up_due(debts.engine, lambda _: till, now=NOON + hours(25))
    assert [case["decision"] for case in debts.cases(trip, "UNKNOWN_PAYOFF")] == ["SETTLED"]
    assert debts.amounts(trip) == PAID


def test_a_processor_that_fails_keeps_nobody_elses_payoff_waiting(debts: Debts) -> None:
    class Broken(Till):
        def lookup(self, reference: str) -> payoff.PaymentOutcome:
            raise RuntimeError("no processor here")

    first, second = debts.owe(), debts.owe()
    till = Till()
    debts.begin(first, method="STRIPE")
    begun = debts.begin(second)
    till.taken[begun.reference] = begun.amount
    third = debts.owe()
    debts.begin(third, method="NOT SET UP")
    ports: dict[str, Till] = {"STRIPE": Broken(), "SANDBOX": till}
    look_up_due(debts.engine, lambda method: ports[method], now=NOON + minutes(5))
    assert [debts.debt(trip)["state"] for trip in (first, second, third)] == ["OPEN", "PAID", "OPEN"]


@pytest.mark.parametrize("first", ["UNKNOWN", "DECLINED", "NOT_SENT"])
def test_paid_counts_whatever_was_heard_before(debts: Debts, first: str) -> None:
    trip = debts.owe()
    begun = debts.begin(trip)
    for state in (first, "PAID", "PAID", first):
        debts.settle(begun.payoff_id, state, at=NOON + timedelta(minutes=1))
    assert debts.amounts(trip) == PAID
    assert debts.events(trip) == [("PAID", "12.30")]


def test_a_second_payment_for_one_trip_goes_back_and_finance_hears_of_it(debts: Debts) -> None:
    trip = debts.owe()
    lost = debts.begin(trip)
    debts.settle(lost.payoff_id, "NOT_SENT")
    debts.pay(trip)
    debts.settle(lost.payoff_id, "PAID", at=NOON + hours(2))  # a webhook, late
    assert debts.amounts(trip) == ("PAID", "12.30", "24.60", "0.00", "0.00", "12.30", "0.00")
    assert debts.events(trip) == [("PAID", "12.30"), ("PAID", "12.30"), ("PAYOFF_RETURNED", "12.30")]
    assert debts.returns(trip) == [(f"PAYOFF:{lost.payoff_id}", "12.30")]
    (case,) = debts.cases(trip, "FOUND_AFTER_PAYOFF")
    assert case["known"]["given_back"] == "12.3000 USD"


def payoff_of(debts: Debts, payoff_id: int) -> dict[str, Any]:
    return debts.one("select * from payoff where payoff_id = :id", id=payoff_id)
