"""The tasks of the DAG `catalog_sync`."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from backroom_airflow import business_time


def read_and_compare(**context: Any) -> int:
    """Read the source, judge it, compare with what Amazon has; the catalog run's id.

    The run's conf may name one `store`.
    """
    from backroom.catalog import source, sync
    from backroom.db.engine import engine
    from backroom.settings import settings

    now = business_time.of(context)
    return sync.start_run(
        engine(),
        source=source.configured(settings()),
        business_date=now.astimezone(UTC).date(),
        now=now,
        store_id=(context["dag_run"].conf or {}).get("store"),
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
    return {**summary.__dict__, "held": list(summary.held)}


def released_stores(**context: Any) -> list[dict[str, Any]]:
    """Runs of `catalog_sync` to be started: one for each store whose held source a person has let on.

    A run's id names its case and the hour: while it waits for its turn no other is started, and one that has failed
    is followed by another within the hour.
    """
    from backroom.catalog import guard_rail
    from backroom.db.engine import engine

    hour = f"{business_time.of(context):%Y-%m-%dT%H}"
    with engine().connect() as connection:
        found = guard_rail.released(connection)
    return [
        {"trigger_run_id": f"release__{store}__case-{case}__{hour}", "conf": {"store": store}}
        for store, case in found.items()
    ]
