"""A refund's way: asked for, given back by one key, final by evidence."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backroom.refunds.eligibility import RefundRefused
from tests.amazon.scripted_amazon import Reply, ScriptedAmazon, refused, replies
from tests.refunds.conftest import NEXT_DAY, Till, hours, minutes, refund_calls


def test_a_refund_is_asked_for_once_and_final_by_the_order_row(till: Till, amazon: ScriptedAmazon) -> None:
    trip = till.captured(("1", "12.30"))
    made = till.ask(trip, "5.00", reason="DAMAGED_ITEM")
    assert till.parts(trip) == [("CAPTURE", "5.00", "DUE")]
    till.give_back()
    assert till.parts(trip) == [("CAPTURE", "5.00", "INITIATED")]
    till.told(trip, "5.00", at=NEXT_DAY + minutes(5))
    till.look(NEXT_DAY + minutes(10))
    assert till.parts(trip) == [("CAPTURE", "5.00", "FINAL")]
    assert till.request_state(made) == "DONE"
    assert till.happened(trip) == [("INITIATED", "5.00"), ("FINAL", "5.00")]
    (call,) = refund_calls(amazon)
    assert call == {
        "storeId": till.store_id, "shoppingTripId": trip, "amount": {"amount": 5, "code": "USD"},
        "refundRequestId": made.parts[0].refund_request_key, "refundReasonCode": "DAMAGED_ITEM",
    }  # fmt: skip


def test_everything_goes_back_where_nothing_is_named(till: Till) -> None:
    trip = till.captured(("2", "4.00"), ("1", "8.30"))
    made = till.ask(trip)
    assert made.amount == Decimal("12.30")
    with pytest.raises(RefundRefused, match="nothing of trip"):
        till.ask(trip, "0.01")


def test_units_of_a_line_given_back_one_by_one_come_to_its_total(till: Till) -> None:
    trip = till.captured(("3", "10.00"), ("1", "2.30"))
    given = [till.ask(trip, lines=[(1, Decimal(1))]).amount for _ in range(3)]
    assert given == [Decimal("3.33"), Decimal("3.33"), Decimal("3.34")]
    with pytest.raises(RefundRefused, match="0 of 3 can go back"):
        till.ask(trip, lines=[(1, Decimal(1))])


def test_the_reconciliation_id_is_kept(till: Till, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(refund=Reply(body={"reconciliationId": "rec-7"}))
    trip = till.captured()
    till.ask(trip, "1")
    till.give_back()
    assert till.one("select * from refund where shopping_trip_id = :t", t=trip)["reconciliation_id"] == "rec-7"


def test_the_same_key_asks_once_and_no_other_question(till: Till) -> None:
    trip = till.captured()
    first = till.ask(trip, "5", asked_key="ticket-1" + trip)
    assert till.ask(trip, "5.00", asked_key="ticket-1" + trip) == first
    with pytest.raises(RefundRefused, match="something else already"):
        till.ask(trip, "6", asked_key="ticket-1" + trip)


def test_the_window_is_counted_from_the_trips_end_to_the_request(till: Till) -> None:
    trip = till.captured()
    end = NEXT_DAY - hours(24)
    with pytest.raises(RefundRefused, match="takes requests for 30 days"):
        till.ask(trip, "1", now=end + hours(30 * 24) + minutes(1))
    till.ask(trip, "1", now=end + hours(30 * 24))
    till.set_store(refund_window_days=7)
    with pytest.raises(RefundRefused, match="7 days"):
        till.ask(trip, "1", now=end + hours(8 * 24))


@pytest.mark.parametrize(
    ("amount", "reason", "match"),
    [
        ("12.31", "OTHER", "can give back 12.30 USD more, not 12.31"),
        ("0", "OTHER", "above zero"),
        ("-1", "OTHER", "above zero"),
        ("1.001", "OTHER", "more places"),
        ("1", "BORED", "not a reason"),
    ],
)
def test_what_can_not_be_asked_for_is_told_and_makes_nothing(till: Till, amount: str, reason: str, match: str) -> None:
    trip = till.captured()
    with pytest.raises(RefundRefused, match=match):
        till.ask(trip, amount, reason=reason)
    assert till.rows("select * from refund_request where shopping_trip_id = :t", t=trip) == []


def test_a_refund_waits_until_its_capture_is_final(till: Till, amazon: ScriptedAmazon) -> None:
    trip = till.sold(("1", "12.30"))
    made = till.ask(trip, "5")
    till.look()
    till.give_back()
    assert till.parts(trip) == [("CAPTURE", "5.00", "WAITING")]
    till.capture(trip, at=NEXT_DAY)
    till.look(NEXT_DAY + minutes(30))
    assert till.parts(trip) == [("CAPTURE", "5.00", "DUE")]
    till.give_back(NEXT_DAY + minutes(30))
    assert till.parts(trip) == [("CAPTURE", "5.00", "INITIATED")]
    assert [call["refundRequestId"] for call in refund_calls(amazon)] == [made.parts[0].refund_request_key]


def test_what_waits_for_a_capture_that_is_declined_comes_off_the_debt(till: Till, amazon: ScriptedAmazon) -> None:
    trip = till.sold(("1", "12.30"))
    made = till.ask(trip, "5")
    till.work(NEXT_DAY)
    till.event(trip, "CaptureDeclined", "12.30", at=NEXT_DAY + minutes(20))
    till.gather(NEXT_DAY + minutes(21))
    till.look(NEXT_DAY + minutes(25))
    assert till.parts(trip) == [("CAPTURE", "5.00", "DROPPED"), ("DEBT", "5.00", "FINAL")]
    debt = till.debt(trip)
    assert debt is not None
    assert (debt["reduced"], debt["outstanding"]) == (Decimal(5), Decimal("7.30"))
    assert till.happened(trip) == [("DEBT_REDUCED", "5.00")]
    assert till.request_state(made) == "DONE"
    assert refund_calls(amazon) == []


def test_an_open_debt_is_reduced_before_money_goes_back(till: Till, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(
        adjust=Reply(body={"status": "APPROVED", "authorizedAmount": {"amount": 10, "code": "USD"}})
    )
    trip = till.sold(("1", "12.30"))
    till.capture(trip)
    till.ask(trip, "4")
    assert till.parts(trip) == [("DEBT", "2.30", "FINAL"), ("CAPTURE", "1.70", "DUE")]
    with pytest.raises(RefundRefused, match=r"8\.30 USD more"):
        till.ask(trip, "8.31")


def test_goods_that_came_back_return_to_the_stock_once(till: Till) -> None:
    trip = till.captured(("3", "10.00"))
    till.ask(trip, lines=[(1, Decimal(2))], goods_returned=True)
    moved = till.rows(
        "select kind, quantity from stock_moved where source = :t and store_id = :s order by kind",
        t=trip, s=till.store_id,
    )  # fmt: skip
    assert [(row["kind"], row["quantity"]) for row in moved] == [("RETURN", 2), ("SALE", -3)]


def test_a_store_that_trusts_answers_needs_no_evidence(till: Till) -> None:
    trip = till.captured()
    till.set_store(trust_capture_answer=True)
    till.ask(trip, "5")
    till.give_back()
    assert till.parts(trip) == [("CAPTURE", "5.00", "FINAL")]


def test_a_refusal_parks_and_is_never_lost(till: Till, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(refund=refused(400, "BadRequestException"))
    trip = till.captured()
    made = till.ask(trip, "5")
    till.give_back()
    till.give_back(NEXT_DAY + hours(1))
    assert till.parts(trip) == [("CAPTURE", "5.00", "PARKED")]
    (case,) = till.questions(made)
    assert (case["kind"], case["known"]["message"]) == ("REFUND_REFUSED", "BadRequestException")
    assert len(refund_calls(amazon)) == 1, "a 400 is not tried again as it is"
    with pytest.raises(RefundRefused, match=r"7\.30 USD more"):
        till.ask(trip, "12.30")
    till.decide(case, "not_given")
    till.look()
    assert till.parts(trip) == [("CAPTURE", "5.00", "REFUSED")]
    assert till.request_state(made) == "FAILED"
    till.ask(trip, "12.30")


def test_an_unknown_outcome_is_repeated_by_the_same_key(till: Till, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(refund=[Reply(drop=True), Reply(503), Reply()])
    trip = till.captured()
    till.ask(trip, "5")
    for hour in range(4):
        till.give_back(NEXT_DAY + hours(hour))
    assert till.parts(trip) == [("CAPTURE", "5.00", "INITIATED")]
    assert till.tries(trip) == ["UNKNOWN", "UNKNOWN", "SUCCEEDED"]
    assert len({call["refundRequestId"] for call in refund_calls(amazon)}) == 1
    assert till.happened(trip) == [("INITIATED", "5.00")]


def test_no_other_refund_of_a_trip_is_tried_while_one_is_unknown(till: Till, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(refund=Reply(drop=True))
    trip = till.captured()
    first = till.ask(trip, "5")
    till.give_back()
    till.ask(trip, "1")
    till.give_back(NEXT_DAY)
    till.give_back(NEXT_DAY + hours(2))
    keys = {call["refundRequestId"] for call in refund_calls(amazon)}
    assert keys == {first.parts[0].refund_request_key}


def test_a_refusal_after_an_unknown_outcome_leaves_it_in_doubt(till: Till, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(refund=[Reply(drop=True), refused(400, "BadRequestException")])
    trip = till.captured()
    made = till.ask(trip, "5")
    till.give_back()
    till.give_back(NEXT_DAY + hours(2))
    assert till.parts(trip) == [("CAPTURE", "5.00", "PARKED")]
    assert [case["kind"] for case in till.questions(made)] == ["UNKNOWN_REFUND"]
    till.told(trip, "5.00", at=NEXT_DAY + minutes(1))
    till.look(NEXT_DAY + hours(3))
    assert till.parts(trip) == [("CAPTURE", "5.00", "FINAL")]
    assert [case["decision"] for case in till.questions(made)] == ["SETTLED"]


def test_what_stays_unknown_until_the_deadline_goes_to_a_person(till: Till, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(refund=Reply(500))
    trip = till.captured()
    made = till.ask(trip, "5")
    for hour in range(0, 30, 2):
        till.look(NEXT_DAY + hours(hour))
        till.give_back(NEXT_DAY + hours(hour))
    assert till.parts(trip) == [("CAPTURE", "5.00", "PARKED")]
    (case,) = till.questions(made)
    assert case["kind"] == "UNKNOWN_REFUND"
    till.decide(case, "ask_again", now=NEXT_DAY + hours(40))
    amazon.script = replies(refund=Reply())
    till.look(NEXT_DAY + hours(40))
    till.give_back(NEXT_DAY + hours(40))
    assert till.parts(trip) == [("CAPTURE", "5.00", "INITIATED")]
    assert len({call["refundRequestId"] for call in refund_calls(amazon)}) == 1


def test_a_refund_begun_without_evidence_by_the_deadline_goes_to_a_person(till: Till) -> None:
    trip = till.captured()
    made = till.ask(trip, "5")
    till.give_back()
    till.look(NEXT_DAY + hours(49))
    (case,) = till.questions(made)
    assert case["kind"] == "UNCONFIRMED_REFUND"
    till.decide(case, "not_refunded", now=NEXT_DAY + hours(50))
    till.look(NEXT_DAY + hours(50))
    assert till.happened(trip) == [("INITIATED", "5.00"), ("REVERSED", "5.00")]
    assert till.parts(trip) == [("CAPTURE", "5.00", "REFUSED")]


def test_a_429_holds_everyone_for_as_long_as_it_says(till: Till, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(refund=[refused(429, "Too Many Requests", Retry_After="600"), Reply()])
    first, second = till.captured(), till.captured()
    till.ask(first, "5")
    till.ask(second, "5")
    assert till.give_back(concurrency=1).held_until is not None
    till.give_back(NEXT_DAY + minutes(9))
    assert len(refund_calls(amazon)) == 1
    till.give_back(NEXT_DAY + minutes(11))
    assert till.parts(first) == till.parts(second) == [("CAPTURE", "5.00", "INITIATED")]


def test_a_403_holds_the_store_alone_and_nothing_is_lost(till: Till, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(refund=[refused(403, "Forbidden"), Reply()])
    trip = till.captured()
    till.ask(trip, "5")
    till.give_back()
    till.give_back(NEXT_DAY + minutes(10))
    assert till.parts(trip) == [("CAPTURE", "5.00", "DUE")]
    assert [row["api"] for row in till.rows("select * from api_hold")] == [f"PAYMENTS {till.store_id}"]
    till.give_back(NEXT_DAY + minutes(16))
    assert till.parts(trip) == [("CAPTURE", "5.00", "INITIATED")]
    assert till.rows("select * from alert where deduplication_key like 'refunds-not-allowed:' || :s || '%'",
                     s=till.store_id)  # fmt: skip


def test_what_amazons_staff_gave_back_before_ours_was_asked_for_is_not_taken_for_ours(
    till: Till, amazon: ScriptedAmazon
) -> None:
    trip = till.captured(("1", "12.30"))
    till.told(trip, "5.00", at=NEXT_DAY - hours(5))
    till.look(NEXT_DAY - hours(4))
    amazon.script = replies(refund=Reply(drop=True))
    ours = till.ask(trip, "5.00")
    till.give_back()
    till.told(trip, "5.00", at=NEXT_DAY + minutes(30))  # the same figure, and the row was touched
    till.look(NEXT_DAY + minutes(40))
    assert till.request_state(ours) != "DONE"
    till.told(trip, "10.00", at=NEXT_DAY + hours(1))
    till.look(NEXT_DAY + hours(1) + minutes(10))
    assert till.request_state(ours) == "DONE"


def test_what_was_given_otherwise_may_be_in_amazons_figure_and_proves_no_other_refund(
    till: Till, amazon: ScriptedAmazon
) -> None:
    trip = till.captured(("1", "12.30"))
    amazon.script = replies(refund=[refused(400, "BadRequestException"), Reply(drop=True)])
    first = till.ask(trip, "5.00")
    till.give_back()
    (case,) = till.questions(first)
    till.decide(case, "given_otherwise", now=NEXT_DAY + hours(1))
    till.look(NEXT_DAY + hours(1))
    second = till.ask(trip, "5.00", now=NEXT_DAY + hours(2))
    till.give_back(NEXT_DAY + hours(2))
    till.told(trip, "5.00", at=NEXT_DAY + hours(3))  # the first, which was given on Amazon's own page
    till.look(NEXT_DAY + hours(3) + minutes(10))
    assert till.request_state(second) != "DONE"
    till.told(trip, "10.00", at=NEXT_DAY + hours(4))
    till.look(NEXT_DAY + hours(4) + minutes(10))
    assert till.request_state(second) == "DONE"
