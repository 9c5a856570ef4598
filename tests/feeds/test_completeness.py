"""When a store's day is complete."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.clock import business_day_bounds
from backroom.feeds.completeness import coverage, newly_complete_days, windows
from backroom.stores.registry import get_store
from tests.feeds.conftest import STORE

ZONE = "America/New_York"
HOUR = timedelta(hours=1)
DAY = date(2026, 3, 1)


def cover(engine: Engine, ends: Iterable[datetime], state: str = "INGESTED", store: str = STORE) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into feed_file (bucket, key, version, announced_at, store_id, window_end, state, received_at)"
                " values ('b', :key, :state, :end, :store, :end, :state, :end)"
            ),
            [{"key": f"{store} {end}", "end": end, "state": state, "store": store} for end in ends],
        )


def sell(engine: Engine, day: date = DAY) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into amazon_order values (:store, :order, :order, :day, 'OPEN', 'APP', now(), now(), 'USD',"
                " 1, 1, 0, 0, null, null, null, now(), now(), '', false)"
            ),
            {"store": STORE, "order": f"o-{day}", "day": day},
        )


def release(engine: Engine, now: datetime) -> list[tuple[str, date]]:
    with engine.begin() as connection:
        return newly_complete_days(connection, now=now)


def releases(engine: Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("select business_date, revision, complete, missing_windows from day_release order by 1, 2")
        )
        return [tuple(row) for row in rows]


@pytest.mark.parametrize(("day", "count"), [(date(2026, 3, 1), 96), (date(2026, 3, 8), 92), (date(2026, 11, 1), 100)])
def test_a_day_has_96_windows_and_92_or_100_where_clocks_change(day: date, count: int) -> None:
    needed = windows(day, ZONE, margin=timedelta(0))
    start, end = business_day_bounds(day, ZONE)
    assert len(needed) == count
    assert (needed[0], needed[-1]) == (start + timedelta(minutes=15), end)
    assert len(windows(day, ZONE, margin=HOUR)) == count + 4


def test_a_day_is_complete_when_every_window_and_the_next_hours_are_in(clean: Engine) -> None:
    _, end = business_day_bounds(DAY, ZONE)
    needed = windows(DAY, ZONE, margin=HOUR)
    cover(clean, needed[:-1])
    assert release(clean, end + 2 * HOUR) == []
    cover(clean, needed[-1:])
    assert release(clean, end + 2 * HOUR) == [(STORE, DAY)]
    assert release(clean, end + 3 * HOUR) == []
    assert releases(clean) == [(DAY, 1, True, 0)]


def test_windows_count_whatever_order_they_come_in_and_the_same_content_counts(clean: Engine) -> None:
    needed = windows(DAY, ZONE, margin=HOUR)
    cover(clean, reversed(needed[50:]))
    cover(clean, needed[:50], state="SAME_CONTENT")
    assert release(clean, needed[-1]) == [(STORE, DAY)]


@pytest.mark.parametrize("state", ["ANNOUNCED", "COPIED", "FAILED", "SUPERSEDED"])
def test_a_window_whose_file_is_not_in_is_missing(clean: Engine, state: str) -> None:
    needed = windows(DAY, ZONE, margin=HOUR)
    cover(clean, needed[1:])
    cover(clean, needed[:1], state=state)
    assert release(clean, needed[-1]) == []
    with clean.connect() as connection:
        store = get_store(connection, STORE)
        assert store is not None
        assert coverage(connection, store=store, day=DAY).missing == (needed[0],)


def test_each_store_is_judged_by_its_own_zone(clean: Engine) -> None:
    east = windows(DAY, ZONE, margin=HOUR)
    cover(clean, east)
    cover(clean, windows(DAY, "America/Los_Angeles", margin=HOUR), store="STORE-002")
    assert release(clean, east[-1]) == [(STORE, DAY)]
    assert release(clean, east[-1] + 4 * HOUR) == [("STORE-002", DAY)]


def test_a_day_before_its_end_is_never_released(clean: Engine) -> None:
    needed = windows(DAY, ZONE, margin=HOUR)
    cover(clean, needed)
    assert release(clean, needed[-1] - timedelta(seconds=1)) == []


def test_a_day_with_sales_is_released_incomplete_at_the_cutoff_and_again_when_the_rest_has_come(clean: Engine) -> None:
    _, end = business_day_bounds(DAY, ZONE)
    needed = windows(DAY, ZONE, margin=HOUR)
    cover(clean, needed[3:])
    sell(clean)
    assert release(clean, end + timedelta(hours=47)) == []
    assert release(clean, end + timedelta(hours=48)) == [(STORE, DAY)]
    assert release(clean, end + timedelta(hours=49)) == []
    with clean.connect() as connection:
        assert connection.execute(text("select severity, subject from alert")).one() == ("critical", f"{STORE}|{DAY}")
    cover(clean, needed[:3])
    assert release(clean, end + timedelta(hours=50)) == [(STORE, DAY)]
    assert releases(clean) == [(DAY, 1, False, 3), (DAY, 2, True, 0)]


def test_a_day_without_files_and_sales_is_never_released(clean: Engine) -> None:
    needed = windows(DAY, ZONE, margin=HOUR)
    cover(clean, needed[:1])
    assert release(clean, needed[-1] + timedelta(days=5)) == []


def test_a_store_with_events_alone_is_complete_a_quiet_time_after_its_day(clean: Engine) -> None:
    _, end = business_day_bounds(DAY, ZONE)
    with clean.begin() as connection:
        connection.execute(text("update store set feeds = '{EVENTS}' where store_id = 'STORE-001'"))
        connection.execute(
            text("insert into feed_event values ('e', 'CART', null, 't', 'STORE-001', :at, :at, true, '{}')"),
            {"at": datetime(2026, 3, 1, 15, tzinfo=UTC)},
        )
    assert release(clean, end + timedelta(minutes=59)) == []
    assert release(clean, end + HOUR) == [(STORE, DAY)]
