"""Where the time comes from. Rules take the time as an argument; only the edges ask a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The present in UTC."""
    return datetime.now(UTC)


def parse_instant(text: str) -> datetime:
    """An ISO 8601 instant with its zone, as UTC. Raises ValueError where it is malformed or has no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an instant; write 2026-03-01T17:00:00Z") from error
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write 2026-03-01T17:00:00Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is outside the years 1 to 9999") from error


@lru_cache(maxsize=1024)
def _date_of_minute(minute: datetime, time_zone: str) -> date:
    return minute.astimezone(ZoneInfo(time_zone)).date()


def business_date(moment: datetime, time_zone: str) -> date:
    """The store's calendar day at that moment: the day the books of that store count it on."""
    return _date_of_minute(moment.replace(second=0, microsecond=0), time_zone)  # zones differ by whole minutes


def business_day_bounds(day: date, time_zone: str) -> tuple[datetime, datetime]:
    """Start (inclusive) and end (exclusive) of a store's business day, in UTC: 23, 24 or 25 hours apart."""
    zone = ZoneInfo(time_zone)
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    following = date.fromordinal(day.toordinal() + 1)
    end = datetime(following.year, following.month, following.day, tzinfo=zone)
    return start.astimezone(UTC), end.astimezone(UTC)
