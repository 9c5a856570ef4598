"""Any number of requests and workers at once share the same caps; a worker that is gone loses and doubles nothing."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.amazon.outcomes import Answer
from backroom.amazon.refund_client import RefundClient
from backroom.db.engine import make_engine
from backroom.debts import payoff
from backroom.debts.payoff import PayoffRefused
from backroom.refunds.deciding import approve
from backroom.refunds.eligibility import RefundRefused
from backroom.refunds.requesting import request, request_return
from backroom.settings import settings
from tests.amazon.conftest import configured
from tests.amazon.scripted_amazon import Call, Reply, ScriptedAmazon, adjusted, replies
from tests.refunds.conftest import NEXT_DAY, Till, hours, refund_calls

AT_ONCE = 16


@pytest.fixture
def connections(database: Engine) -> Iterator[Engine]:
    """As many connections as there are threads, so that they really meet in the database."""
    made = make_engine(database.url, pool_size=AT_ONCE)
    yield made
    made.dispose()


def at_once(what: Callable[[int], str]) -> Counter[str]:
    ready = threading.Barrier(AT_ONCE)

    def go(number: int) -> str:
        ready.wait()
        try:
            return what(number)
        except (RefundRefused, PayoffRefused) as error:
            return type(error).__name__

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(go, range(AT_ONCE)))


def ask(connections: Engine, trip: str, number: int, amount: str | None = "1.00", **values: Any) -> str:
    asked: dict[str, Any] = {
        "lines": None, "reason": "OTHER", "requested_by": "ana", "asked_key": f"{trip}/{number}", "now": NEXT_DAY,
        "amount": Decimal(amount) if amount else None, **values,
    }  # fmt: skip
    with connections.begin() as connection:
        return request(connection, shopping_trip_id=trip, **asked).state


def test_of_many_requests_at_once_those_that_the_capture_covers_win(
    till: Till, amazon: ScriptedAmazon, connections: Engine
) -> None:
    trip = till.captured(("1", "12.30"))
    ended = at_once(lambda number: ask(connections, trip, number))
    assert ended == {"APPROVED": 12, "RefundRefused": 4}
    for hour in range(2):
        at_once(lambda _: str(till.give_back(NEXT_DAY + hours(hour), concurrency=2).refunds))  # noqa: B023
    assert [state for _, _, state in till.parts(trip)] == ["INITIATED"] * 12
    assert len({call["refundRequestId"] for call in refund_calls(amazon)}) == len(refund_calls(amazon)) == 12


def test_the_same_question_at_once_asks_once(till: Till, connections: Engine) -> None:
    trip = till.captured()
    assert at_once(lambda _: ask(connections, trip, 0, "12.30")) == {"APPROVED": AT_ONCE}
    assert till.parts(trip) == [("CAPTURE", "12.30", "DUE")]


def test_units_of_a_line_asked_for_at_once_never_come_to_more_than_it(till: Till, connections: Engine) -> None:
    trip = till.captured(("7", "10.00"), ("1", "5.00"))
    ended = at_once(lambda number: ask(connections, trip, number, None, lines=[(1, Decimal(1))]))
    assert ended == {"APPROVED": 7, "RefundRefused": 9}
    assert sum(Decimal(amount) for _, amount, _ in till.parts(trip)) == Decimal("10.00")


def test_what_is_asked_for_at_once_beyond_the_limit_waits_for_a_second_person(till: Till, connections: Engine) -> None:
    trip = till.captured(("1", "12.30"))
    till.set_store(refund_approval_above=Decimal(5))
    ended = at_once(lambda number: ask(connections, trip, number))
    assert ended == {"APPROVED": 5, "AWAITING_APPROVAL": 7, "RefundRefused": 4}


def test_of_many_approvals_at_once_the_first_counts(till: Till, connections: Engine) -> None:
    trip = till.captured(("1", "12.30"))
    till.set_store(refund_approval_above=Decimal(5))
    made = till.ask(trip, "6")

    def decide(number: int) -> str:
        with connections.begin() as connection:
            return approve(connection, made.request_id, by=f"ben-{number}", reason="seen", now=NEXT_DAY).state

    assert at_once(decide) == {"APPROVED": 1, "RefundRefused": AT_ONCE - 1}
    assert till.parts(trip) == [("CAPTURE", "6.00", "DUE")]


def test_refunds_and_a_payoff_at_once_give_and_take_what_the_trip_cost(
    till: Till, amazon: ScriptedAmazon, connections: Engine
) -> None:
    amazon.script = replies(adjust=adjusted("APPROVED", "8.00"))
    trip = till.sold(("1", "12.30"))
    till.capture(trip)

    def either(number: int) -> str:
        if number % 2:
            return ask(connections, trip, number, "1.10")
        done = payoff.pay(
            connections, None, shopping_trip_id=trip, method="CASH", instrument={}, asked_by="till", now=NEXT_DAY
        )
        return done.state

    at_once(either)
    debt = till.debt(trip)
    assert debt is not None
    assert (debt["outstanding"], debt["paid"] + debt["reduced"]) == (0, Decimal("4.30"))
    assert sum(Decimal(amount) for _, amount, _ in till.parts(trip)) == Decimal("8.80")


def test_money_that_goes_back_by_itself_goes_once(till: Till, connections: Engine) -> None:
    trip = till.captured()

    def send_back(_: int) -> str:
        with connections.begin() as connection:
            return request_return(
                connection, shopping_trip_id=trip, instrument="CAPTURE", amount=Decimal(5), why="twice", now=NEXT_DAY
            ).state

    assert at_once(send_back) == {"APPROVED": AT_ONCE}
    assert till.parts(trip) == [("CAPTURE", "5.00", "DUE")]


def test_a_worker_that_died_after_the_effect_leaves_a_doubt_which_the_key_settles(
    till: Till, amazon: ScriptedAmazon
) -> None:
    trip = till.captured()
    till.ask(trip, "5")
    killed(lambda: till.give_back(concurrency=1, client=Dies(till.amazon_url), engine=make_engine(till.engine.url)))
    assert len(refund_calls(amazon)) == 1
    assert till.tries(trip) == [None], "the intent is there, its outcome is not"
    till.give_back(NEXT_DAY + hours(1))
    assert till.parts(trip) == [("CAPTURE", "5.00", "DUE")], "its lease has not ended"
    end_leases(till, trip)
    till.give_back(NEXT_DAY + hours(1))
    assert till.tries(trip) == ["UNKNOWN", "SUCCEEDED"]
    assert len({call["refundRequestId"] for call in refund_calls(amazon)}) == 1
    assert till.happened(trip) == [("INITIATED", "5.00")]


def test_a_worker_that_lost_its_lease_writes_its_yes_but_not_its_no(till: Till, amazon: ScriptedAmazon) -> None:
    trip = till.captured()
    till.ask(trip, "5")
    frozen, thawed = threading.Event(), threading.Event()

    def script(call: Call) -> Reply:
        if not frozen.is_set():
            frozen.set()
            thawed.wait(10)
            return Reply(400, {"errorMsg": "BadRequestException"})
        return Reply()

    amazon.script = script
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(till.give_back, concurrency=1)
        assert frozen.wait(10)
        end_leases(till, trip)
        till.give_back(NEXT_DAY + hours(1), concurrency=1)
        assert till.parts(trip) == [("CAPTURE", "5.00", "INITIATED")]
        thawed.set()
        first.result()
    assert till.parts(trip) == [("CAPTURE", "5.00", "INITIATED")], "a refusal of the old attempt settles only itself"
    assert till.tries(trip)[1] == "SUCCEEDED"
    assert till.rows("select * from review_case where subject like 'refund:%' and store_id = :s", s=till.store_id) == []


def test_a_worker_that_stood_still_before_its_call_does_not_make_it(till: Till, amazon: ScriptedAmazon) -> None:
    trip = till.captured()
    till.ask(trip, "5")
    hours_passing = itertools.count(0, settings().charge_lease_seconds)
    till.give_back(clock=lambda: float(next(hours_passing)), concurrency=1)
    assert refund_calls(amazon) == []
    assert till.tries(trip) == ["NOT_SENT"]
    assert till.parts(trip) == [("CAPTURE", "5.00", "DUE")]


def end_leases(till: Till, trip: str) -> None:
    with till.engine.begin() as connection:
        connection.execute(
            text(
                "update refund set lease_until = clock_timestamp() - interval '1 second'"
                " where shopping_trip_id = :t and lease_until is not null"
            ),
            {"t": trip},
        )


def killed(work: Callable[[], object]) -> None:
    """Runs it in a process of its own, which is killed in the middle of it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)  # not killed: the test must see that
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the worker was to be killed"
    assert os.WTERMSIG(status) == signal.SIGKILL


class Dies:
    """A worker's client whose process is killed once its call has taken effect."""

    def __init__(self, url: str) -> None:
        self._url = url

    def refund(self, **asked: Any) -> tuple[Answer, str | None]:
        with RefundClient(configured(amazon_payments_url=self._url)) as client:
            client.refund(**asked)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it lives")
