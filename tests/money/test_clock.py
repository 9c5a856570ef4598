"""Business days are the store's, also where clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.clock import business_date, business_day_bounds, parse_instant

ZONES = st.sampled_from(["America/New_York", "America/Los_Angeles", "Europe/Berlin", "Asia/Tokyo", "Australia/Sydney"])
INSTANTS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds, given without a zone


@given(INSTANTS, ZONES)
def test_each_instant_lies_inside_the_bounds_of_its_own_business_day(moment: datetime, zone: str) -> None:
    start, end = business_day_bounds(business_date(moment, zone), zone)
    assert start <= moment < end


@given(st.dates(min_value=date(2020, 1, 1), max_value=date(2035, 1, 1)), ZONES)
def test_days_follow_one_another_without_gap_or_overlap(day: date, zone: str) -> None:
    start, end = business_day_bounds(day, zone)
    assert end == business_day_bounds(day + timedelta(days=1), zone)[0]
    assert end - start in (timedelta(hours=23), timedelta(hours=24), timedelta(hours=25))
    assert business_date(start, zone) == day
    assert business_date(end - timedelta(microseconds=1), zone) == day


@pytest.mark.parametrize(("day", "hours"), [("2026-03-08", 23), ("2026-03-09", 24), ("2026-11-01", 25)])
def test_new_yorks_days_have_23_24_or_25_hours(day: str, hours: int) -> None:
    start, end = business_day_bounds(date.fromisoformat(day), "America/New_York")
    assert end - start == timedelta(hours=hours)


def test_a_late_evening_in_new_york_is_the_next_day_in_utc_but_not_in_the_books() -> None:
    assert business_date(datetime(2026, 3, 3, 4, 59, tzinfo=UTC), "America/New_York") == date(2026, 3, 2)
    assert business_date(datetime(2026, 3, 3, 5, 0, tzinfo=UTC), "America/New_York") == date(2026, 3, 3)


@pytest.mark.parametrize("text", ["2026-03-01T17:00:00Z", "2026-03-01T12:00:00-05:00", "2026-03-01T18:00+01:00"])
def test_an_instant_is_read_as_utc_whatever_its_zone(text: str) -> None:
    assert parse_instant(text) == datetime(2026, 3, 1, 17, tzinfo=UTC)
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["2026-03-01T17:00:00", "2026-03-01", "soon", ""])
def test_an_instant_without_a_zone_or_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time zone|not an instant"):
        parse_instant(text)
