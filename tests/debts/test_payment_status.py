"""What Amazon is told where it keeps the balance: what is true, one report at a time, never a false one."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from backroom.amazon import holds
from backroom.amazon.payment_status_client import PaymentStatusClient, request
from backroom.amazon.payments import MalformedRequest
from backroom.debts import payment_status, report_queue, reporting
from backroom.debts.payoff import PayoffRefused
from backroom.debts.reduction import reduce
from backroom.debts.reporting import Reported, _Batch, backoff
from backroom.debts.write_off import WriteOffRefused, forgive, write_off
from backroom.errors import ConfigurationError
from backroom.money import Money
from backroom.reviews import cases
from tests.amazon.conftest import configured
from tests.amazon.scripted_amazon import Call, Reply, ScriptedAmazon, refused, serving
from tests.charges.conftest import hours, minutes
from tests.debts.conftest import NOON, Debts, Till, add_store

ACCEPTED = Reply(body={"status": "Accepted"})
REJECTED = Reply(body={"status": "Rejected"})


@dataclass
class Feedback:
    """A store where Amazon keeps the balance; what it is answered, and what it was told."""

    debts: Debts
    amazon: ScriptedAmazon
    client: PaymentStatusClient
    answers: list[Reply] = field(default_factory=list)

    def answer(self, _: Call) -> Reply:
        return self.answers.pop(0) if self.answers else ACCEPTED

    def run(self, at: datetime = NOON, **arguments: Any) -> Reported:
        """One run of the pipeline."""
        with self.debts.engine.begin() as connection:
            reporting.apply_decisions(connection, now=at)
            payment_status.find_due(connection, now=at)
        asked: dict[str, Any] = {"concurrency": 2, **arguments}
        return reporting.report_due(self.debts.engine, self.client, store_id=self.debts.store_id, now=at, **asked)

    def told(self, trip: str) -> list[tuple[str, str]]:
        """(total, settled) of each call, in order."""
        return [
            (f"{call.body['totalAmount']['amount']}", f"{call.body['settledAmount']['amount']}")
            for call in self.amazon.calls
            if call.body["shoppingTripId"] == trip
        ]

    def reports(self, trip: str) -> list[dict[str, Any]]:
        return self.debts.rows(
            "select * from payment_status_report where shopping_trip_id = :trip order by report_id", trip=trip
        )

    def states(self, trip: str) -> list[str]:
        return [row["state"] for row in self.reports(trip)]

    def attempts(self, trip: str) -> list[tuple[str, int | None]]:
        rows = self.debts.rows(
            "select a.outcome, a.http_status from payment_status_attempt a join payment_status_report r"
            " using (report_id) where r.shopping_trip_id = :trip order by a.attempt_id",
            trip=trip,
        )
        return [(row["outcome"], row["http_status"]) for row in rows]


@pytest.fixture(params=["AMAZON_MANAGED"])
def feedback(debts: Debts, request: pytest.FixtureRequest) -> Iterator[Feedback]:
    debts.run("update store set risk_strategy = :how where store_id = :id", id=debts.store_id, how=request.param)
    debts.run("delete from api_hold")
    amazon = ScriptedAmazon()
    with (
        serving(amazon) as url,
        PaymentStatusClient(configured(amazon_payment_status_url=url, amazon_timeout_seconds=0.4)) as client,
    ):
        made = Feedback(debts, amazon, client)
        amazon.script = made.answer
        yield made


def test_the_call_is_as_the_page_says(feedback: Feedback) -> None:
    trip = feedback.debts.owe("2.30", total="12.30", captured="10", state="CAPTURED")
    feedback.run()
    (call,) = feedback.amazon.calls
    assert call.path == "/v1/feedback/payment-status"
    assert call.body == {
        "storeId": feedback.debts.store_id,
        "shoppingTripId": trip,
        "totalAmount": {"amount": Decimal("12.30"), "code": "USD"},
        "settledAmount": {"amount": Decimal("10.00"), "code": "USD"},
        "paymentStatusTime": int(NOON.timestamp()),
    }
    assert feedback.attempts(trip) == [("SUCCEEDED", 200)]
    assert feedback.debts.one(
        "select request from payment_status_attempt join payment_status_report using (report_id)"
        " where shopping_trip_id = :t", t=trip,
    )["request"]["settledAmount"] == {"amount": "10.00", "code": "USD"}  # fmt: skip


@pytest.mark.parametrize("feedback", ["AMAZON_MANAGED", "AMAZON_RECOMMENDATION"], indirect=True)
def test_it_is_told_where_amazon_keeps_the_balance(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    feedback.run()
    assert feedback.told(trip) == [("12.30", "0.00")]


@pytest.mark.parametrize("feedback", ["RETAILER_MANAGED", "NONE"], indirect=True)
def test_it_is_told_nowhere_else(feedback: Feedback) -> None:
    feedback.debts.owe()
    feedback.run()
    assert feedback.amazon.calls == []


@pytest.mark.parametrize(
    ("owed", "captured", "state", "told"),
    [
        ("0", "12.30", "CAPTURED", [("12.30", "12.30")]),
        ("2.30", "10", "CAPTURED", [("12.30", "10.00")]),
        ("12.30", "0", "IN_DEBT", [("12.30", "0.00")]),
        ("12.30", "0", "CANCEL_DUE", [("12.30", "0.00")]),
        ("0", "0", "DUE", []),
        ("0", "0", "AUTHORIZED", []),
        ("0", "0", "PARKED", []),
        ("0", "0", "CAPTURE_INITIATED", []),
    ],
)
def test_each_outcome_is_told_and_nothing_before_it(
    feedback: Feedback, owed: str, captured: str, state: str, told: list[tuple[str, str]]
) -> None:
    trip = feedback.debts.owe(owed, total="12.30", captured=captured, state=state)
    feedback.run()
    assert feedback.told(trip) == told


def test_a_capture_that_has_begun_settles_nothing_yet(feedback: Feedback) -> None:
    trip = feedback.debts.owe("2.30", total="12.30", state="CAPTURE_INITIATED")
    feedback.debts.run("update charge set capture_initiated = 10 where shopping_trip_id = :trip", trip=trip)
    feedback.run()
    assert feedback.told(trip) == []


def test_each_change_is_told_once(feedback: Feedback) -> None:
    debts, trip = feedback.debts, feedback.debts.owe()
    for minute in (0, 5, 10):
        feedback.run(NOON + minutes(minute))
    debts.pay(trip, at=NOON + minutes(11))
    for minute in (15, 20):
        feedback.run(NOON + minutes(minute))
    assert feedback.told(trip) == [("12.30", "0.00"), ("12.30", "12.30")]
    assert feedback.states(trip) == ["ACCEPTED", "ACCEPTED"]


def test_a_debt_is_not_told_as_settled_while_its_payoff_is_open(feedback: Feedback) -> None:
    trip, till = feedback.debts.owe(), Till(["LOST"])
    feedback.debts.pay(trip, "SANDBOX", port=till)
    feedback.run()
    assert feedback.told(trip) == [("12.30", "0.00")]


def test_a_refund_leaves_both_figures_and_never_looks_like_a_debt(feedback: Feedback) -> None:
    debts = feedback.debts
    captured = debts.owe("0", total="12.30", captured="12.30", state="CAPTURED")
    refund(debts, captured, "5")
    unpaid = debts.owe()
    with debts.engine.begin() as connection:
        reduce(connection, shopping_trip_id=unpaid, amount=Decimal(5), source="refund:1", actor="r", now=NOON)
    feedback.run()
    assert feedback.told(captured) == [("7.30", "7.30")]
    assert feedback.told(unpaid) == [("7.30", "0.00")]


def test_money_that_goes_back_because_nothing_was_owed_leaves_no_figure(feedback: Feedback) -> None:
    trip = feedback.debts.owe("0", total="12.30", captured="12.30", state="CAPTURED")
    refund(feedback.debts, trip, "5", is_return=True)
    feedback.run()
    assert feedback.told(trip) == [("12.30", "12.30")]


def test_what_was_written_off_is_still_owed_until_it_is_forgiven_and_never_counts_as_settled(
    feedback: Feedback,
) -> None:
    trip = feedback.debts.owe("2.30", total="12.30", captured="10", state="CAPTURED")
    with feedback.debts.engine.begin() as connection:
        write_off(connection, shopping_trip_id=trip, by="ann", reason="moved away", now=NOON)
    feedback.run()
    with feedback.debts.engine.begin() as connection:
        forgive(connection, shopping_trip_id=trip, by="ann", reason="came back", now=NOON)
    feedback.run(NOON + minutes(5))
    assert feedback.told(trip) == [("12.30", "10.00"), ("10.00", "10.00")]


@pytest.mark.parametrize(
    "lost", [Reply(wait=0.8), Reply(drop=True), refused(500, "InternalServerError"), Reply(body={"status": "Maybe"})]
)
def test_an_unknown_outcome_is_asked_for_again_with_the_same_figures_and_time(feedback: Feedback, lost: Reply) -> None:
    trip = feedback.debts.owe()
    feedback.answers = [lost]
    feedback.run()
    feedback.debts.pay(trip, at=NOON + minutes(1))  # the report that is under way goes first
    feedback.run()  # not due again at once
    feedback.run(NOON + hours(1))
    feedback.run(NOON + hours(1))
    assert feedback.told(trip) == [("12.30", "0.00"), ("12.30", "0.00"), ("12.30", "12.30")]
    times = [call.body["paymentStatusTime"] for call in feedback.amazon.calls]
    assert times[0] == times[1] < times[2]
    assert [outcome for outcome, _ in feedback.attempts(trip)] == ["UNKNOWN", "SUCCEEDED", "SUCCEEDED"]


def test_a_report_that_was_never_taken_gives_way_to_what_is_true_by_then(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    feedback.answers = [REJECTED]
    feedback.run()
    feedback.debts.pay(trip)
    feedback.run(NOON + minutes(5))
    assert feedback.told(trip) == [("12.30", "0.00"), ("12.30", "12.30")]
    assert feedback.states(trip) == ["SUPERSEDED", "ACCEPTED"]


def test_several_rejections_are_a_persons_question(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    feedback.answers = [REJECTED] * 3
    for hour in range(5):
        feedback.run(NOON + hours(hour))
    assert len(feedback.told(trip)) == 3
    assert feedback.states(trip) == ["PARKED"]
    (case,) = feedback.debts.cases(trip, "PAYMENT_STATUS_REFUSED")
    assert (case["known"]["rejected"], case["known"]["settled"]) == (3, "0.00 USD")
    with feedback.debts.engine.begin() as connection:
        cases.decide(connection, case["case_id"], "report_again", by="ann", reason="mended", now=NOON + hours(6))
    for hour in (6, 7):
        feedback.run(NOON + hours(hour))
    assert len(feedback.told(trip)) == 4
    assert feedback.states(trip) == ["SUPERSEDED", "ACCEPTED"]


def test_a_parked_report_does_not_stop_a_later_change_and_its_case_ends_with_it(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    feedback.answers = [refused(400, "UnknownShoppingTrip")]
    feedback.run()
    assert feedback.states(trip) == ["PARKED"]
    feedback.debts.pay(trip)
    feedback.run(NOON + minutes(5))
    assert feedback.states(trip) == ["PARKED", "ACCEPTED"]
    assert [case["decision"] for case in feedback.debts.cases(trip, "PAYMENT_STATUS_REFUSED")] == ["SETTLED"]


def test_a_429_holds_everyone_who_calls_the_payment_service(feedback: Feedback) -> None:
    trips = [feedback.debts.owe() for _ in range(3)]
    feedback.answers = [refused(429, "Too Many Requests", Retry_After="600")]
    done = feedback.run(concurrency=1)
    assert len(feedback.amazon.calls) == 1
    assert done.held_until is not None
    with feedback.debts.engine.connect() as connection:
        held = holds.held_until(connection, holds.PAYMENTS, now=NOON)
    assert held is not None
    assert timedelta(seconds=600) <= held - NOON < timedelta(seconds=630)
    feedback.run(NOON + minutes(5))
    assert len(feedback.amazon.calls) == 1
    feedback.run(NOON + minutes(12))
    assert [feedback.states(trip) for trip in trips] == [["ACCEPTED"]] * 3


def test_a_hold_that_others_have_brought_about_is_obeyed(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    with feedback.debts.engine.begin() as connection:
        holds.hold(connection, holds.PAYMENTS, until=NOON + minutes(10), reason="charges: 429", now=NOON)
    assert feedback.run().held_until == NOON + minutes(10)
    assert feedback.told(trip) == []
    feedback.run(NOON + minutes(11))
    assert feedback.states(trip) == ["ACCEPTED"]


def test_a_403_stops_the_stores_reports_for_a_while_and_raises_an_alert(feedback: Feedback) -> None:
    trips = [feedback.debts.owe() for _ in range(3)]
    feedback.answers = [refused(403, "not allow-listed")]
    feedback.run(concurrency=1)
    feedback.run(NOON + minutes(59))
    assert len(feedback.amazon.calls) == 1
    (alert,) = feedback.debts.rows("select * from alert where store_id = :s", s=feedback.debts.store_id)
    assert "403" in alert["title"]
    feedback.run(NOON + minutes(60))
    assert [feedback.states(trip) for trip in trips] == [["ACCEPTED"]] * 3


def test_a_service_that_is_not_there_is_asked_again_soon(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    away = configured(amazon_payment_status_url="http://127.0.0.1:9", amazon_timeout_seconds=0.4)
    with PaymentStatusClient(away) as nobody:
        here, feedback.client = feedback.client, nobody
        feedback.run()
    feedback.client = here
    assert feedback.attempts(trip) == [("NOT_SENT", None)]
    feedback.run(NOON + minutes(1))
    assert feedback.states(trip) == ["ACCEPTED"]


def test_workers_at_once_send_each_report_once(feedback: Feedback) -> None:
    trips = [feedback.debts.owe() for _ in range(20)]
    ready = threading.Barrier(3)

    def run(_: int) -> None:
        ready.wait()
        feedback.run()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, range(3)))
    assert [len(feedback.told(trip)) for trip in trips] == [1] * 20


def test_a_worker_that_died_leaves_an_unknown_outcome_and_the_report_is_sent_again(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    claimed = claim(feedback, NOON)
    assert claimed is not None
    feedback.run()
    assert feedback.told(trip) == []  # its lease runs
    expire_leases(feedback)
    feedback.run()
    assert feedback.told(trip) == [("12.30", "0.00")]
    assert [outcome for outcome, _ in feedback.attempts(trip)] == ["UNKNOWN", "SUCCEEDED"]


def test_who_has_lost_the_lease_ends_nothing(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    first = claim(feedback, NOON)
    assert first is not None
    expire_leases(feedback)
    second = claim(feedback, NOON)
    assert second is not None
    with feedback.debts.engine.begin() as connection:
        assert not report_queue.end(connection, first[0], "ACCEPTED", rejections=0, now=NOON)
        report_queue.again(connection, first[0], at=NOON, rejections=5)
    (report,) = feedback.reports(trip)
    assert (report["state"], report["rejections"], report["fencing"]) == ("DUE", 0, 2)
    assert report["lease_until"] is not None


def test_who_was_frozen_for_longer_than_the_lease_makes_no_call(feedback: Feedback) -> None:
    trip, hours_passing = feedback.debts.owe(), itertools.count(0, 3600)
    with feedback.debts.engine.begin() as connection:
        payment_status.find_due(connection, now=NOON)
    frozen = _Batch(
        feedback.debts.engine,
        feedback.client,
        feedback.debts.store_id,
        NOON,
        Random,
        lambda: float(next(hours_passing)),
    )
    assert frozen._send_one()
    assert (feedback.told(trip), feedback.attempts(trip)) == ([], [("NOT_SENT", None)])
    feedback.run()
    assert feedback.states(trip) == ["ACCEPTED"]


def test_the_time_of_a_trips_reports_never_decreases_though_the_clock_does(feedback: Feedback) -> None:
    trip = feedback.debts.owe()
    feedback.run(NOON + hours(1))
    feedback.debts.pay(trip)
    feedback.run(NOON)
    feedback.run(NOON + hours(2))
    times = [call.body["paymentStatusTime"] for call in feedback.amazon.calls]
    assert times == [int((NOON + hours(1)).timestamp()), int((NOON + hours(1)).timestamp()) + 1]


def test_the_pause_between_tries_grows_to_an_hour() -> None:
    pauses = [backoff(tries, Random(1)) for tries in range(1, 30)]
    assert min(pauses) >= minutes(1)
    assert max(backoff(tries, Random(tries)) for tries in range(8, 200)) <= hours(1)


@pytest.mark.parametrize(
    ("store", "trip", "total", "settled"),
    [("a store", "t", "1", "1"), ("s", "a trip", "1", "1"), ("s", "t", "1", "1.01"), ("s", "t", "1", "-0.01")],
)
def test_what_amazon_would_refuse_is_not_sent(store: str, trip: str, total: str, settled: str) -> None:
    figures = {"total": Money.of(total, "USD"), "settled": Money.of(settled, "USD"), "at": NOON}
    with pytest.raises(MalformedRequest):
        request(store_id=store, shopping_trip_id=trip, **figures)  # type: ignore[arg-type]


def test_a_host_that_keeps_real_shoppers_out_must_be_meant() -> None:
    with pytest.raises(ConfigurationError, match="real money"):
        PaymentStatusClient(configured(amazon_payment_status_url="https://us-east-1.payments.amazonphysicalstores.com"))


steps = st.lists(
    st.sampled_from(["owe less", "owe all", "reduce", "write off", "forgive", "pay", "lose", "hear", "report"]),
    min_size=1,
    max_size=10,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_whatever_happens_what_was_told_last_is_what_is_owed(feedback: Feedback, happenings: list[str]) -> None:
    debts, trip, till = feedback.debts, feedback.debts.owe("10", total="10"), Till(says="UNKNOWN")
    for number, what in enumerate(happenings):
        with contextlib.suppress(PayoffRefused, WriteOffRefused):
            happen(feedback, trip, till, what, number)
    feedback.run(NOON + hours(20))
    debt = debts.debt(trip)
    owed = debt["outstanding"] + (0 if debt["forgiven_at"] else debt["written_off"])
    total, settled = feedback.told(trip)[-1]
    assert Decimal(total) - Decimal(settled) == owed
    charge = debts.one("select captured from charge where shopping_trip_id = :t", t=trip)
    kept = charge["captured"] + debt["paid"] - debt["returned"]  # below zero: given back, then not captured after all
    assert Decimal(settled) == max(kept, Decimal(0))


def happen(feedback: Feedback, trip: str, till: Till, what: str, number: int) -> None:
    debts, at = feedback.debts, NOON + minutes(number)
    match what:
        case "owe less":
            debts.charge_says(trip, owed="3", captured="7", at=at)
        case "owe all":
            debts.charge_says(trip, owed="10", captured="0", at=at)
        case "pay":
            debts.pay(trip, at=at)
        case "lose":
            till.answers = ["LOST"]
            debts.pay(trip, "SANDBOX", port=till, at=at)
        case "hear":
            for row in debts.rows(
                "select payoff_id from payoff where shopping_trip_id = :t and state = 'UNKNOWN'", t=trip
            ):
                debts.settle(row["payoff_id"], "PAID", at=at)
        case "report":
            feedback.run(at)
        case _:
            with debts.engine.begin() as connection:
                if what == "reduce":
                    source = f"refund:{number}"
                    reduce(connection, shopping_trip_id=trip, amount=Decimal(2), source=source, actor="r", now=at)
                elif what == "write off":
                    write_off(connection, shopping_trip_id=trip, by="ann", reason="", now=at)
                else:
                    forgive(connection, shopping_trip_id=trip, by="ann", reason="", now=at)


def claim(feedback: Feedback, now: datetime) -> tuple[report_queue.Report, report_queue.Attempt] | None:
    with feedback.debts.engine.begin() as connection:
        payment_status.find_due(connection, now=now)
        return report_queue.claim(
            connection, store_id=feedback.debts.store_id, request_of=lambda _: {}, now=now, lease_seconds=60
        )


def expire_leases(feedback: Feedback) -> None:
    feedback.debts.run(
        "update payment_status_report set lease_until = clock_timestamp() - interval '1 second'"
        " where lease_until is not null"
    )


def refund(debts: Debts, trip: str, amount: str, *, is_return: bool = False) -> None:
    """A refund to the card that has begun."""
    debts.run(
        "with asked as (insert into refund_request (asked_key, shopping_trip_id, store_id, currency, amount, reason,"
        " requested_by, requested_at, state, is_return) values (cast(:trip as text), :trip, :store, 'USD', :amount,"
        " 'OTHER', 'r', :now, 'APPROVED', :is_return) returning request_id)"
        " insert into refund (request_id, shopping_trip_id, store_id, instrument, refund_request_key, currency,"
        " amount, state) select request_id, :trip, :store, 'CAPTURE', cast(:trip as text), 'USD', :amount, 'INITIATED'"
        " from asked",
        trip=trip, store=debts.store_id, amount=Decimal(amount), now=NOON, is_return=is_return,
    )  # fmt: skip


def test_stores_of_other_strategies_are_not_asked_for(database: Engine, debts: Debts) -> None:
    add_store(database, f"{debts.store_id}-NONE", risk_strategy="NONE")
    debts.owe(store=f"{debts.store_id}-NONE")
    with database.begin() as connection:
        payment_status.find_due(connection, now=NOON)
        assert debts.store_id not in reporting.stores_with_due(connection, now=NOON)
