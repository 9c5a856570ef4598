"""The audit log: who decided what stands for good, whichever app is asked to change it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from backroom.audit import trail
from backroom.db.roles import ROLES

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def log(database: Engine) -> Engine:
    with database.begin() as connection:
        trail.record(connection, at=NOW, actor="ana", action="review.decide", subject="trip-1", reason="a sticker")
    return database


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "statement",
    [
        "update audit_entry set actor = 'ben'",
        "update audit_entry set reason = ''",
        "delete from audit_entry",
        "truncate audit_entry",
        "alter table audit_entry add column x int",
        "drop table audit_entry",
        "insert into audit_entry (entry_id, at, actor, action, subject) values (1, now(), 'ben', 'x', 'x')"
        " on conflict (entry_id) do update set actor = excluded.actor",
    ],
)
def test_no_role_of_the_apps_can_change_what_is_written(log: Engine, role: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), log.begin() as connection:
        connection.execute(text(f"set local role {role}"))
        connection.execute(text(statement))
    with log.connect() as connection:
        assert connection.execute(text("select actor, reason from audit_entry")).one() == ("ana", "a sticker")


def test_the_pipelines_add_entries_and_the_readers_read_them(log: Engine) -> None:
    with log.connect() as connection:
        connection.execute(text("set local role backroom_pipeline"))
        trail.record(connection, at=NOW, actor="ben", action="debt.write_off", subject="trip-2")
        connection.execute(text("set local role backroom_reader"))
        assert connection.execute(text("select count(*) from audit_entry")).scalar_one() == 2
        connection.rollback()


def test_an_entry_falls_with_what_it_tells_of(log: Engine) -> None:
    with log.connect() as connection:
        trail.record(connection, at=NOW, actor="ben", action="x", subject="trip-3")
        connection.rollback()
        assert connection.execute(text("select count(*) from audit_entry")).scalar_one() == 1
