"""Moments as whole milliseconds since 1970 (UTC), and their ISO 8601 text."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
WINDOW = 15 * MINUTE
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(text: str) -> int:
    """Milliseconds of an ISO 8601 moment. Raises ValueError without a zone or for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: end it with Z")
    return from_datetime(moment)


def from_datetime(moment: datetime) -> int:
    """Milliseconds of an aware datetime."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def to_datetime(moment: int) -> datetime:
    """The moment in UTC."""
    return _EPOCH + timedelta(milliseconds=moment)


def text(moment: int) -> str:
    """`2026-11-23T17:53:57Z`, with milliseconds only where there are some."""
    when = to_datetime(moment)
    shown = when.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{shown}.{moment % SECOND:03d}Z" if moment % SECOND else f"{shown}Z"


def day_start(day: date, time_zone: str) -> int:
    """The moment at which a business day begins in a store's zone."""
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone)))


def business_date(moment: int, time_zone: str) -> date:
    """The day of a moment in a store's zone."""
    return to_datetime(moment).astimezone(ZoneInfo(time_zone)).date()
