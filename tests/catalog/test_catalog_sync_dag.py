"""The DAG catalog_sync, run by Airflow against the sandbox, its wait deferred."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from airflow.models import DagRun
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.module_loading import import_string
from sqlalchemy import Engine, text

from backroom.amazon.catalog import CatalogClient
from backroom.catalog import sync
from backroom.catalog.source import Source
from backroom.reviews import cases
from backroom.settings import settings
from backroom_airflow import catalog_sync_tasks
from backroom_airflow.catalog_operator import CatalogResultsOperator
from tests.catalog.conftest import NOW, ask, item, write_csv
from tests.catalog.test_sync import load
from tests.sandbox_fixtures import SandboxClient

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


@pytest.fixture(autouse=True)
def _source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BACKROOM_CATALOG_SOURCE", str(tmp_path))
    monkeypatch.setenv("BACKROOM_CATALOG_POLL_SECONDS", "0.2")
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_catalog_goes_to_amazon(
    clean: Engine, sandbox: SandboxClient, small_world: Path, dag_bag: DagBag, tmp_path: Path
) -> None:
    load(sandbox, small_world)
    write_csv(tmp_path, [item(number) for number in range(20)])
    dag = dag_bag.dags["catalog_sync"]
    run = dag.test(logical_date=NOW)
    assert run.state == "success"
    assert ask(clean, "select state, items_new from catalog_run") == [("DONE", 20)]
    assert ask(clean, "select count(*) from catalog_accepted") == [(20,)]


def test_a_missing_source_fails_the_first_task_with_its_one_line(
    clean: Engine, sandbox: SandboxClient, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag = dag_bag.dags["catalog_sync"]
    monkeypatch.setattr(dag.get_task("read_and_compare"), "retries", 0)  # they wait for a file that comes late
    run = dag.test(logical_date=NOW.replace(day=4))
    assert run.state == "failed"
    assert "holds no .csv, .parquet, .json or .jsonl file" in ask(clean, "select reason from catalog_run")[0][0]


def test_a_release_starts_one_run_of_the_store_that_a_person_has_let_on_and_that_run_sends_it(
    clean: Engine,
    sandbox: SandboxClient,
    small_world: Path,
    dag_bag: DagBag,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BACKROOM_CATALOG_GUARD_ITEMS", "2")
    settings.cache_clear()
    load(sandbox, small_world)
    release, now = dag_bag.dags["catalog_release"], NOW.replace(day=6)
    for numbers in (range(20), range(5)):
        write_csv(tmp_path, [item(number) for number in numbers])
        sync.start_run(clean, source=Source(str(tmp_path)), business_date=NOW.date(), now=NOW)
    write_csv(tmp_path, [item(1, store_id="STORE-002")], "STORE-002")  # not what was decided about
    nobody = release.test(logical_date=now)
    assert {task.task_id: task.state for task in nobody.get_task_instances()}["start"] == "skipped"
    with clean.begin() as connection:
        ((case_id,),) = connection.execute(text("select case_id from review_case"))
        cases.decide(connection, case_id, "send", by="anna", reason="a smaller assortment", now=NOW)
    for minutes in (10, 20):  # the started run has not begun yet
        release.test(logical_date=now.replace(minute=minutes))
    started = [run for run in DagRun.find(dag_id="catalog_sync") if run.run_id.startswith("release__STORE-001")]
    assert [run.run_id for run in started] == [f"release__STORE-001__case-{case_id}__2026-03-06T06"]
    run = dag_bag.dags["catalog_sync"].test(
        logical_date=started[0].logical_date, run_after=started[0].run_after, run_conf=started[0].conf
    )
    assert run.state == "success"
    assert ask(clean, "select store_id, count(*) from catalog_accepted group by 1") == [("STORE-001", 5)]
    assert ask(clean, "select held_stores, store_id from catalog_run order by run_id desc limit 1") == [
        ([], "STORE-001")
    ]
    assert catalog_sync_tasks.released_stores(dag_run=run) == []


def test_the_wait_holds_no_slot_and_attaches_again_by_the_runs_id(
    clean: Engine, sandbox: SandboxClient, small_world: Path, tmp_path: Path
) -> None:
    sandbox.post("/sandbox/load", {"world": str(small_world), "seed": 1, "faults": {"catalog_polls": 4}})
    write_csv(tmp_path, [item(1)])
    run_id = sync.start_run(clean, source=Source(str(tmp_path)), business_date=NOW.date(), now=NOW)
    with CatalogClient(settings(), clean) as client:
        sync.upload(clean, client, run_id=run_id, now=NOW)
    operator = CatalogResultsOperator(task_id="wait", catalog_run_id=str(run_id))
    context = {"dag_run": SimpleNamespace(logical_date=NOW)}
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    path, kept = deferred.value.trigger.serialize()
    again = import_string(path)(**kept)  # as a triggerer does after a restart
    event = asyncio.run(anext(again.run()))
    assert event.payload == {"run_id": run_id, "settled": True, "reason": ""}
    assert operator.resume(context, event.payload) == run_id
    assert operator.execute(context) == run_id
