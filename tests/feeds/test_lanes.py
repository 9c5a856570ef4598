"""Two sessions share the work, and what they share is changed in turn."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine, text

from backroom.feeds import lanes


def test_two_things_are_worked_on_at_once_and_end_in_their_order(database: Engine) -> None:
    both = Barrier(2)
    ended: list[int] = []
    prepared: list[Connection] = []

    def work(connection: Connection, thing: int, turn: Callable[[], None]) -> tuple[int, int]:
        both.wait(20)  # fails where the other session does not come
        turn()
        ended.append(thing)
        return thing, connection.execute(text("select pg_backend_pid()")).scalar_one()

    results = lanes.run(database, iter(range(10)), work, prepared.append)
    assert [thing for thing, _ in results] == ended == list(range(10))
    assert len({session for _, session in results}) == len(prepared) == 2


def test_after_an_error_nothing_new_is_begun_and_what_was_done_is_done(database: Engine) -> None:
    ended: list[int] = []

    def work(_: Connection, thing: int, turn: Callable[[], None]) -> None:
        if thing == 3:
            raise ValueError("broken")
        turn()
        ended.append(thing)

    with pytest.raises(ValueError, match="broken"):
        lanes.run(database, iter(range(1000)), work, lambda _: None)
    assert ended[:3] == [0, 1, 2]
    assert len(ended) < 999


def test_an_error_of_where_the_things_come_from_is_raised(database: Engine) -> None:
    def things() -> object:
        yield 1
        raise OSError("the queue does not answer")

    ended: list[object] = []
    with pytest.raises(OSError, match="does not answer"):
        lanes.run(database, things(), lambda _connection, thing, _turn: ended.append(thing), lambda _: None)  # type: ignore[arg-type]
    assert ended == [1]
