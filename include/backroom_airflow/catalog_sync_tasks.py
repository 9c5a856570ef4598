"""The tasks of the DAG `catalog_sync`."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from backroom_airflow import business_time


def read_and_compare(**context: Any) -> int:
    """Read the source files, judge them, compare with what Amazon has; the catalog run's id."""
    from backroom.catalog import sync
    from backroom.db.engine import engine
    from backroom.settings import settings

    now = business_time.of(context)
    return sync.start_run(
        engine(), folder=settings().catalog_source_folder, business_date=now.astimezone(UTC).date(), now=now
    )


def upload(catalog_run_id: int, **context: Any) -> int:
    """Send the difference in batches; how many were sent. What could not be sent, the wait sends again."""
    from backroom.amazon.catalog import CatalogClient
    from backroom.catalog import sync
    from backroom.db.engine import engine
    from backroom.settings import settings

    with CatalogClient(settings(), engine()) as client:
        return len(sync.upload(engine(), client, run_id=catalog_run_id, now=business_time.of(context)))


def record_results(catalog_run_id: int, **context: Any) -> dict[str, Any]:
    """Record what became of each item; the run in figures. Fails for good where a batch is not at Amazon."""
    from backroom.amazon.catalog import CatalogClient
    from backroom.catalog import sync
    from backroom.db.engine import engine
    from backroom.settings import settings

    with CatalogClient(settings(), engine()) as client:
        summary = sync.apply_reports(engine(), client, run_id=catalog_run_id, now=business_time.of(context))
    if summary.batches_failed:
        raise AirflowFailException(
            f"catalog run {catalog_run_id}: {summary.batches_failed} of {summary.batches} batches are not at Amazon; "
            "see `backroom catalog status` and the alerts"
        )
    return dict(summary.__dict__)
