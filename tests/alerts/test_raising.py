"""Alerts: one row per key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

from backroom.alerts import raise_alert

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def alarm(engine: Engine, key: str, at: datetime = NOW) -> None:
    with engine.begin() as connection:
        raise_alert(connection, key=key, severity="warning", title="a thing", what_to_do="look", now=at)


def times(engine: Engine, key: str) -> tuple[int, datetime, datetime]:
    with engine.connect() as connection:
        row = connection.execute(
            text("select times, first_at, last_at from alert where deduplication_key = :key"), {"key": key}
        ).one()
        return tuple(row)  # type: ignore[return-value]


def test_the_same_thing_is_one_alert_that_counts(database: Engine) -> None:
    for minute in (0, 5, 2):
        alarm(database, "again", NOW + timedelta(minutes=minute))
    assert times(database, "again") == (3, NOW, NOW + timedelta(minutes=5))


def test_many_who_notice_at_once_raise_one_alert_and_none_is_lost(database: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: alarm(database, "at once"), range(16)))
    assert times(database, "at once")[0] == 16
