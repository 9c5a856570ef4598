"""When DAGs run by themselves."""

from __future__ import annotations

from typing import Literal

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronDataIntervalTimetable

from backroom.settings import settings
from backroom_airflow.bell_trigger import BellTrigger


def every(cron: str) -> CronDataIntervalTimetable | None:
    """A UTC cron schedule with data intervals; None where BACKROOM_SCHEDULES=off (runs only when asked for)."""
    if settings().schedules == "off":
        return None
    return CronDataIntervalTimetable(cron, timezone="UTC")


def every_or_rung(
    cron: str, *, bell: Literal["intraday", "events"]
) -> CronDataIntervalTimetable | AssetOrTimeSchedule | None:
    """`every`, and also at once when a message comes into that feed's bell queue, where one is set.

    The watcher deletes what it receives before anything is done about it. So its queue only rings: the run drains the
    real queue, and deletes after its commit.
    """
    clock, config = every(cron), settings()
    queue = config.intraday_bell_queue if bell == "intraday" else config.events_bell_queue
    if clock is None or not queue:
        return clock
    trigger = BellTrigger(queue_url=queue, region=config.aws_region)
    rung = Asset(name=f"{bell}_bell", uri=f"x-backroom://{bell}-bell", watchers=[AssetWatcher(f"{bell}_bell", trigger)])
    return AssetOrTimeSchedule(timetable=clock, assets=[rung])
