"""The life of a charge against an Amazon that answers what the test writes down."""

from __future__ import annotations

import itertools
import threading
from datetime import datetime
from decimal import Decimal

import pytest
from sqlalchemy import Connection, Engine, text

from backroom.amazon.payments import PaymentsClient
from backroom.charges import evidence
from backroom.charges.lifecycle import stores_with_due, work_due
from backroom.charges.opening import open_charge
from backroom.debts import payoff
from backroom.reviews.cases import CaseError, decide
from tests.amazon.conftest import configured
from tests.amazon.scripted_amazon import Call, Reply, ScriptedAmazon, adjusted, approve_all, refused, replies
from tests.charges.conftest import NOON, Books, add_store, hours, minutes


def decided(books: Books, trip: str, choice: str, at: datetime) -> None:
    case = next(case for case in books.cases(trip) if case["decision"] is None)
    with books.engine.begin() as connection:
        decide(connection, case["case_id"], choice, by="ana", reason="seen in the portal", now=at)
    books.gather(at)


def decided_meanwhile(books: Books, trip: str, choice: str, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person decides right after the run has looked for decisions, and before it takes in the evidence."""
    case = next(case for case in books.cases(trip) if case["decision"] is None)
    look = evidence.apply_decisions

    def then_decided(connection: Connection, *, now: datetime) -> int:
        applied = look(connection, now=now)
        with books.engine.begin() as theirs:
            decide(theirs, case["case_id"], choice, by="ana", reason="seen in the portal", now=at)
        return applied

    with monkeypatch.context() as patched:
        patched.setattr(evidence, "apply_decisions", then_decided)
        books.gather(at)


class TestWhatGoesWell:
    def test_a_cart_is_adjusted_to_its_whole_total_then_captured_and_final_by_evidence_only(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        trip = books.trip("12.30")
        books.work()
        assert amazon.paths(trip) == ["adjust", "capture"]
        assert [call.body["amount"] for call in amazon.calls] == [{"amount": Decimal("12.30"), "code": "USD"}] * 2
        assert books.charge(trip)["state"] == "CAPTURE_INITIATED"
        books.post()
        assert books.balance(trip)["card_clearing_initiated"] == Decimal("12.30")
        books.order(trip, "SETTLED", "12.30", at=NOON + minutes(20))
        books.gather(NOON + minutes(25))
        charge = books.charge(trip)
        assert (charge["state"], charge["captured"], charge["capture_initiated"]) == ("CAPTURED", Decimal("12.30"), 0)
        assert charge["next_attempt_at"] is None
        books.post()
        balance = books.balance(trip)
        assert balance["card_clearing"] == Decimal("12.30")
        assert "card_clearing_initiated" not in balance
        assert "shopper_receivable" not in balance

    def test_an_empty_cart_is_cancelled_never_captured(self, books: Books, amazon: ScriptedAmazon) -> None:
        trip = books.trip("0")
        books.work()
        assert amazon.paths(trip) == ["cancel"]
        assert books.charge(trip)["state"] == "CANCELLED"
        assert books.post() == 0

    def test_an_event_is_evidence_as_good_as_an_order_row_and_both_together_count_once(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        trip = books.trip("12.30")
        books.work()
        books.event(trip, "CaptureApproved", "12.30", at=NOON + minutes(20))
        books.order(trip, "SETTLED", "12.30", at=NOON + minutes(20))
        for _ in range(2):
            books.gather(NOON + minutes(25))
            books.post()
        assert books.charge(trip)["captured"] == Decimal("12.30")
        assert books.balance(trip)["card_clearing"] == Decimal("12.30")

    def test_nothing_is_left_to_do_when_the_batch_runs_again(self, books: Books, amazon: ScriptedAmazon) -> None:
        books.trip()
        books.work()
        assert books.work().trips == 0
        assert len(amazon.calls) == 2

    def test_a_charge_is_opened_once(self, books: Books) -> None:
        trip = books.trip("12.30")
        with books.engine.begin() as connection:
            again = open_charge(
                connection, shopping_trip_id=trip, store_id=books.store_id, currency="USD", total=Decimal(99),
                trip_started_at=NOON, now=NOON, reason="again",
            )  # fmt: skip
        assert again is False
        assert books.charge(trip)["total"] == Decimal("12.30")

    def test_the_connectors_role_may_open_a_charge_and_no_more(self, books: Books) -> None:
        with books.engine.begin() as connection:
            connection.execute(text("set local role backroom_connector"))
            assert open_charge(
                connection, shopping_trip_id=f"by-connector-{books.store_id}", store_id=books.store_id,
                currency="USD", total=Decimal(5), trip_started_at=NOON, now=NOON, reason="a cart",
            )  # fmt: skip
        with pytest.raises(Exception, match="permission denied"), books.engine.begin() as connection:
            connection.execute(text("set local role backroom_connector"))
            connection.execute(text("update charge set total = 0"))

    def test_the_pipelines_role_suffices_for_everything(self, books: Books) -> None:
        trip = books.trip()
        with books.engine.begin() as connection:
            connection.execute(text("alter role backroom_pipeline login password 'pipeline'"))
        from backroom.db.engine import make_engine

        url = books.engine.url.set(username="backroom_pipeline", password="pipeline")
        engine = make_engine(url)
        worker = Books(engine, books.store_id, books.client)
        worker.work()
        worker.order(trip, "CANCELLED", "0", at=NOON + minutes(20))
        worker.gather(NOON + minutes(25))
        worker.post()
        engine.dispose()
        assert books.charge(trip)["state"] == "IN_DEBT"


class TestDeclines:
    def test_a_decline_is_tried_again_later_then_cancelled_and_owed(self, books: Books, amazon: ScriptedAmazon) -> None:
        amazon.script = replies(adjust=adjusted("DECLINED", "0"))
        trip = books.trip("12.30")
        for minute in (0, 10, 30, 60, 61, 90):
            books.work(NOON + minutes(minute))
        assert amazon.paths(trip) == ["adjust", "adjust", "adjust", "cancel"]
        assert books.charge(trip)["state"] == "IN_DEBT"
        debt = books.debt(trip)
        assert debt is not None
        assert (debt["cause"], debt["amount"], debt["shopper_id"]) == ("ADJUST_DECLINED", Decimal("12.30"), "shopper-1")
        books.post()
        assert books.balance(trip)["bad_debt_receivable"] == Decimal("12.30")

    def test_a_later_approval_after_a_decline_is_captured_and_leaves_no_debt(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(adjust=[adjusted("DECLINED", "0"), adjusted("APPROVED", "12.30")])
        trip = books.trip("12.30")
        books.work(NOON)
        books.work(NOON + minutes(30))
        assert books.charge(trip)["state"] == "CAPTURE_INITIATED"
        assert books.debt(trip) is None

    def test_a_partial_approval_is_captured_and_the_rest_is_a_debt(self, books: Books, amazon: ScriptedAmazon) -> None:
        amazon.script = replies(adjust=adjusted("APPROVED", "10.00"))
        trip = books.trip("12.30")
        books.work()
        assert amazon.calls[1].body["amount"]["amount"] == Decimal("10.00")
        debt = books.debt(trip)
        assert debt is not None
        assert (debt["cause"], debt["amount"]) == ("PARTIAL_APPROVAL", Decimal("2.30"))
        books.order(trip, "SETTLED", "10.00", at=NOON + minutes(20))
        books.gather(NOON + minutes(25))
        assert books.charge(trip)["captured"] == Decimal("10.00")

    def test_a_capture_declined_after_it_was_begun_undoes_the_booking_and_opens_a_debt(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        trip = books.trip("12.30")
        books.work()
        books.post()
        books.order(trip, "CANCELLED", "0", at=NOON + minutes(20))
        books.event(trip, "CaptureDeclined", "12.30", at=NOON + minutes(20))
        books.gather(NOON + minutes(25))
        books.post()
        debt = books.debt(trip)
        assert debt is not None
        assert (debt["cause"], debt["amount"]) == ("CAPTURE_DECLINED", Decimal("12.30"))
        assert books.charge(trip)["state"] == "IN_DEBT"
        balance = books.balance(trip)
        assert "card_clearing_initiated" not in balance
        assert balance["bad_debt_receivable"] == Decimal("12.30")
        assert amazon.paths(trip) == ["adjust", "capture"]

    def test_a_partial_capture_that_is_then_declined_owes_the_whole_total_once(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(adjust=adjusted("APPROVED", "10.00"))
        trip = books.trip("12.30")
        books.work()
        books.order(trip, "CANCELLED", "0", at=NOON + minutes(20))
        books.gather(NOON + minutes(25))
        books.post()
        debt = books.debt(trip)
        assert debt is not None
        assert debt["amount"] == Decimal("12.30")
        assert books.balance(trip)["bad_debt_receivable"] == Decimal("12.30")

    def test_a_store_may_keep_what_the_gate_held_once_every_try_was_declined(
        self, database: Engine, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(adjust=adjusted("DECLINED", "0"))
        keeps = Books(database, f"KEEPS-{books.store_id}", books.client)
        add_store(database, keeps.store_id, after_decline="capture_preauth_once")
        trip = keeps.trip("12.30")
        for minute in (0, 30, 60):
            keeps.work(NOON + minutes(minute))
        assert amazon.paths(trip)[-1] == "capture"
        assert amazon.calls[-1].body["amount"]["amount"] == Decimal("5.00")
        debt = keeps.debt(trip)
        assert debt is not None
        assert (debt["cause"], debt["amount"]) == ("ADJUST_DECLINED", Decimal("7.30"))


class TestWaiting:
    def test_a_pending_answer_echoes_the_amount_but_holds_nothing_and_is_asked_again_later(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(adjust=[adjusted("PENDING", "12.30"), adjusted("APPROVED", "12.30")])
        trip = books.trip("12.30")
        books.work()
        charge = books.charge(trip)
        assert (charge["state"], charge["authorized"]) == ("ADJUST_PENDING", 0)
        assert NOON < charge["next_attempt_at"] <= NOON + minutes(3)
        books.work(NOON + minutes(3))
        assert amazon.paths(trip) == ["adjust", "adjust", "capture"]

    def test_pending_for_ever_goes_to_a_person_six_hours_before_the_token_ends(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(adjust=adjusted("PENDING", "12.30"))
        trip = books.trip("12.30")
        for hour in range(0, 40, 4):
            books.work(NOON + hours(hour))
        assert books.charge(trip)["next_attempt_at"] <= NOON + hours(40)
        books.work(NOON + hours(40))
        assert books.charge(trip)["state"] == "PARKED"
        assert [case["kind"] for case in books.cases(trip)] == ["UNDECIDED_AUTHORIZATION"]
        assert books.debt(trip) is None
        amazon.script = approve_all
        decided(books, trip, "ask_again", NOON + hours(41))
        books.work(NOON + hours(41))
        assert books.charge(trip)["state"] == "CAPTURE_INITIATED"

    def test_too_many_requests_stops_the_whole_store_for_as_long_as_amazon_says(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(adjust=refused(429, "Too Many Requests", Retry_After="900"))
        trips = [books.trip() for _ in range(20)]
        worked = books.work(concurrency=2)
        assert len(amazon.calls) <= 2
        assert worked.held_until == NOON + minutes(15)
        assert {books.charge(trip)["next_attempt_at"] for trip in trips} == {NOON + minutes(15)}
        assert {books.charge(trip)["state"] for trip in trips} == {"DUE"}
        amazon.script = approve_all
        assert books.work(NOON + minutes(14)).trips == 0
        assert books.work(NOON + minutes(15)).trips == 20

    def test_a_wait_of_a_second_is_waited_out_by_all_hands_of_the_batch(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(adjust=[refused(429, "Too Many Requests", Retry_After="1"), adjusted("APPROVED", "5")])
        trips = [books.trip("5.00") for _ in range(6)]
        books.work()
        assert {books.charge(trip)["state"] for trip in trips} == {"CAPTURE_INITIATED"}
        refusal = amazon.calls[0].at
        assert all(call.at - refusal < 0.2 or call.at - refusal >= 0.99 for call in amazon.calls)

    def test_a_throttled_capture_is_asked_for_once_more_since_nothing_was_done(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(capture=[refused(429, "Too Many Requests", Retry_After="60"), Reply()])
        trip = books.trip()
        books.work()
        assert books.charge(trip)["state"] == "AUTHORIZED"
        books.work(NOON + minutes(1))
        assert amazon.paths(trip) == ["adjust", "capture", "capture"]
        assert books.charge(trip)["state"] == "CAPTURE_INITIATED"

    def test_a_service_that_is_not_there_stops_the_batch_and_changes_no_charge(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        from backroom.db.embedded import free_port

        trip = books.trip()
        with PaymentsClient(configured(amazon_payments_url=f"http://127.0.0.1:{free_port()}")) as nobody:
            work_due(books.engine, nobody, store_id=books.store_id, now=NOON)
        charge = books.charge(trip)
        assert (charge["state"], charge["next_attempt_at"]) == ("DUE", NOON + minutes(1))
        assert books.attempts(trip) == [("ADJUST", "NOT_SENT")]


class TestWhatIsNotKnown:
    @pytest.mark.parametrize("lost", [Reply(500, {"errorMsg": "x"}), Reply(503), Reply(drop=True), Reply(wait=0.9)])
    def test_an_adjustment_without_an_answer_is_repeated_until_it_has_one(
        self, books: Books, amazon: ScriptedAmazon, lost: Reply
    ) -> None:
        amazon.script = replies(adjust=[lost, lost, adjusted("APPROVED", "12.30")])
        trip = books.trip("12.30")
        books.work()
        assert (books.charge(trip)["state"], amazon.paths(trip)) == ("UNKNOWN", ["adjust"])
        books.work(NOON + minutes(3))
        books.work(NOON + minutes(8))
        assert amazon.paths(trip) == ["adjust", "adjust", "adjust", "capture"]

    @pytest.mark.parametrize("lost", [Reply(500, {"errorMsg": "x"}), Reply(drop=True), Reply(wait=0.9)])
    def test_a_capture_without_an_answer_is_never_repeated_and_waits_for_evidence(
        self, books: Books, amazon: ScriptedAmazon, lost: Reply
    ) -> None:
        amazon.script = replies(capture=lost)
        trip = books.trip("12.30")
        for minute in (0, 5, 60, 120, 179):
            books.work(NOON + minutes(minute))
        assert books.charge(trip)["state"] == "UNKNOWN"
        assert amazon.paths(trip) == ["adjust", "capture"]
        books.order(trip, "SETTLED", "12.30", at=NOON + minutes(20))
        books.gather(NOON + minutes(179))
        assert books.charge(trip)["captured"] == Decimal("12.30")
        books.post()
        assert books.balance(trip)["card_clearing"] == Decimal("12.30")

    def test_an_order_row_older_than_the_attempt_is_no_evidence_of_it(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(capture=Reply(500))
        trip = books.trip("12.30")
        books.work()
        books.order(trip, "CANCELLED", "0", at=NOON - minutes(1))
        books.gather(NOON + minutes(5))
        assert books.charge(trip)["state"] == "UNKNOWN"

    def test_a_capture_without_evidence_in_time_is_parked_for_a_person(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(capture=Reply(500))
        trip = books.trip("12.30")
        books.work()
        books.work(NOON + hours(3.1))
        assert books.charge(trip)["state"] == "PARKED"
        case = books.cases(trip)[0]
        assert (case["kind"], case["known"]["capture_asked"]) == ("UNKNOWN_CAPTURE", "12.3000")
        assert amazon.paths(trip) == ["adjust", "capture"]

    def test_late_evidence_ends_a_parked_capture_and_its_case(self, books: Books, amazon: ScriptedAmazon) -> None:
        trip = books.trip("12.30")
        books.work()
        books.work(NOON + hours(3.1))
        assert books.charge(trip)["state"] == "PARKED"
        books.order(trip, "SETTLED", "12.30", at=NOON + minutes(20))
        books.gather(NOON + hours(4))
        assert books.charge(trip)["state"] == "CAPTURED"
        assert books.cases(trip)[0]["decision"] == "SETTLED"

    def test_a_person_who_saw_the_money_makes_the_capture_final(self, books: Books, amazon: ScriptedAmazon) -> None:
        amazon.script = replies(capture=Reply(500))
        trip = books.trip("12.30")
        books.work()
        books.work(NOON + hours(3.1))
        decided(books, trip, "captured", NOON + hours(4))
        assert books.charge(trip)["captured"] == Decimal("12.30")
        with pytest.raises(CaseError, match="the first decision stands"), books.engine.begin() as connection:
            decide(
                connection, books.cases(trip)[0]["case_id"], "not_captured", by="bo", reason="?", now=NOON + hours(4)
            )

    def test_a_worker_that_stood_still_for_longer_than_its_lease_makes_no_call(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        seconds = itertools.count(0, 1000)
        trip = books.trip("12.30")
        books.work(clock=lambda: float(next(seconds)), concurrency=1)
        assert amazon.paths(trip) == []
        assert books.attempts(trip) == [("ADJUST", "NOT_SENT")]
        books.work(NOON + minutes(2))
        assert amazon.paths(trip) == ["adjust", "capture"]

    def test_only_after_a_persons_word_is_a_capture_asked_for_again(self, books: Books, amazon: ScriptedAmazon) -> None:
        amazon.script = replies(capture=[Reply(500), Reply()])
        trip = books.trip("12.30")
        books.work()
        books.work(NOON + hours(3.1))
        decided(books, trip, "not_captured", NOON + hours(4))
        books.work(NOON + hours(4))
        assert amazon.paths(trip) == ["adjust", "capture", "capture"]
        assert books.charge(trip)["state"] == "CAPTURE_INITIATED"

    def test_a_person_who_saw_the_decline_makes_the_total_a_debt_and_nothing_is_asked_for_again(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        trip = books.trip("12.30")
        books.work()
        books.work(NOON + hours(3.1))
        decided(books, trip, "declined", NOON + hours(4))
        books.work(NOON + hours(5))
        assert amazon.paths(trip) == ["adjust", "capture"]
        debt = books.debt(trip)
        assert debt is not None
        assert (debt["amount"], debt["cause"]) == (Decimal("12.30"), "CAPTURE_DECLINED")

    def test_a_cancel_without_an_answer_is_repeated_or_ended_by_the_order_row(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(cancel=[Reply(500), Reply(500), Reply()])
        first, second = books.trip("0"), books.trip("0")
        books.work()
        assert books.charge(first)["state"] == "UNKNOWN"
        books.order(second, "CANCELLED", "0", at=NOON + minutes(1))
        books.gather(NOON + minutes(5))
        books.work(NOON + minutes(5))
        assert books.charge(first)["state"] == "CANCELLED"
        assert books.charge(second)["state"] == "CANCELLED"
        assert amazon.paths(second) == ["cancel"]


class TestEvidenceAfterTheEnd:
    """News that comes after a charge is final still reaches it."""

    def parked(self, books: Books, trip: str) -> None:
        for _ in range(2):
            books.gather(NOON + hours(60))
            books.post()
        assert books.charge(trip)["state"] == "PARKED"
        assert [case["kind"] for case in books.cases(trip) if case["decision"] is None] == ["EVIDENCE_DISAGREES"]

    @pytest.mark.parametrize("feed", ["event", "order"])
    def test_an_approval_after_a_decline_parks(self, books: Books, feed: str) -> None:
        trip = books.trip("12.30")
        books.work()
        books.event(trip, "CaptureDeclined", "12.30", at=NOON + minutes(20))
        books.gather(NOON + minutes(25))
        assert books.charge(trip)["state"] == "IN_DEBT"
        if feed == "event":
            books.event(trip, "CaptureApproved", "12.30", at=NOON + minutes(30))
        else:
            books.order(trip, "SETTLED", "12.30", at=NOON + minutes(30))
        self.parked(books, trip)

    def test_an_approval_after_a_persons_no_and_the_tokens_end_parks(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(capture=[Reply(500), refused(400, "ShoppingTripExpiredException")])
        trip = books.trip("12.30")
        books.work()
        books.work(NOON + hours(3.1))
        decided(books, trip, "not_captured", NOON + hours(4))
        books.work(NOON + hours(4))
        assert books.charge(trip)["state"] == "IN_DEBT"
        books.event(trip, "CaptureApproved", "12.30", at=NOON + hours(5))
        self.parked(books, trip)

    def test_a_capture_of_a_trip_that_was_cancelled_parks(self, books: Books) -> None:
        trip = books.trip("0")
        books.work()
        assert books.charge(trip)["state"] == "CANCELLED"
        books.order(trip, "SETTLED", "5.00", at=NOON + minutes(20))
        self.parked(books, trip)

    @pytest.mark.parametrize("together", [True, False])
    def test_a_second_approval_of_its_own_parks(self, books: Books, together: bool) -> None:
        trip = books.trip("12.30")
        books.work()
        books.event(trip, "CaptureApproved", "12.30", at=NOON + minutes(20))
        if not together:
            books.gather(NOON + minutes(25))
            assert books.charge(trip)["state"] == "CAPTURED"
        books.event(trip, "CaptureApproved", "12.30", at=NOON + minutes(30))
        self.parked(books, trip)

    def test_an_order_row_with_another_amount_parks_once_and_a_persons_word_stays(self, books: Books) -> None:
        trip = books.trip("12.30")
        books.work()
        books.order(trip, "SETTLED", "5.00", at=NOON + minutes(20))
        books.gather(NOON + minutes(25))
        assert books.charge(trip)["captured"] == Decimal("5.00")
        books.order(trip, "SETTLED", "12.30", at=NOON + minutes(40))
        self.parked(books, trip)
        decided(books, trip, "not_captured", NOON + hours(61))
        books.order(trip, "SETTLED", "12.30", at=NOON + hours(62))
        books.gather(NOON + hours(63))
        assert books.charge(trip)["state"] == "IN_DEBT"

    def test_a_cancelled_order_after_a_persons_yes_is_asked_about_once(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(capture=Reply(500))
        trip = books.trip("12.30")
        books.work()
        books.work(NOON + hours(3.1))
        decided(books, trip, "captured", NOON + hours(4))
        books.order(trip, "CANCELLED", "0", at=NOON + hours(5))
        books.gather(NOON + hours(6))
        assert books.charge(trip)["state"] == "PARKED"
        decided(books, trip, "not_captured", NOON + hours(7))
        books.order(trip, "CANCELLED", "0", at=NOON + hours(8))
        books.gather(NOON + hours(9))
        assert books.charge(trip)["state"] == "IN_DEBT"
        assert [case["kind"] for case in books.cases(trip)] == ["UNKNOWN_CAPTURE", "EVIDENCE_DISAGREES"]

    def test_a_cancelled_order_beside_the_one_that_shows_the_capture_says_nothing(self, books: Books) -> None:
        trip = books.trip("12.30")
        books.work()
        books.order(trip, "SETTLED", "12.30", at=NOON + minutes(20))
        books.gather(NOON + minutes(25))
        books.order(trip, "CANCELLED", "0", at=NOON + minutes(40), order_id=f"second-{trip}")
        books.gather(NOON + minutes(45))
        assert (books.charge(trip)["state"], books.cases(trip)) == ("CAPTURED", [])

    def test_the_same_capture_told_by_both_feeds_at_any_time_changes_nothing(self, books: Books) -> None:
        trip = books.trip("12.30")
        books.work()
        books.order(trip, "SETTLED", "12.30", at=NOON + minutes(20))
        books.gather(NOON + minutes(25))
        books.event(trip, "CaptureApproved", "12.30", at=NOON + minutes(21))
        for minute in (40, 60, 80):
            books.order(trip, "SETTLED", "12.30", at=NOON + minutes(minute))
            books.gather(NOON + minutes(minute + 5))
        assert (books.charge(trip)["state"], books.cases(trip)) == ("CAPTURED", [])
        assert books.kinds(trip).count("CAPTURE_APPROVED") == 2

    @pytest.mark.parametrize("amount", ["1e30", "123456789012.00", "12.30001", '"NaN"', '"much"', "null"])
    def test_an_amount_that_no_column_can_hold_parks_its_trip_alone(self, books: Books, amount: str) -> None:
        odd, plain = books.trip("12.30"), books.trip("12.30")
        books.work()
        books.event(odd, "CaptureApproved", amount, at=NOON + minutes(20))
        books.event(plain, "CaptureApproved", "12.30", at=NOON + minutes(20))
        self.parked(books, odd)
        assert books.charge(plain)["state"] == "CAPTURED"


class TestRefusals:
    def test_an_expired_token_before_any_capture_is_a_debt(self, books: Books, amazon: ScriptedAmazon) -> None:
        amazon.script = replies(adjust=refused(400, "ShoppingTripExpiredException"))
        trip = books.trip("12.30", started_at=NOON - hours(47))
        books.work()
        assert books.charge(trip)["state"] == "IN_DEBT"
        debt = books.debt(trip)
        assert debt is not None
        assert (debt["cause"], debt["amount"]) == ("TOKEN_EXPIRED", Decimal("12.30"))

    def test_an_expired_token_after_a_capture_without_an_answer_leaves_it_unknown(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        amazon.script = replies(capture=[Reply(drop=True), refused(400, "ShoppingTripExpiredException")])
        trip = books.trip("12.30", started_at=NOON - hours(45.9))
        books.work()
        books.work(NOON + minutes(20))
        assert books.charge(trip)["state"] == "UNKNOWN"
        assert books.debt(trip) is None

    @pytest.mark.parametrize("message", ["UnknownShoppingTrip", "BadRequestException", "something else"])
    def test_a_refusal_that_is_our_problem_is_parked_with_an_alert_and_no_debt(
        self, books: Books, amazon: ScriptedAmazon, message: str
    ) -> None:
        amazon.script = replies(adjust=refused(400, message))
        trip = books.trip()
        books.work()
        assert books.charge(trip)["state"] == "PARKED"
        assert books.debt(trip) is None
        assert books.cases(trip)[0]["known"]["message"] == message
        alert = books.one("select * from alert where store_id = :store", store=books.store_id)
        assert alert["severity"] == "critical"

    def test_an_answer_with_what_no_column_can_hold_is_kept_and_parks_like_any_other(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        strange = "Bad\0Request \ud800"
        amazon.script = replies(adjust=Reply(400, {"errorMsg": strange, strange: [10**30, strange]}))
        trip = books.trip("12.30")
        books.work()
        assert books.attempts(trip) == [("ADJUST", "REFUSED")]
        assert (books.charge(trip)["state"], books.cases(trip)[0]["kind"]) == ("PARKED", "REFUSED_BY_AMAZON")

    def test_a_store_that_is_not_allow_listed_stops_at_once(self, books: Books, amazon: ScriptedAmazon) -> None:
        amazon.script = replies(adjust=refused(403, "Forbidden"))
        trips = [books.trip() for _ in range(10)]
        books.work(concurrency=1)
        assert len(amazon.calls) == 1
        assert sorted(books.charge(trip)["state"] for trip in trips) == ["DUE"] * 9 + ["PARKED"]

    def test_what_was_refused_goes_on_once_the_reason_is_mended(self, books: Books, amazon: ScriptedAmazon) -> None:
        amazon.script = replies(adjust=[refused(403, "Forbidden"), adjusted("APPROVED", "12.30")])
        trip = books.trip("12.30")
        books.work()
        decided(books, trip, "ask_again", NOON + minutes(30))
        books.work(NOON + minutes(30))
        assert books.charge(trip)["state"] == "CAPTURE_INITIATED"


class TestOtherWords:
    @pytest.mark.parametrize("told", ["AuthorizationApproved", "AuthorizationDeclined"])
    def test_amazons_word_on_a_pending_authorization_makes_us_ask_again_at_once(
        self, books: Books, amazon: ScriptedAmazon, told: str
    ) -> None:
        amazon.script = replies(adjust=[adjusted("PENDING", "12.30"), adjusted("APPROVED", "12.30")])
        trip = books.trip("12.30")
        books.event(trip, told, "5.00", at=NOON - minutes(1))  # the gate's own hold
        books.work()
        due = books.charge(trip)["next_attempt_at"]
        books.gather(NOON)
        assert books.charge(trip)["next_attempt_at"] == due > NOON
        books.event(trip, told, "12.30", at=NOON + minutes(0.001))
        books.gather(NOON + minutes(0.001))
        books.work(NOON + minutes(0.001))
        assert amazon.paths(trip) == ["adjust", "adjust", "capture"]

    def test_a_store_without_feeds_may_trust_the_answer_to_a_capture(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        trusting = Books(books.engine, f"{books.store_id}-trusts", books.client)
        add_store(books.engine, trusting.store_id)
        with books.engine.begin() as connection:
            connection.execute(
                text("update store set feeds = '{}', trust_capture_answer = true where store_id = :store"),
                {"store": trusting.store_id},
            )
        trip, other = trusting.trip("12.30"), books.trip("12.30")
        trusting.work()
        books.work()
        assert (trusting.charge(trip)["state"], trusting.charge(trip)["captured"]) == ("CAPTURED", Decimal("12.30"))
        assert books.charge(other)["state"] == "CAPTURE_INITIATED"
        books.post()
        assert trusting.balance(trip)["card_clearing"] == Decimal("12.30")

    def test_a_trusting_store_still_waits_for_evidence_where_a_capture_was_not_answered(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        with books.engine.begin() as connection:
            connection.execute(
                text("update store set trust_capture_answer = true where store_id = :store"), {"store": books.store_id}
            )
        amazon.script = replies(capture=Reply(500))
        trip = books.trip("12.30")
        books.work()
        assert (books.charge(trip)["state"], books.charge(trip)["captured"]) == ("UNKNOWN", 0)


class TestEvidenceThatDisagrees:
    @pytest.mark.parametrize(("captured", "currency"), [("24.60", "USD"), ("12.30", "EUR")])
    def test_more_money_than_was_asked_for_or_another_currency_is_for_a_person(
        self, books: Books, amazon: ScriptedAmazon, captured: str, currency: str
    ) -> None:
        trip = books.trip("12.30")
        books.work()
        books.order(trip, "SETTLED", captured, at=NOON + minutes(20), currency=currency)
        books.gather(NOON + minutes(25))
        books.gather(NOON + minutes(30))
        assert books.charge(trip)["state"] == "PARKED"
        case = books.cases(trip)[0]
        assert (case["kind"], case["known"]["amazon_currency"]) == ("EVIDENCE_DISAGREES", currency)

    def test_a_person_may_accept_that_amazon_took_more(self, books: Books, amazon: ScriptedAmazon) -> None:
        trip = books.trip("12.30")
        books.work()
        books.post()
        books.order(trip, "SETTLED", "24.60", at=NOON + minutes(20))
        books.gather(NOON + minutes(25))
        decided(books, trip, "captured", NOON + minutes(30))
        books.post()
        assert books.charge(trip)["captured"] == Decimal("24.60")
        assert books.balance(trip)["shopper_receivable"] == Decimal("-12.30")

    def test_less_than_was_begun_is_a_partial_capture_and_the_rest_a_debt(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        trip = books.trip("12.30")
        books.work()
        books.post()
        books.order(trip, "SETTLED", "8.00", at=NOON + minutes(20))
        books.gather(NOON + minutes(25))
        books.post()
        debt = books.debt(trip)
        assert debt is not None
        assert (books.charge(trip)["captured"], debt["amount"]) == (Decimal("8.00"), Decimal("4.30"))

    def test_a_decline_after_a_final_capture_is_for_a_person_and_undone_by_his_word(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        trip = books.trip("12.30")
        books.work()
        books.event(trip, "CaptureApproved", "12.30", at=NOON + minutes(20))
        books.gather(NOON + minutes(25))
        books.post()
        books.event(trip, "CaptureDeclined", "12.30", at=NOON + minutes(40))
        books.gather(NOON + minutes(45))
        books.post()
        assert books.charge(trip)["state"] == "PARKED"
        assert books.balance(trip)["card_clearing"] == Decimal("12.30")
        decided(books, trip, "not_captured", NOON + hours(1))
        books.post()
        assert books.charge(trip)["state"] == "IN_DEBT"
        assert books.balance(trip)["bad_debt_receivable"] == Decimal("12.30")
        assert "card_clearing" not in books.balance(trip)

    def test_money_that_was_taken_without_our_asking_is_for_a_person(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        trip = books.trip("12.30")
        books.order(trip, "SETTLED", "12.30", at=NOON + minutes(1))
        books.gather(NOON + minutes(2))
        books.work(NOON + minutes(2))
        assert books.charge(trip)["state"] == "PARKED"
        assert amazon.calls == []

    @pytest.mark.parametrize(
        ("told", "answer", "state"),
        [("CaptureApproved", "declined", "CAPTURED"), ("CaptureDeclined", "captured", "IN_DEBT")],
    )
    def test_a_persons_word_that_comes_while_evidence_settles_the_charge_does_not_undo_it(
        self, books: Books, amazon: ScriptedAmazon, monkeypatch: pytest.MonkeyPatch, told: str, answer: str, state: str
    ) -> None:
        trip = books.trip("12.30")
        books.work()
        books.work(NOON + hours(3.1))
        books.event(trip, told, "12.30", at=NOON + minutes(20))
        decided_meanwhile(books, trip, answer, NOON + hours(4), monkeypatch)
        books.gather(NOON + hours(5))
        assert (books.charge(trip)["state"], books.cases(trip)[0]["decision"]) == (state, answer)
        if state == "IN_DEBT":
            with books.engine.begin() as connection:
                at = NOON + hours(6)
                payoff.begin(
                    connection, shopping_trip_id=trip, method=payoff.CASH, instrument={}, asked_by="bea", now=at
                )

    @pytest.mark.parametrize("meanwhile", [True, False])
    def test_evidence_that_disagrees_overtakes_the_question_whether_the_money_was_taken(
        self, books: Books, amazon: ScriptedAmazon, monkeypatch: pytest.MonkeyPatch, meanwhile: bool
    ) -> None:
        trip = books.trip("12.30")
        books.work()
        books.work(NOON + hours(3.1))
        books.order(trip, "SETTLED", "24.60", at=NOON + minutes(20))
        if meanwhile:
            decided_meanwhile(books, trip, "not_captured", NOON + hours(4), monkeypatch)
        books.gather(NOON + hours(5))
        books.work(NOON + hours(5))
        assert amazon.paths(trip) == ["adjust", "capture"]
        assert books.charge(trip)["state"] == "PARKED"
        asked = [(case["kind"], case["decision"]) for case in books.cases(trip)]
        first = "not_captured" if meanwhile else "SETTLED"
        assert asked == [("UNKNOWN_CAPTURE", first), ("EVIDENCE_DISAGREES", None)]

    def test_a_refused_call_asks_nothing_of_a_charge_that_evidence_has_parked_meanwhile(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        trip = books.trip("12.30")

        def refuses_what_was_taken_by_then(call: Call) -> Reply:
            books.order(trip, "SETTLED", "12.30", at=NOON + minutes(1))
            books.gather(NOON + minutes(2))
            return refused(400, "BadRequestException")

        amazon.script = refuses_what_was_taken_by_then
        books.work()
        assert [case["kind"] for case in books.cases(trip)] == ["EVIDENCE_DISAGREES"]

    @pytest.mark.parametrize("feed", ["order", "event"])
    def test_news_of_a_trip_without_a_charge_waits_a_week_and_is_found_again_by_a_charge_that_comes_later(
        self, books: Books, amazon: ScriptedAmazon, feed: str
    ) -> None:
        def waits() -> list[bool]:
            table = "amazon_order" if feed == "order" else "feed_event"
            found = books.rows(f"select to_hear from {table} where shopping_trip_id = :trip", trip=trip)
            return [row["to_hear"] for row in found]

        trip = f"late-{books.store_id}"
        if feed == "order":
            books.order(trip, "SETTLED", "12.30", at=NOON)
        else:
            books.event(trip, "CaptureApproved", "12.30", at=NOON)
        books.gather(NOON + hours(7 * 24))
        assert waits() == [True]
        books.gather(NOON + hours(7 * 24 + 1))
        assert waits() == [False]
        later = NOON + hours(8 * 24)
        books.trip("12.30", at=later, started_at=NOON, named=trip)
        books.gather(later)
        books.work(later)
        assert (books.charge(trip)["state"], amazon.calls) == ("PARKED", [])

    def test_an_answer_in_another_currency_is_for_a_person(self, books: Books, amazon: ScriptedAmazon) -> None:
        amazon.script = replies(adjust=adjusted("APPROVED", "12.30", "EUR"))
        trip = books.trip("12.30")
        books.work()
        assert books.charge(trip)["state"] == "PARKED"
        assert [choice["choice"] for choice in books.cases(trip)[0]["choices"]] == ["leave"]


class TestManyHands:
    def test_two_workers_at_once_never_make_a_call_twice(self, books: Books, amazon: ScriptedAmazon) -> None:
        def a_little_slow(call: Call) -> Reply:
            answer = approve_all(call)
            return Reply(answer.status, answer.body, wait=0.01)

        amazon.script = a_little_slow
        trips = [books.trip() for _ in range(30)]
        workers = [threading.Thread(target=books.work, kwargs={"concurrency": 3}) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert all(amazon.paths(trip) == ["adjust", "capture"] for trip in trips)

    @pytest.mark.parametrize(("operation", "state"), [("ADJUST", "CAPTURE_INITIATED"), ("CAPTURE", "UNKNOWN")])
    def test_an_intent_without_an_outcome_after_a_lost_lease_is_unknown_never_not_sent(
        self, books: Books, amazon: ScriptedAmazon, operation: str, state: str
    ) -> None:
        trip = books.trip("12.30")
        self.a_worker_dies_before_its(operation, books, amazon, trip)
        assert books.work(NOON + minutes(1)).trips == 0  # the lease still runs
        self.its_lease_ends(books, trip)
        amazon.script = approve_all
        amazon.calls.clear()
        books.work(NOON + minutes(1))
        books.work(NOON + minutes(5))
        assert books.charge(trip)["state"] == state
        assert f"{operation}_UNKNOWN" in books.kinds(trip)
        assert amazon.paths(trip) == (["adjust", "capture"] if operation == "ADJUST" else [])

    def test_who_lost_the_lease_writes_no_further_intent_but_its_outcome_is_kept(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        trip = books.trip("12.30")
        answered, go_on = threading.Event(), threading.Event()

        def held_up(call: Call) -> Reply:
            answered.set()
            go_on.wait(5)
            return approve_all(call)

        amazon.script = held_up
        with PaymentsClient(configured(amazon_payments_url=books.amazon_url, amazon_timeout_seconds=10)) as patient:
            slow = threading.Thread(
                target=work_due, args=(books.engine, patient), kwargs={"store_id": books.store_id, "now": NOON}
            )
            slow.start()
            assert answered.wait(5)
            self.its_lease_ends(books, trip)
            with books.engine.begin() as connection:  # another claims it, as its fencing number tells
                connection.execute(
                    text(
                        "update charge set fencing = fencing + 1, lease_until = clock_timestamp() + interval '1 hour'"
                        " where shopping_trip_id = :trip"
                    ),
                    {"trip": trip},
                )
            go_on.set()
            slow.join()
        assert amazon.paths(trip) == ["adjust"]
        assert books.attempts(trip) == [("ADJUST", "SUCCEEDED")]
        assert books.charge(trip)["state"] == "AUTHORIZED"

    def test_a_refusal_that_comes_after_another_worker_has_charged_the_trip_parks_nothing(
        self, books: Books, amazon: ScriptedAmazon
    ) -> None:
        trip = books.trip("12.30")
        asked, go_on = threading.Event(), threading.Event()

        def held_up(call: Call) -> Reply:
            amazon.script = approve_all
            asked.set()
            go_on.wait(5)
            return refused(400, "UnknownShoppingTrip")

        amazon.script = held_up
        with PaymentsClient(configured(amazon_payments_url=books.amazon_url, amazon_timeout_seconds=10)) as patient:
            slow = threading.Thread(
                target=work_due, args=(books.engine, patient), kwargs={"store_id": books.store_id, "now": NOON}
            )
            slow.start()
            assert asked.wait(5)
            self.its_lease_ends(books, trip)
            books.work(NOON + minutes(1))
            books.work(NOON + minutes(5))
            assert books.charge(trip)["state"] == "CAPTURE_INITIATED"
            go_on.set()
            slow.join()
        assert books.attempts(trip) == [("ADJUST", "REFUSED"), ("ADJUST", "SUCCEEDED"), ("CAPTURE", "SUCCEEDED")]
        assert (books.charge(trip)["state"], books.cases(trip)) == ("CAPTURE_INITIATED", [])

    def test_only_stores_with_something_due_are_worked_on(self, books: Books) -> None:
        with books.engine.connect() as connection:
            assert books.store_id not in stores_with_due(connection, now=NOON)
        books.trip()
        with books.engine.connect() as connection:
            assert books.store_id in stores_with_due(connection, now=NOON)
            assert books.store_id not in stores_with_due(connection, now=NOON - minutes(1))

    def test_carts_that_are_not_charged_shortly_before_the_token_ends_raise_an_alert(self, books: Books) -> None:
        books.trip()
        books.gather(NOON + hours(41))
        alert = books.one("select * from alert where store_id = :store", store=books.store_id)
        assert alert["deduplication_key"].startswith("uncharged-before-expiry")

    @staticmethod
    def a_worker_dies_before_its(operation: str, books: Books, amazon: ScriptedAmazon, trip: str) -> None:
        class Killed(BaseException):
            pass

        class Dying:
            def __getattr__(self, name: str) -> object:
                if name == operation.lower():
                    raise Killed
                if name == "at_once":
                    raise AttributeError(name)
                return getattr(books.client, name)

        with pytest.raises(Killed):
            work_due(books.engine, Dying(), store_id=books.store_id, now=NOON, concurrency=1)  # type: ignore[arg-type]

    @staticmethod
    def its_lease_ends(books: Books, trip: str) -> None:
        with books.engine.begin() as connection:
            connection.execute(
                text("update charge set lease_until = clock_timestamp() where shopping_trip_id = :trip"),
                {"trip": trip},
            )
