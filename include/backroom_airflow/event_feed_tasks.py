"""The task of the DAG `event_feed`."""

from __future__ import annotations

from typing import Any

from backroom_airflow import business_time


def drain(**context: Any) -> dict[str, int]:
    """Take in every event that waits, and look for trips without a purchase; counts."""
    from backroom.db.engine import engine, transaction
    from backroom.feeds.aws import aws
    from backroom.feeds.events import drain as drain_events
    from backroom.feeds.watching import watch_orders

    now = business_time.of(context)
    counts = drain_events(engine(), aws(), now=now)
    with transaction() as connection:
        unclaimed = watch_orders(connection, now=now)
    return {**counts.__dict__, "unclaimed": unclaimed}
