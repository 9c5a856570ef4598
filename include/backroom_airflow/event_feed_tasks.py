"""The task of the DAG `event_feed`."""

from __future__ import annotations

from typing import Any

from backroom_airflow import business_time


def drain(**context: Any) -> dict[str, int]:
    """Take in every event that waits; counts."""
    from backroom.db.engine import engine
    from backroom.feeds.aws import aws
    from backroom.feeds.events import drain as drain_events

    return dict(drain_events(engine(), aws(), now=business_time.of(context)).__dict__)
