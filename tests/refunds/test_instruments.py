"""Back to where it came from: payoffs, the till, money that came although nothing was owed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.debts import payoff
from backroom.debts.payoff import PaymentOutcome, PayoffState
from backroom.money import Money
from backroom.refunds.channels import ProcessorAnswer
from backroom.refunds.eligibility import RefundRefused
from backroom.refunds.evidence import settled_by_processor
from backroom.refunds.looking_up import look_up_begun, stores_with_begun
from backroom.refunds.requesting import Request, request_return
from tests.amazon.scripted_amazon import ScriptedAmazon, adjusted, refused, replies
from tests.refunds.conftest import NEXT_DAY, NOON, Till, hours, minutes, refund_calls


class Card:
    """A processor that takes money at once and gives it back as it is told to."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, str]] = []
        self.ended: bool | None = None

    def pay(self, reference: str, amount: Money, instrument: Mapping[str, Any]) -> PaymentOutcome:
        return PaymentOutcome(PayoffState.PAID, processor_reference=f"pay-{amount.amount:.2f}")

    def lookup(self, reference: str) -> PaymentOutcome:
        raise AssertionError("nobody asks")

    def refund(self, reference: str, processor_reference: str, amount: Money) -> ProcessorAnswer:
        self.asked.append((reference, processor_reference, f"{amount.amount:.2f}"))
        match self.answers.pop(0) if self.answers else "DONE":
            case "UNKNOWN":
                return ProcessorAnswer(Answer(Outcome.UNKNOWN, Problem.TIMED_OUT))
            case "NOT SENT":
                return ProcessorAnswer(Answer(Outcome.NOT_SENT, Problem.UNREACHABLE))
            case "DECLINED":
                return ProcessorAnswer(Answer(Outcome.REFUSED, Problem.BAD_REQUEST, message="DECLINED: no"))
            case "PENDING":
                return ProcessorAnswer(Answer(Outcome.SUCCEEDED), final=False, processor_reference="re-1")
        return ProcessorAnswer(Answer(Outcome.SUCCEEDED), final=True, processor_reference="re-1")

    def became(self, reference: str, processor_reference: str) -> bool | None:
        return self.ended


@pytest.fixture
def unpaid(till: Till, amazon: ScriptedAmazon) -> str:
    """A trip of 12.30, of which the card paid 8.00."""
    amazon.script = replies(adjust=adjusted("APPROVED", "8.00"))
    trip = till.sold(("1", "12.30"))
    till.capture(trip)
    return trip


def pay_off(till: Till, trip: str, method: str = "CASH", card: Card | None = None) -> int:
    return payoff.pay(
        till.engine, card, shopping_trip_id=trip, method=method, instrument={}, asked_by="a test", now=NEXT_DAY
    ).payoff_id


@pytest.mark.parametrize(
    ("choice", "ended", "state"), [("paid_back", "FINAL", "DONE"), ("not_paid_back", "REFUSED", "DONE")]
)
def test_what_was_paid_at_the_till_is_given_back_there_by_hand(
    till: Till, amazon: ScriptedAmazon, unpaid: str, choice: str, ended: str, state: str
) -> None:
    number = pay_off(till, unpaid)
    made = till.ask(unpaid, "12.30")
    assert till.parts(unpaid) == [("CAPTURE", "8.00", "DUE"), (f"PAYOFF:{number}", "4.30", "PARKED")]
    till.give_back()
    assert [call["amount"]["amount"] for call in refund_calls(amazon)] == [8], "Amazon is asked for its part only"
    (case,) = till.questions(made)
    assert (case["kind"], case["known"]["amount"]) == ("PAY_BACK_BY_HAND", "4.3000")
    till.decide(case, choice)
    till.told(unpaid, "8.00", at=NEXT_DAY + minutes(5))
    till.look(NEXT_DAY + minutes(10))
    assert till.parts(unpaid) == [("CAPTURE", "8.00", "FINAL"), (f"PAYOFF:{number}", "4.30", ended)]
    assert till.request_state(made) == state


def test_a_refund_by_hand_is_not_retried_by_a_machine(till: Till, unpaid: str) -> None:
    from backroom.refunds.decisions import retry

    pay_off(till, unpaid, "TERMINAL")
    made = till.ask(unpaid, "12.30")
    by_hand = made.parts[-1].refund_id
    with pytest.raises(RefundRefused, match="by hand"), till.engine.begin() as connection:
        retry(connection, by_hand, by="ben", reason="again", now=NEXT_DAY)
    assert [case["decision"] for case in till.questions(made)] == [None], "the case stays open"


def test_a_payoff_by_a_processor_is_given_back_by_it_under_one_key(
    till: Till, amazon: ScriptedAmazon, unpaid: str
) -> None:
    card = Card("NOT SENT", "UNKNOWN", "DONE")
    number = pay_off(till, unpaid, "SANDBOX", card)
    made = till.ask(unpaid, "12.30")
    for hour in range(4):
        till.give_back(NEXT_DAY + hours(hour), processors={"SANDBOX": card})
    assert [(payment, amount) for _, payment, amount in card.asked] == [("pay-4.30", "4.30")] * 3
    assert {key for key, _, _ in card.asked} == {made.parts[1].refund_request_key}
    assert till.parts(unpaid) == [("CAPTURE", "8.00", "INITIATED"), (f"PAYOFF:{number}", "4.30", "FINAL")]


def test_a_processor_that_is_not_set_up_keeps_its_refunds_waiting_and_no_others(
    till: Till, amazon: ScriptedAmazon, unpaid: str
) -> None:
    pay_off(till, unpaid, "SANDBOX", Card())
    till.ask(unpaid, "12.30")
    amazon.script = replies()
    other = till.captured()
    till.ask(other, "1")
    for hour in range(4):
        till.give_back(NEXT_DAY + hours(hour))
    assert [state for _, _, state in till.parts(unpaid)] == ["INITIATED", "DUE"]
    assert till.parts(other) == [("CAPTURE", "1.00", "INITIATED")]


def test_a_refund_that_a_processor_has_begun_is_looked_up_until_it_has_ended(till: Till, unpaid: str) -> None:
    card = Card("PENDING")
    pay_off(till, unpaid, "SANDBOX", card)
    made = till.ask(unpaid, "12.30")
    ports = {"SANDBOX": card}
    for hour in range(2):
        till.give_back(NEXT_DAY + hours(hour), processors=ports)
    with till.engine.connect() as connection:
        assert till.store_id in stores_with_begun(connection)
    look: dict[str, Any] = {"store_id": till.store_id, "now": NEXT_DAY + hours(3)}
    assert look_up_begun(till.engine, {}, **look) == {"not asked": 1}
    assert look_up_begun(till.engine, ports, **look) == {"waiting": 1}
    card.ended = True
    assert look_up_begun(till.engine, ports, **look) == {"given back": 1}
    assert [state for _, _, state in till.parts(unpaid)] == ["INITIATED", "FINAL"]
    assert till.questions(made) == []


@pytest.mark.parametrize("answer", ["PENDING", "DONE"])
def test_a_refund_that_fails_after_it_had_begun_is_undone_and_a_person_is_asked(
    till: Till, unpaid: str, answer: str
) -> None:
    card = Card(answer)
    pay_off(till, unpaid, "SANDBOX", card)
    made = till.ask(unpaid, "12.30")
    for hour in range(2):
        till.give_back(NEXT_DAY + hours(hour), processors={"SANDBOX": card})
    key = made.parts[1].refund_request_key
    for _ in range(2):
        with till.engine.begin() as connection:
            assert settled_by_processor(connection, key, given_back=False, source="webhook:1", now=NEXT_DAY + hours(3))
    till.post()
    assert [state for _, _, state in till.parts(unpaid)] == ["INITIATED", "PARKED"]
    (case,) = till.questions(made)
    assert (case["kind"], case["known"]["told_by"]) == ("REFUND_REFUSED", "webhook:1")
    till.decide(case, "given_otherwise", now=NEXT_DAY + hours(4))
    till.look(NEXT_DAY + hours(5))
    assert [state for _, _, state in till.parts(unpaid)] == ["INITIATED", "FINAL"]
    assert [kind for kind, amount in till.happened(unpaid) if amount == "4.30"][-2:] == ["REVERSED", "FINAL"]


def test_news_of_a_refund_that_is_not_ours_is_nobodys(till: Till) -> None:
    with till.engine.begin() as connection:
        assert not settled_by_processor(connection, "unknown", given_back=True, source="webhook:1", now=NEXT_DAY)


def test_a_refund_that_waits_for_a_payoff_goes_where_that_ends(till: Till, unpaid: str) -> None:
    with till.engine.begin() as connection:
        begun = payoff.begin(
            connection, shopping_trip_id=unpaid, method="SANDBOX", instrument={}, asked_by="portal", now=NEXT_DAY
        )
    made = till.ask(unpaid, "5.00")
    assert till.parts(unpaid) == [("DEBT", "4.30", "WAITING"), ("CAPTURE", "0.70", "DUE")]
    with till.engine.begin() as connection:
        payoff.settle(connection, begun.payoff_id, PaymentOutcome(PayoffState.PAID), now=NEXT_DAY)
    till.look()
    assert till.parts(unpaid) == [
        ("DEBT", "4.30", "DROPPED"), ("CAPTURE", "0.70", "DUE"), ("CAPTURE", "4.30", "DUE"),
    ]  # fmt: skip
    assert till.request_state(made) == "APPROVED"


def send_back(till: Till, trip: str, amount: str, instrument: str = "CAPTURE", why: str = "paid twice") -> Request:
    with till.engine.begin() as connection:
        return request_return(
            connection, shopping_trip_id=trip, instrument=instrument, amount=Decimal(amount), why=why, now=NEXT_DAY
        )


def test_money_that_came_for_nothing_goes_back_without_window_or_approval_and_undoes_no_sale(
    till: Till, amazon: ScriptedAmazon
) -> None:
    trip = till.captured()
    till.set_store(refund_approval_above=Decimal(0), refund_window_days=0)
    made = send_back(till, trip, "5")
    assert (made.is_return, made.state, send_back(till, trip, "5")) == (True, "APPROVED", made)
    till.give_back()
    (call,) = refund_calls(amazon)
    assert (call["refundReasonCode"], call["amount"]["amount"]) == ("OTHER", 5)


def test_a_capture_that_is_found_after_the_debt_was_paid_goes_back_once(till: Till, amazon: ScriptedAmazon) -> None:
    trip = till.sold(("1", "12.30"))
    till.work()
    till.event(trip, "CaptureDeclined", "12.30", at=NOON + minutes(20))
    till.gather(NOON + minutes(21))
    pay_off(till, trip)
    till.event(trip, "CaptureApproved", "12.30", at=NEXT_DAY)
    till.gather(NEXT_DAY)
    (contradiction,) = till.cases(trip)
    till.decide(contradiction, "captured")
    for hour in range(3):
        till.gather(NEXT_DAY + hours(hour))
        till.look(NEXT_DAY + hours(hour))
        till.give_back(NEXT_DAY + hours(hour))
    assert till.parts(trip) == [("CAPTURE", "12.30", "INITIATED")]
    (call,) = refund_calls(amazon)
    assert (call["amount"]["amount"], call["refundReasonCode"]) == (Decimal("12.3"), "OTHER")
    assert [case["kind"] for case in till.cases(trip)][1:] == ["FOUND_AFTER_PAYOFF"]
    with pytest.raises(RefundRefused, match=r"12\.30 USD more"):  # what was paid at the till
        till.ask(trip, "12.31")


def test_a_return_that_its_instrument_can_not_give_is_told_never_raised(till: Till) -> None:
    trip = till.captured()
    till.ask(trip, "10")
    made = send_back(till, trip, "5")
    assert till.parts(trip) == [("CAPTURE", "10.00", "DUE"), ("CAPTURE", "2.30", "DUE")]
    (case,) = till.questions(made)
    assert (case["kind"], case["known"]["left_over"]) == ("REFUND_LEFT_OVER", "2.7000 USD")
    with pytest.raises(RefundRefused, match="can't be sent back"):
        send_back(till, trip, "0")


def test_what_amazons_own_staff_gave_back_is_not_given_again(till: Till) -> None:
    trip = till.captured()
    till.told(trip, "10.00", at=NEXT_DAY)
    with pytest.raises(RefundRefused, match=r"2\.30 USD more"):
        till.ask(trip, "2.31")
    till.ask(trip, "2.30")


def test_finance_hears_of_figures_that_do_not_fit(till: Till) -> None:
    trip = till.captured()
    till.ask(trip, "5")
    till.give_back()
    till.told(trip, "9.00", at=NEXT_DAY + minutes(5))
    till.look(NEXT_DAY + minutes(6))
    alerts = till.rows("select title from alert where deduplication_key = :k", k=f"refund-figures:{trip}")
    assert [row["title"] for row in alerts] == [f"Trip {trip}: Amazon gave back 4.0000 more than it was asked for"]


def test_a_lesser_figure_proves_none_of_two_refunds(till: Till) -> None:
    trip = till.captured()
    for amount in ("5", "3"):
        till.ask(trip, amount)
    for hour in range(2):
        till.give_back(NEXT_DAY + hours(hour))
    till.told(trip, "5.00", at=NEXT_DAY + hours(2))
    till.look(NEXT_DAY + hours(3))
    assert [state for _, _, state in till.parts(trip)] == ["INITIATED", "INITIATED"]
    till.told(trip, "8.00", at=NEXT_DAY + hours(4))
    till.look(NEXT_DAY + hours(5))
    assert [state for _, _, state in till.parts(trip)] == ["FINAL", "FINAL"]


def test_a_yes_that_comes_after_a_persons_no_counts_and_is_told(till: Till, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(refund=refused(400, "BadRequestException"))
    trip = till.captured()
    made = till.ask(trip, "5")
    till.give_back()
    till.decide(till.questions(made)[0], "not_given")
    till.look()
    with till.engine.begin() as connection:
        assert settled_by_processor(
            connection, made.parts[0].refund_request_key, given_back=True, source="webhook:9", now=NEXT_DAY
        )
    assert till.parts(trip) == [("CAPTURE", "5.00", "FINAL")]
    assert till.request_state(made) == "DONE"


def test_a_trip_without_a_charge_or_without_a_cart_gives_nothing_back(till: Till) -> None:
    with pytest.raises(RefundRefused, match="has no charge"):
        till.ask("no-such-trip", "1")
    trip = till.captured()
    with till.engine.begin() as connection:
        connection.execute(text("delete from purchase_line where shopping_trip_id = :t"), {"t": trip})
    with pytest.raises(RefundRefused, match="no line 1 that was charged; it has none"):
        till.ask(trip, lines=[(1, None)])
