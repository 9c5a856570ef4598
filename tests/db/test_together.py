"""Calls that arrive at the same moment go together; a lone one goes at once. Real threads, no clock to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from backroom.db.together import Together, TookTooLong, _Place


class Work:
    """Doubles each item; holds its first batch until it is let go."""

    def __init__(self, *, fails_on: int | None = None) -> None:
        self.batches: list[list[int]] = []
        self.began, self.go_on = threading.Event(), threading.Event()
        self._fails_on = fails_on

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.began.set()
        assert self.go_on.wait(20)
        if self._fails_on in items:
            raise ValueError("this batch fails")
        return [2 * item for item in items]


def crowd(
    together: Together[int, int], work: Work, items: range, meanwhile: Callable[[], None] = lambda: None
) -> list[Future[int]]:
    """Item 0 is under way while all the others come, one after another; then the way is free."""
    pool = ThreadPoolExecutor(len(items) + 1)
    calls = [pool.submit(together.run, 0)]
    assert work.began.wait(20)
    for number, item in enumerate(items, 1):
        calls.append(pool.submit(together.run, item))
        while len(together._waiting) < number:
            pass
    meanwhile()
    work.go_on.set()
    pool.shutdown()
    return calls


def test_a_lone_call_goes_at_once_and_alone() -> None:
    work = Work()
    work.go_on.set()
    together: Together[int, int] = Together(work, most=16, seconds=0)  # not a moment is waited
    assert [together.run(item) for item in (3, 4)] == [6, 8]
    assert work.batches == [[3], [4]]


def test_those_who_come_while_a_statement_is_under_way_go_with_the_next_and_each_gets_its_own_result() -> None:
    work = Work()
    calls = crowd(Together(work, most=16, seconds=20), work, range(1, 11))
    assert [call.result() for call in calls] == [2 * item for item in range(11)]
    assert work.batches == [[0], list(range(1, 11))]


def test_at_most_so_many_go_at_a_time_and_everyone_is_served_whoever_finds_the_way_free() -> None:
    work = Work()
    calls = crowd(Together(work, most=2, seconds=20), work, range(1, 10))
    assert [call.result() for call in calls] == [2 * item for item in range(10)]
    assert work.batches == [[0], [1, 2], [3, 4], [5, 6], [7, 8], [9]]


def test_who_is_far_back_goes_on_until_its_own_turn() -> None:
    """The last in line may be the first to find the way free: it then works for those before it, too."""
    together: Together[int, int] = Together(lambda items: [2 * item for item in items], most=1, seconds=20)
    for item in (1, 2, 3):
        together._waiting.append(_Place(item))
    assert together.run(4) == 8


def test_copies_at_once_get_a_result_each() -> None:
    work = Work()
    together: Together[int, int] = Together(work, most=16, seconds=20)
    pool = ThreadPoolExecutor(9)
    calls = [pool.submit(together.run, 7) for _ in range(9)]
    work.go_on.set()
    pool.shutdown()
    assert [call.result() for call in calls] == [14] * 9
    assert sum(map(len, work.batches)) == 9


def test_an_error_is_raised_to_each_item_of_its_batch_and_to_no_other() -> None:
    work = Work(fails_on=2)
    calls = crowd(Together(work, most=2, seconds=20), work, range(1, 5))
    failed = [isinstance(call.exception(), ValueError) for call in calls]
    assert failed == [False, True, True, False, False]
    assert [call.result() for call in calls if call.exception() is None] == [0, 6, 8]


def test_too_few_results_are_an_error_for_all_and_leave_nobody_waiting() -> None:
    together: Together[int, int] = Together(lambda _items: [], most=16, seconds=20)
    for _ in range(2):
        with pytest.raises(ValueError, match="zip"):
            together.run(1)


def test_who_waits_too_long_leaves_and_nothing_is_done_for_it() -> None:
    work = Work()
    together: Together[int, int] = Together(work, most=16, seconds=0.05)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(together.run, 0)
        assert work.began.wait(20)
        with pytest.raises(TookTooLong):
            together.run(1)
        work.go_on.set()
        assert first.result() == 0
    assert together.run(2) == 4
    assert work.batches == [[0], [2]]


def test_who_is_under_way_when_its_time_is_up_still_gets_its_result() -> None:
    """Its item was taken along: to say that nothing was done would be wrong."""
    second, go_on = threading.Event(), threading.Event()
    first, free = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> list[int]:
        if 0 in items:
            first.set()
            assert free.wait(20)
        else:
            second.set()
            assert go_on.wait(20)
        return list(items)

    together: Together[int, int] = Together(work, most=16, seconds=0.3)
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(together.run, 0)]
        assert first.wait(20)
        calls += [pool.submit(together.run, item) for item in (1, 2)]
        while len(together._waiting) < 2:
            pass
        free.set()
        assert second.wait(20)
        threading.Event().wait(0.5)  # longer than an item waits
        go_on.set()
    assert [call.result() for call in calls] == [0, 1, 2]
