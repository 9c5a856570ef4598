"""When the trips of a store's day end: by its own clock, at its edges, around its clock change, and all day long."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

QUARTER = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
AROUND_A_CHANGE = (-5 * MINUTE, MINUTE, 5 * MINUTE)
"""The hour before, a trip that the change falls into, and the hour after."""
_MORNING = timedelta(hours=6, minutes=5)


def bounds(day: date, zone: str) -> tuple[datetime, datetime]:
    """The store's midnights around that day, in UTC."""
    first, last = (datetime.combine(one, time(), ZoneInfo(zone)) for one in (day, day + timedelta(days=1)))
    return first.astimezone(UTC), last.astimezone(UTC)


def quarters(day: date, zone: str) -> int:
    """How many quarters of an hour that day has: 96, or 92 or 100 where its clock changes."""
    begins, ends = bounds(day, zone)
    return (ends - begins) // QUARTER


def clock_change(day: date, zone: str) -> datetime | None:
    """The moment (UTC) from which the store's clock has changed on that day."""
    begins, _ = bounds(day, zone)
    before = begins.astimezone(ZoneInfo(zone)).utcoffset()
    moments = (begins + QUARTER * number for number in range(quarters(day, zone)))
    return next((one for one in moments if one.astimezone(ZoneInfo(zone)).utcoffset() != before), None)


def over_the_day(day: date, zone: str, count: int, chance: Random) -> list[datetime]:
    """So many different moments (UTC) of that day: its last and first, those around a change of its clock, and others.

    The first and last are seconds from midnight on every other day, else two minutes. Of the others two in three are
    at the edge of a file's window.
    """
    begins, ends = bounds(day, zone)
    edges = [ends - SECOND, begins] if day.day % 2 else [ends - 2 * MINUTE, begins + 2 * MINUTE]
    change = clock_change(day, zone)
    around = [] if change is None else [change + one for one in AROUND_A_CHANGE]
    taken = {(one - begins) // QUARTER for one in around}
    free = [number for number in range(2, quarters(day, zone) - 1) if not taken & {number - 1, number, number + 1}]
    others = [
        begins + QUARTER * number + chance.choice((-SECOND, 0 * SECOND, 7 * MINUTE))
        for number in chance.sample(free, max(0, count - 2 - len(around)))
    ]
    return [*edges, *around, *others][:count]


def in_the_morning(day: date, zone: str, count: int) -> list[datetime]:
    """So many moments (UTC) from six o'clock on, so that what comes of a trip comes before the day's end."""
    return [bounds(day, zone)[0] + _MORNING + 4 * number * MINUTE for number in range(count)]
