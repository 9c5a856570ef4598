"""Statements of processes that serve: committed by themselves or with a transaction, bounded, good after a restart."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backroom.db.serving import Statement, is_lost, serving_engine, transaction

INSERT = Statement("insert into kept (id) values (%(id)s) on conflict do nothing returning id")
WAIT = Statement("select pg_sleep(%(seconds)s)")
FIND = Statement("select id from kept where id = %(id)s")
TWICE = Statement("select %(a)s::text || %(b)s || %(a)s as both, current_setting('enable_seqscan') as seqscan")
LOCKED = Statement("update kept set id = id where id = %(id)s")


@pytest.fixture(scope="module")
def kept(database: Engine) -> Engine:
    with database.begin() as connection:
        connection.execute(text("create table kept (id text primary key)"))
    return database


@pytest.fixture
def serving(kept: Engine) -> Iterator[Engine]:
    engine = serving_engine(kept.url, connections=2, timeout_seconds=0.5, application="a test that serves")
    yield engine
    engine.dispose()


def stored(engine: Engine, identifier: str) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(text("select true from kept where id = :id"), {"id": identifier}))


def kill_all(engine: Engine) -> int:
    with engine.connect() as connection:
        killed = connection.scalars(
            text("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'a test that serves'")
        ).all()
    return len(killed)


def test_a_statement_commits_by_itself(kept: Engine, serving: Engine) -> None:
    assert INSERT.one(serving, {"id": "alone"}).id == "alone"
    assert stored(kept, "alone")
    assert INSERT.one(serving, {"id": "alone"}) is None


def test_in_a_transaction_it_commits_with_the_others_or_not_at_all(kept: Engine, serving: Engine) -> None:
    with transaction(serving) as connection:
        INSERT.one(connection, {"id": "together"})
        assert not stored(kept, "together")
        assert FIND.one(connection, {"id": "together"})
    assert stored(kept, "together")
    with pytest.raises(RuntimeError), transaction(serving) as connection:
        INSERT.one(connection, {"id": "undone"})
        raise RuntimeError
    assert not stored(kept, "undone")
    INSERT.one(serving, {"id": "after"})  # the same pool commits by itself again
    assert stored(kept, "after")


def test_parameters_go_by_name_however_often_they_are_used(serving: Engine) -> None:
    row = TWICE.one(serving, {"b": "-", "a": "x%(y)s'", "unused": 1})
    assert (row.both, row.seqscan) == ("x%(y)s'-x%(y)s'", "off")


def test_after_the_server_has_ended_all_connections_one_call_fails_and_the_next_works(
    kept: Engine, serving: Engine
) -> None:
    with serving.connect() as one, serving.connect() as other:  # both of the pool are open
        assert one.scalar(text("select 1")) == other.scalar(text("select 1"))
    assert kill_all(kept) == 2
    with pytest.raises(psycopg.OperationalError) as caught:
        INSERT.one(serving, {"id": "lost"})
    assert is_lost(caught.value)
    for number in range(3):
        assert INSERT.one(serving, {"id": f"found {number}"}).id == f"found {number}"


def test_a_statement_that_takes_too_long_ends_and_its_connection_stays_good(serving: Engine) -> None:
    began = time.perf_counter()
    with pytest.raises(psycopg.errors.QueryCanceled) as caught:
        WAIT.one(serving, {"seconds": 20})
    assert time.perf_counter() - began < 10
    assert not is_lost(caught.value)
    assert serving.pool.checkedin() == 1  # type: ignore[attr-defined]
    assert INSERT.one(serving, {"id": "after a time-out"})


def test_a_wait_for_a_lock_ends_too(kept: Engine, serving: Engine) -> None:
    INSERT.one(serving, {"id": "held"})
    with kept.begin() as holder:
        holder.execute(text("select from kept where id = 'held' for update"))
        with pytest.raises((psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled)) as caught:
            LOCKED.one(serving, {"id": "held"})
    assert not is_lost(caught.value)
    LOCKED.one(serving, {"id": "held"})


def test_no_more_connections_than_were_asked_for_are_made_and_the_wait_for_one_ends(serving: Engine) -> None:
    with serving.connect(), serving.connect(), pytest.raises(PoolTimeout) as caught:
        FIND.one(serving, {"id": "x"})
    assert not is_lost(caught.value)
