"""When DAGs run by themselves."""

from __future__ import annotations

from airflow.sdk import CronDataIntervalTimetable

from backroom.settings import settings


def every(cron: str) -> CronDataIntervalTimetable | None:
    """A UTC cron schedule with data intervals; None where BACKROOM_SCHEDULES=off (runs only when asked for)."""
    if settings().schedules == "off":
        return None
    return CronDataIntervalTimetable(cron, timezone="UTC")
