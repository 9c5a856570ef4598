"""Above the limit a second person decides; who asked never does, in the code and in the database."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from backroom.refunds.deciding import approve, reject
from backroom.refunds.eligibility import RefundRefused
from backroom.refunds.requesting import Request
from backroom.reviews import cases
from tests.amazon.scripted_amazon import ScriptedAmazon
from tests.refunds.conftest import NEXT_DAY, Till, hours, refund_calls


@pytest.fixture
def above(till: Till) -> Request:
    """A request that waits for a second person."""
    till.set_store(refund_approval_above=Decimal(5))
    return till.ask(till.captured(), "5.01", requested_by="Ana Li")


def test_nothing_goes_back_before_a_second_person_has_said_so(
    till: Till, amazon: ScriptedAmazon, above: Request
) -> None:
    till.look()
    till.give_back()
    assert (above.state, till.parts(above.shopping_trip_id), refund_calls(amazon)) == ("AWAITING_APPROVAL", [], [])
    done = till.approve(above, by="ben")
    assert (done.state, till.parts(above.shopping_trip_id)) == ("APPROVED", [("CAPTURE", "5.01", "DUE")])
    till.give_back()
    assert len(refund_calls(amazon)) == 1
    told = till.rows("select action, actor, reason from audit_entry where subject = :t and action like 'refund.%'"
                     " order by entry_id", t=above.shopping_trip_id)  # fmt: skip
    assert [tuple(row.values()) for row in told] == [
        ("refund.request", "Ana Li", "UNWANTED_ITEM"), ("refund.approve", "ben", "seen the goods"),
    ]  # fmt: skip


@pytest.mark.parametrize("same", ["Ana Li", "ana li", " ANA LI "])
def test_who_asked_can_not_decide(till: Till, above: Request, same: str) -> None:
    for decide in (approve, reject):
        with pytest.raises(RefundRefused, match="someone else must decide"), till.engine.begin() as connection:
            decide(connection, above.request_id, by=same, reason="fine", now=NEXT_DAY)
    assert till.request_state(above) == "AWAITING_APPROVAL"


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("decided_by = ' ANA LI', state = 'APPROVED'", "second_person"),
        ("decided_by = requested_by, state = 'REJECTED'", "second_person"),
        ("state = 'APPROVED'", "approved_by_someone"),
        ("state = 'DONE'", "approved_by_someone"),
    ],
)
def test_the_database_lets_nobody_past_the_second_person(
    till: Till, above: Request, change: str, constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), till.engine.begin() as connection:
        connection.execute(
            text(f"update refund_request set {change} where request_id = :id"),
            {"id": above.request_id},
        )


@pytest.mark.parametrize(("by", "reason", "told"), [(" ", "fine", "who decides"), ("ben", " ", "the reason")])
def test_a_decision_needs_a_name_and_a_reason(till: Till, above: Request, by: str, reason: str, told: str) -> None:
    with pytest.raises(RefundRefused, match=f"{told} is blank"), till.engine.begin() as connection:
        approve(connection, above.request_id, by=by, reason=reason, now=NEXT_DAY)
    assert till.request_state(above) == "AWAITING_APPROVAL"


def test_the_first_decision_stands(till: Till, above: Request) -> None:
    with till.engine.begin() as connection:
        assert reject(connection, above.request_id, by="ben", reason="no", now=NEXT_DAY).state == "REJECTED"
    with pytest.raises(RefundRefused, match="is REJECTED by ben; there is nothing to decide"):
        till.approve(above, by="cleo")
    assert till.parts(above.shopping_trip_id) == []


def test_what_waits_for_approval_reserves_and_what_was_rejected_does_not(till: Till, above: Request) -> None:
    trip = above.shopping_trip_id
    with pytest.raises(RefundRefused, match=r"7\.29 USD more"):
        till.ask(trip, "7.30")
    with till.engine.begin() as connection:
        reject(connection, above.request_id, by="ben", reason="no", now=NEXT_DAY)
    assert till.ask(trip, "12.30", requested_by="Ana Li").amount == Decimal("12.30")


def test_small_requests_together_need_a_second_person_too(till: Till) -> None:
    trip = till.captured()
    till.set_store(refund_approval_above=Decimal(5))
    assert [till.ask(trip, "2.50").state for _ in range(3)] == ["APPROVED", "APPROVED", "AWAITING_APPROVAL"]


def test_a_late_approval_does_not_make_the_shopper_late(till: Till) -> None:
    trip = till.captured()
    till.set_store(refund_approval_above=Decimal(5), refund_window_days=2)
    made = till.ask(trip, "6", now=NEXT_DAY + hours(23))
    assert till.approve(made, now=NEXT_DAY + hours(24 * 20)).state == "APPROVED"


def test_a_request_counts_from_when_the_shopper_asked_not_from_when_it_was_typed(till: Till) -> None:
    trip = till.captured()
    till.set_store(refund_window_days=2)
    typed = NEXT_DAY + hours(24 * 5)
    with pytest.raises(RefundRefused, match="2 days"):
        till.ask(trip, "1", now=typed)
    made = till.ask(trip, "1", now=typed, requested_at=NEXT_DAY + hours(23))
    asked_at = till.one("select requested_at from refund_request where request_id = :id", id=made.request_id)
    assert asked_at["requested_at"] == NEXT_DAY + hours(23)
    with pytest.raises(RefundRefused, match="yet to come"):
        till.ask(trip, "1", now=NEXT_DAY, requested_at=NEXT_DAY + hours(1))


def test_a_request_that_waits_is_a_case_and_its_decision_is_acted_on_once(till: Till, above: Request) -> None:
    (case,) = till.questions(above)
    assert (case["kind"], case["known"]["requested_by"], case["known"]["amount"]) == (
        "REFUND_APPROVAL", "Ana Li", "5.0100",
    )  # fmt: skip
    till.decide(case, "approve")
    assert till.request_state(above) == "AWAITING_APPROVAL", "a case itself moves no money"
    for _ in range(2):
        till.look()
    assert till.parts(above.shopping_trip_id) == [("CAPTURE", "5.01", "DUE")]
    row = till.one("select decided_by, decision_reason from refund_request where request_id = :r", r=above.request_id)
    assert row == {"decided_by": "cleo", "decision_reason": "looked it up"}
    assert [one["decision"] for one in till.questions(above)] == ["approve"]


def test_a_rejection_by_the_case_ends_the_request(till: Till, above: Request) -> None:
    till.decide(till.questions(above)[0], "reject")
    till.look()
    assert (till.request_state(above), till.parts(above.shopping_trip_id)) == ("REJECTED", [])


def test_a_decision_elsewhere_settles_the_case(till: Till, above: Request) -> None:
    till.approve(above)
    (case,) = till.questions(above)
    assert (case["decision"], case["decided_by"]) == ("SETTLED", "ben")
    till.look()
    assert till.request_state(above) == "APPROVED"


def test_who_asked_can_not_decide_by_the_case_either(till: Till, above: Request) -> None:
    (case,) = till.questions(above)
    with till.engine.begin() as connection:
        cases.decide(connection, case["case_id"], "approve", by="ana li", reason="mine", now=NEXT_DAY)
    for _ in range(2):
        till.look()
    assert till.request_state(above) == "AWAITING_APPROVAL"
    _, again = till.questions(above)
    assert "someone else must decide it" in again["known"]["not_counted"]
    till.decide(again, "approve")
    till.look()
    assert till.request_state(above) == "APPROVED"


def test_an_approval_for_which_less_is_left_by_then_is_asked_for_anew(till: Till, above: Request) -> None:
    trip = above.shopping_trip_id
    till.told(trip, "10.00", at=NEXT_DAY)  # Amazon's own staff has given back meanwhile
    till.decide(till.questions(above)[0], "approve")
    till.look()
    assert (till.request_state(above), till.parts(trip)) == ("AWAITING_APPROVAL", [])
    assert "have nothing to come from" in till.questions(above)[1]["known"]["not_counted"]
