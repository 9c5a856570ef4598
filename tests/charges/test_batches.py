"""Many trips at once: calls side by side, answers taken in together, and nobody's trouble another's."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
from sqlalchemy import event, text

from backroom.amazon import holds
from backroom.amazon.outcomes import Answer, Outcome, Problem
from backroom.amazon.payments import Adjustment
from backroom.charges import history, queue
from backroom.charges.lifecycle import shares_due
from backroom.charges.states import Operation
from backroom.charges.turns import Answered, Turns
from backroom.money import Money
from tests.amazon.scripted_amazon import Reply, ScriptedAmazon, approve_all, refused, replies
from tests.charges.conftest import NOON, Books, add_store, minutes


@pytest.fixture
def patience() -> float:
    """Nothing here waits for a call to time out, however busy the machine is."""
    return 20.0


def test_every_trip_of_a_batch_is_adjusted_and_captured_once(books: Books, amazon: ScriptedAmazon) -> None:
    trips = [books.trip() for _ in range(40)]
    worked = books.work(concurrency=8)
    assert (worked.trips, worked.states) == (40, {"CAPTURE_INITIATED": 40})
    assert worked.calls == {"ADJUST SUCCEEDED": 40, "CAPTURE SUCCEEDED": 40}
    assert all(amazon.paths(trip) == ["adjust", "capture"] for trip in trips)


def test_calls_are_made_side_by_side_and_no_trip_waits_for_anothers_answer(
    books: Books, amazon: ScriptedAmazon
) -> None:
    slow, *others = [books.trip() for _ in range(6)]
    others_are_captured = threading.Event()

    def script(call: Any) -> Reply:
        if call.body["shoppingTripId"] == slow and call.path == "/v1/adjust/charge":
            others_are_captured.wait(15)
        elif amazon.paths().count("capture") == len(others):
            others_are_captured.set()
        return approve_all(call)

    amazon.script = script
    books.work(concurrency=3)
    assert others_are_captured.is_set()
    captured = [call.body["shoppingTripId"] for call in amazon.calls if call.path == "/v1/capture/charge"]
    assert captured[-1] == slow
    assert sorted(captured[:-1]) == sorted(others)


def test_a_turn_has_as_many_statements_for_one_trip_as_for_forty(books: Books, amazon: ScriptedAmazon) -> None:
    for _ in range(41):
        books.trip()
    counts: list[int] = []

    def count(*_: Any) -> None:
        counts[-1] += 1

    with queue.session(books.engine) as connection:
        turns = Turns(connection, books.store_id, NOON, lease_seconds=60, chance=Random, clock=time.monotonic)
        event.listen(connection, "before_cursor_execute", count)
        for trips in (1, 40):
            counts.append(0)
            calls, claimed = turns.take([], room=trips)
            assert (len(calls), claimed) == (trips, trips)
            counts.append(0)
            ended = [Answered(call, Answer(Outcome.REFUSED, Problem.EXPIRED)) for call in calls]
            assert turns.take(ended[:1] if trips == 1 else ended, room=0) == ([], 0)
        event.remove(connection, "before_cursor_execute", count)
    assert counts[0] == counts[2]


def test_a_long_wait_that_amazon_asks_one_store_for_binds_every_store(books: Books, amazon: ScriptedAmazon) -> None:
    books.trip()
    other = Books(books.engine, f"{books.store_id}-b", books.client)
    add_store(books.engine, other.store_id)
    waiting = other.trip()
    amazon.script = replies(adjust=refused(429, "Too Many Requests", Retry_After="900"))
    books.work()
    assert len(amazon.calls) == 1
    amazon.script = approve_all
    assert other.work().held_until == NOON + minutes(15)
    assert amazon.paths(waiting) == []
    assert other.charge(waiting)["state"] == "DUE"
    assert other.work(NOON + minutes(15)).states == {"CAPTURE_INITIATED": 1}


def test_a_wait_that_another_asked_for_in_the_middle_of_a_batch_stops_it(books: Books, amazon: ScriptedAmazon) -> None:
    def script(call: Any) -> Reply:
        with books.engine.begin() as connection:
            until = NOON + minutes(10)
            holds.hold(connection, holds.PAYMENTS, until=until, reason="a refund was answered 429", now=NOON)
        return approve_all(call)

    amazon.script = script
    trips = [books.trip() for _ in range(6)]
    worked = books.work(concurrency=2)
    assert worked.held_until == NOON + minutes(10)
    assert len(amazon.calls) <= 2
    assert {books.charge(trip)["next_attempt_at"] for trip in trips} == {NOON, NOON + minutes(10)}


def test_where_one_trips_answer_cannot_be_kept_the_others_are(
    books: Books, amazon: ScriptedAmazon, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = [books.trip() for _ in range(5)]
    bad, add = trips[2], history.add

    def breaks(connection: Any, locked: Any, news: Any, **others: Any) -> Any:
        if any(item.event.source == "ATTEMPT" for item in news.get(bad, ())):
            raise RuntimeError("this trip can't be kept")
        return add(connection, locked, news, **others)

    amazon.script = lambda call: Reply(approve_all(call).status, approve_all(call).body, wait=0.2)
    monkeypatch.setattr(history, "add", breaks)
    with pytest.raises(RuntimeError, match="can't be kept"):
        books.work(concurrency=5)
    monkeypatch.undo()
    amazon.script = approve_all
    assert all(books.attempts(trip)[0] == ("ADJUST", "SUCCEEDED") for trip in trips if trip != bad)
    assert books.attempts(bad) == [("ADJUST", None)]
    _lose_leases(books)
    books.work()
    assert {books.charge(trip)["state"] for trip in trips if trip != bad} == {"CAPTURE_INITIATED"}
    assert books.kinds(bad)[1] == "ADJUST_UNKNOWN"


def test_several_workers_share_a_stores_queue_and_no_call_is_made_twice(books: Books, amazon: ScriptedAmazon) -> None:
    trips = [books.trip() for _ in range(30)]
    with ThreadPoolExecutor(3) as pool:
        done = [each.result() for each in [pool.submit(books.work, concurrency=4) for _ in range(3)]]
    assert sum(worked.trips for worked in done) == 30
    assert all(amazon.paths(trip) == ["adjust", "capture"] for trip in trips)


@pytest.mark.parametrize(("due", "numbers"), [(0, []), (1, [1]), (10, [1]), (11, [1, 2]), (60, [1, 2, 3])])
def test_a_store_gets_as_many_shares_as_its_queue_asks_for(books: Books, due: int, numbers: Sequence[int]) -> None:
    for _ in range(due):
        books.trip("1.00")
    with books.engine.begin() as connection:
        shares = shares_due(connection, now=NOON, trips=10, most=3)
    assert [share.number for share in shares if share.store_id == books.store_id] == list(numbers)


def _lose_leases(books: Books) -> None:
    with books.engine.begin() as connection:
        connection.execute(
            text("update charge set lease_until = clock_timestamp() - interval '1 second' where store_id = :store"),
            {"store": books.store_id},
        )


def test_a_trip_whose_lease_ended_while_its_call_was_under_way_is_not_claimed_by_the_turn_that_hears_of_it(
    books: Books, amazon: ScriptedAmazon
) -> None:
    """As after a process that stood still: nobody else has claimed the trip, and its next call is written once."""
    trip = books.trip()

    def script(call: Any) -> Reply:
        _lose_leases(books)
        return approve_all(call)

    amazon.script = script
    assert books.work(concurrency=8).states == {"CAPTURE_INITIATED": 1}
    assert books.attempts(trip) == [("ADJUST", "SUCCEEDED"), ("CAPTURE", "SUCCEEDED")]


def test_a_turn_that_stood_still_for_longer_than_the_lease_it_renewed_does_not_claim_its_own_trip_again(
    books: Books,
) -> None:
    """A lease of no time at all ends at once: as for a process that was frozen between two statements of one turn."""
    trip = books.trip()
    with queue.session(books.engine) as connection:
        turns = Turns(connection, books.store_id, NOON, lease_seconds=0, chance=Random, clock=time.monotonic)
        (call,), _ = turns.take([], room=1)
        held = Adjustment("APPROVED", Money(call.intent.amount, "USD"))
        calls, claimed = turns.take([Answered(call, Answer(Outcome.SUCCEEDED), held)], room=8)
    assert [one.intent.operation for one in calls] == [Operation.CAPTURE]
    assert claimed == 0
    assert books.attempts(trip) == [("ADJUST", "SUCCEEDED"), ("CAPTURE", None)]


def test_how_a_batch_finds_its_trips_ends_with_it_and_hides_no_error_of_its_own(books: Books) -> None:
    setting = text("select current_setting('enable_seqscan')")
    with pytest.raises(RuntimeError, match="of the batch"), queue.session(books.engine) as connection:
        with connection.begin():
            assert connection.execute(setting).scalar_one() == "off"
            backend = connection.execute(text("select pg_backend_pid()")).scalar_one()
        with books.engine.begin() as another:
            another.execute(text("select pg_terminate_backend(:backend)"), {"backend": backend})
        raise RuntimeError("of the batch")
    for _ in range(2):
        with books.engine.connect() as connection:
            assert connection.execute(setting).scalar_one() == "on"
