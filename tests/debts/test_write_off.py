"""Giving up and forgiving are two things, each a person's; what was given up can still be paid."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from backroom.debts import escalation
from backroom.debts.account import NoSuchDebt
from backroom.debts.aging import age_debts
from backroom.debts.offenders import offenders
from backroom.debts.payoff import PayoffState
from backroom.debts.statements import Total, statement
from backroom.debts.write_off import WriteOffRefused, forgive, write_off
from backroom.errors import BackroomError
from backroom.reviews import cases
from tests.debts.conftest import NOON, Debts

WRITTEN_OFF = ("WRITTEN_OFF", "12.30", "0.00", "0.00", "12.30", "0.00", "0.00")


def give_up(debts: Debts, trip: str) -> Decimal:
    with debts.engine.begin() as connection:
        return write_off(connection, shopping_trip_id=trip, by="ann", reason="moved away", now=NOON)


def let_in(debts: Debts, trip: str) -> None:
    with debts.engine.begin() as connection:
        forgive(connection, shopping_trip_id=trip, by="ann", reason="an old customer", now=NOON)


def test_a_write_off_clears_what_the_books_expect_and_is_audited(debts: Debts) -> None:
    trip = debts.owe()
    assert give_up(debts, trip) == Decimal("12.30")
    assert debts.amounts(trip) == WRITTEN_OFF
    assert debts.events(trip) == [("WRITTEN_OFF", "12.30")]
    audit = debts.one("select * from audit_entry where subject = :trip", trip=trip)
    assert (audit["action"], audit["actor"], audit["reason"]) == ("debt.write_off", "ann", "moved away")


def test_what_was_given_up_and_is_paid_after_all_is_recovered(debts: Debts) -> None:
    trip = debts.owe()
    give_up(debts, trip)
    assert debts.pay(trip).state is PayoffState.PAID
    assert debts.events(trip) == [("WRITTEN_OFF", "12.30"), ("RECOVERED", "12.30")]
    assert debts.amounts(trip) == ("PAID", "12.30", "12.30", "0.00", "0.00", "0.00", "0.00")


def test_forgiving_is_for_what_was_given_up_and_once(debts: Debts) -> None:
    trip = debts.owe()
    with pytest.raises(WriteOffRefused, match="only what was written off"):
        let_in(debts, trip)
    give_up(debts, trip)
    let_in(debts, trip)
    with pytest.raises(WriteOffRefused, match="was forgiven"):
        let_in(debts, trip)
    assert debts.debt(trip)["forgiven_at"] == NOON
    assert debts.events(trip) == [("WRITTEN_OFF", "12.30"), ("FORGIVEN", "0.00")]


def test_nothing_is_given_up_twice_nor_while_a_payoff_is_open(debts: Debts) -> None:
    trip = debts.owe()
    begun = debts.begin(trip)
    with pytest.raises(WriteOffRefused, match=f"payoff {begun.payoff_id}"):
        give_up(debts, trip)
    debts.settle(begun.payoff_id, "DECLINED")
    give_up(debts, trip)
    with pytest.raises(WriteOffRefused, match="nothing is outstanding"):
        give_up(debts, trip)
    with pytest.raises(NoSuchDebt):
        give_up(debts, "no-such-trip")


def escalate(debts: Debts, days: int, amount: str | None = None) -> None:
    now = NOON + timedelta(days=days)
    with debts.engine.begin() as connection:
        age_debts(connection, now=now)
        escalation.escalate(connection, days=60, amount=Decimal(amount) if amount else None, now=now)


def test_an_old_debt_is_handed_to_a_person_once(debts: Debts) -> None:
    trip = debts.owe()
    escalate(debts, 59)
    assert debts.cases(trip, "OLD_DEBT") == []
    for days in (60, 61, 90):
        escalate(debts, days)
    (case,) = debts.cases(trip, "OLD_DEBT")
    assert (case["known"]["owed_by"], case["known"]["age_days"]) == ("shopper-1", 60)
    assert debts.debt(trip)["escalated_at"] == NOON + timedelta(days=60)


def test_a_large_debt_is_handed_over_at_once(debts: Debts) -> None:
    small, large = debts.owe("99.99"), debts.owe("100")
    escalate(debts, 1, amount="100")
    assert (len(debts.cases(small, "OLD_DEBT")), len(debts.cases(large, "OLD_DEBT"))) == (0, 1)


def test_the_case_of_a_debt_that_is_paid_is_settled(debts: Debts) -> None:
    trip = debts.owe()
    escalate(debts, 60)
    debts.pay(trip)
    assert [case["decision"] for case in debts.cases(trip, "OLD_DEBT")] == ["SETTLED"]


@pytest.mark.parametrize(("decision", "state"), [("write_off", "WRITTEN_OFF"), ("keep", "OPEN")])
def test_what_the_person_decides_is_done_once(debts: Debts, decision: str, state: str) -> None:
    trip = debts.owe()
    escalate(debts, 60)
    (case,) = debts.cases(trip, "OLD_DEBT")
    with debts.engine.begin() as connection:
        cases.decide(connection, case["case_id"], decision, by="bob", reason="too old", now=NOON)
        for _ in range(2):
            escalation.apply_decisions(connection, now=NOON)
    assert debts.debt(trip)["state"] == state
    if state == "WRITTEN_OFF":
        event = debts.one("select * from debt_event where shopping_trip_id = :trip", trip=trip)
        assert (event["actor"], event["source"]) == ("bob", f"case:{case['case_id']}")


def test_a_decision_waits_for_a_payoff_that_is_under_way(debts: Debts) -> None:
    trip = debts.owe()
    escalate(debts, 60)
    (case,) = debts.cases(trip, "OLD_DEBT")
    with debts.engine.begin() as connection:
        cases.decide(connection, case["case_id"], "write_off", by="bob", reason="too old", now=NOON)
    begun = debts.begin(trip)
    with debts.engine.begin() as connection:
        assert escalation.apply_decisions(connection, now=NOON) == 0
    debts.settle(begun.payoff_id, "DECLINED")
    with debts.engine.begin() as connection:
        assert escalation.apply_decisions(connection, now=NOON) == 1
    assert debts.amounts(trip) == WRITTEN_OFF


def test_repeat_offenders_are_who_left_several_trips_unpaid_whether_paid_since_or_not(debts: Debts) -> None:
    for shopper, card, count in (("twice", None, 2), ("once", None, 1), (None, "card-thrice", 3)):
        for number in range(count):
            trip = debts.owe("10", shopper=shopper, card=card, at=NOON + timedelta(days=number))
            if number == 0:
                debts.pay(trip)
    withdrawn = debts.owe("10", shopper="once")
    debts.charge_says(withdrawn, owed="0", captured="10")
    with debts.engine.connect() as connection:
        found = {row["owed_by"]: row for row in offenders(connection, at_least=2)}
    assert {name: found[name]["debts"] for name in found if name != "shopper shopper-1"} == {
        "shopper twice": 2, "card card-thrice": 3,
    }  # fmt: skip
    assert (found["shopper twice"]["open"], found["shopper twice"]["outstanding"]) == (1, Decimal(10))


def test_a_statement_tells_each_trip_and_the_sums(debts: Debts) -> None:
    paid, open_one, given_up = (debts.owe(owed, shopper="dora") for owed in ("1.10", "2.20", "3.30"))
    debts.owe("9.99", shopper="someone else", card="dora")  # an app shopper's card is not the debtor's name
    debts.pay(paid)
    give_up(debts, given_up)
    with debts.engine.connect() as connection:
        made = statement(connection, "dora", now=NOON)
        with pytest.raises(BackroomError, match="no debts"):
            statement(connection, "nobody", now=NOON)
    assert [line["shopping_trip_id"] for line in made.lines] == [paid, open_one, given_up]
    (total,) = made.totals.values()
    assert total == Total(*(Decimal(amount) for amount in ("6.60", "1.10", "0", "3.30", "2.20")))
    assert total.owed == Decimal("5.50")
