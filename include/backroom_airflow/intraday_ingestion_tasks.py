"""The tasks of the DAG `intraday_ingestion`."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from backroom_airflow import business_time
from backroom_airflow.assets import store_day, store_day_key


def take_in(**context: Any) -> list[int]:
    """Copy and bring in every file that is announced or waits, and those that a person wants again; their ids."""
    from backroom.db.engine import engine
    from backroom.feeds.aws import aws
    from backroom.feeds.intraday import take_in as take_files_in
    from backroom.feeds.mending import retry_asked

    now = business_time.of(context)
    results = take_files_in(engine(), aws(), now=now)
    return [one.file_id for one in [*results, *retry_asked(engine(), aws(), now=now)]]


def check_arrivals(file_ids: list[int], **context: Any) -> int:
    """Check what the files brought, in SQL; how many checks failed. Fails for good where a critical one did."""
    from backroom.db.engine import transaction
    from backroom.quality.arrivals import check

    with transaction() as connection:
        results = check(connection, file_ids=file_ids, run=context["run_id"], now=business_time.of(context))
    if critical := [result.meaning for result in results if result.is_critical]:
        raise AirflowFailException(f"what came in is not sound: {'; '.join(critical)}; see `backroom quality results`")
    return sum(not result.success for result in results)


def watch(**context: Any) -> dict[str, int]:
    """Alert of windows that are overdue and of Amazon's orders without a purchase; how many of each."""
    from backroom.db.engine import transaction
    from backroom.feeds.watching import watch_gaps, watch_orders

    now = business_time.of(context)
    with transaction() as connection:
        return {"overdue_windows": watch_gaps(connection, now=now), "unclaimed": watch_orders(connection, now=now)}


def land(**_: Any) -> int:
    """Write each day of orders that has changed to our bucket as Parquet; how many days."""
    from backroom.db.engine import engine
    from backroom.feeds.aws import aws
    from backroom.orders.landing import land_changed_days
    from backroom.settings import settings

    config = settings()
    return len(land_changed_days(engine(), aws().s3, bucket=config.feeds_bucket, prefix=config.orders_prefix))


def release_complete_days(**context: Any) -> list[str]:
    """Release each store's day that is complete now, as a partition of the asset `store_day`.

    A day is recorded once; a retry of this run announces again what this run had recorded. Skipped where there is
    none, since a success without a partition would announce the asset itself.
    """
    from backroom.db.engine import transaction
    from backroom.feeds.completeness import days_released_at, newly_complete_days

    now = business_time.of(context)
    with transaction() as connection:
        newly_complete_days(connection, now=now)
        days = days_released_at(connection, now=now)
    if not days:
        raise AirflowSkipException("no store's day has become complete")
    keys = [store_day_key(store_id, day) for store_id, day in days]
    context["outlet_events"][store_day].add_partitions(keys)
    return keys
