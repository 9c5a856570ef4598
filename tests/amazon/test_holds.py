"""Holds after a 429: shared by everyone, never shortened, never over too early."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from backroom.amazon import holds

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def engine(database: Engine) -> Engine:
    with database.begin() as connection:
        connection.execute(text("delete from api_hold"))
    return database


def test_what_one_process_heard_binds_every_other(engine: Engine) -> None:
    with engine.begin() as heard:
        holds.hold(heard, holds.PAYMENTS, until=later(600), reason="429", now=NOON)
    with engine.connect() as other:
        assert holds.held_until(other, holds.PAYMENTS, now=later(599)) == later(600)
        assert holds.held_until(other, holds.PAYMENTS, now=later(600)) is None
        assert holds.held_until(other, "CATALOG", now=NOON) is None


def test_a_hold_is_made_longer_and_never_shorter(engine: Engine) -> None:
    for seconds, until in ((600, 600), (5, 600), (900, 900)):
        with engine.begin() as connection:
            holds.hold(connection, holds.PAYMENTS, until=later(seconds), reason="429", now=NOON)
        with engine.connect() as connection:
            assert holds.held_until(connection, holds.PAYMENTS, now=NOON) == later(until)


def test_a_stores_own_hold_binds_that_store_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        holds.hold(connection, holds.of_store(holds.PAYMENTS, "STORE-1"), until=later(60), reason="403", now=NOON)
        assert holds.held_until(connection, holds.of_store(holds.PAYMENTS, "STORE-1"), now=NOON) == later(60)
        assert holds.held_until(connection, holds.of_store(holds.PAYMENTS, "STORE-2"), now=NOON) is None
        assert holds.held_until(connection, holds.PAYMENTS, now=NOON) is None


def test_many_who_hear_it_at_once_leave_the_longest(engine: Engine) -> None:
    def hear(seconds: int) -> None:
        with engine.begin() as connection:
            holds.hold(connection, holds.PAYMENTS, until=later(seconds), reason="429", now=NOON)

    threads = [threading.Thread(target=hear, args=(seconds,)) for seconds in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert holds.held_until(connection, holds.PAYMENTS, now=NOON) == later(8)


def test_a_batchs_time_moves_on_while_it_runs() -> None:
    ticks = iter([100.0, 100.0, 142.5])
    now = holds.moved_on(NOON, clock=lambda: next(ticks))
    assert now() == NOON
    assert now() == later(42.5)
