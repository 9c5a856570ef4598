"""The DAGs of the feeds, run by Airflow over moto and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, text

from backroom.clock import business_day_bounds
from backroom.feeds import intraday
from backroom.feeds.aws import Aws
from backroom.feeds.completeness import windows
from backroom.orders.merge import Merged, merge
from backroom.settings import settings
from tests.feeds.conftest import STORE, Amazon, as_csv, order
from tests.feeds.test_completeness import cover
from tests.feeds.test_intraday import ask

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAY = date(2026, 3, 1)


@pytest.fixture(autouse=True)
def _settings(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BACKROOM_AWS_ENDPOINT_URL", moto_endpoint)
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_files_of_a_day_come_in_and_release_it_once(
    clean: Engine, aws: Aws, amazon: Amazon, dag_bag: DagBag
) -> None:
    start, end = business_day_bounds(DAY, "America/New_York")
    needed = windows(DAY, "America/New_York", margin=timedelta(hours=1))
    cover(clean, needed[:90])  # came in earlier runs
    at = f"{start:%Y-%m-%dT%H:%M:%SZ}"
    for window in needed[90:]:
        rows = order(f"o-{window:%H%M}", tripStartTime=at, tripEndTime=at)
        amazon.write(as_csv(rows if window.minute == 0 else []), f"{window:%Y%m%d_%H%M}")
    now = end + timedelta(hours=2)
    run = dag_bag.dags["intraday_ingestion"].test(logical_date=now)
    assert run.state == "success"
    assert ask(clean, "select state, count(*) from feed_file group by 1") == [("INGESTED", 100)]
    assert ask(clean, "select store_id, business_date, revision, complete from day_release") == [(STORE, DAY, 1, True)]
    assert released() == [f"{STORE}|{DAY}"]
    again = dag_bag.dags["intraday_ingestion"].test(logical_date=now + timedelta(minutes=15))
    assert again.state == "success"
    assert {ti.task_id: ti.state for ti in again.get_task_instances()}["release_complete_days"] == "skipped"
    assert released() == [f"{STORE}|{DAY}"]
    assert ask(clean, "select distinct suite, success from quality_result") == [("arrivals", True)]


def released() -> list[str]:
    """Partition keys of the events of the asset store_day, as the scheduler sees them."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    with create_session() as session:
        events = session.query(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        return [str(event.partition_key) for event in events.filter(AssetModel.name == "store_day")]


def test_a_row_that_is_lost_stops_the_run_before_a_day_is_released(
    clean: Engine, aws: Aws, amazon: Amazon, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loses_a_row(*given: Any, **named: Any) -> Merged:
        merged = merge(*given, **named)
        return replace(merged, applied=merged.applied - 1)

    monkeypatch.setattr(intraday, "merge", loses_a_row)
    amazon.write(as_csv(order("o-1", shoppingTripId="t-1") + order("o-2", shoppingTripId="t-1")))
    run = dag_bag.dags["intraday_ingestion"].test(logical_date=datetime(2026, 3, 3, tzinfo=UTC))
    assert run.state == "failed"
    states = {ti.task_id: ti.state for ti in run.get_task_instances()}
    assert (states["check_arrivals"], states["release_complete_days"]) == ("failed", "upstream_failed")
    assert ask(clean, "select expectation, sample from quality_result where not success order by severity") == [
        ("rows_are_accounted_for", ["acme/STORE-001/orders_20260301_1515.csv"]),
        ("a_trip_is_one_order", ["t-1"]),
    ]


def test_events_are_drained(clean: Engine, aws: Aws, amazon: Amazon, dag_bag: DagBag) -> None:
    event = {
        "version": "0",
        "id": "e-1",
        "detail-type": "CART",
        "time": "2026-03-01T10:00:00Z",
        "detail": {"shoppingTripId": "t", "storeId": STORE},
    }
    amazon.send(json.dumps(event), aws.events_queue)
    assert dag_bag.dags["event_feed"].test(logical_date=datetime(2026, 3, 3, tzinfo=UTC)).state == "success"
    assert ask(clean, "select event_id, known from feed_event") == [("e-1", True)]


def test_a_retry_of_the_releasing_run_announces_the_same_day_again(
    clean: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    from backroom_airflow import intraday_ingestion_tasks
    from backroom_airflow.assets import store_day

    now = datetime(2026, 3, 2, 8, tzinfo=UTC)
    with clean.begin() as connection:
        connection.execute(
            text("insert into day_release values (:store, :day, 1, true, :now, 0)"),
            {"store": STORE, "day": DAY, "now": now},
        )
    announced: list[str] = []
    context = {
        "dag_run": SimpleNamespace(logical_date=now, conf={}, run_id="r"),
        "outlet_events": {store_day: SimpleNamespace(add_partitions=announced.extend)},
    }
    intraday_ingestion_tasks.release_complete_days(**context)
    assert announced == [f"{STORE}|{DAY}"]
