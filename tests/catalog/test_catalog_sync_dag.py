"""The DAG catalog_sync, run by Airflow against the sandbox, its wait deferred."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.module_loading import import_string
from sqlalchemy import Engine, text

from backroom.amazon.catalog import CatalogClient
from backroom.catalog import sync
from backroom.catalog.source import Source
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


def test_the_catalog_goes_to_amazon_and_a_second_night_sends_nothing(
    clean: Engine, sandbox: SandboxClient, small_world: Path, dag_bag: DagBag, tmp_path: Path
) -> None:
    load(sandbox, small_world)
    write_csv(tmp_path, [item(number) for number in range(20)])
    dag = dag_bag.dags["catalog_sync"]
    run = dag.test(logical_date=NOW)
    assert run.state == "success"
    assert ask(clean, "select state, items_new from catalog_run") == [("DONE", 20)]
    assert ask(clean, "select count(*) from catalog_accepted") == [(20,)]
    again = dag.test(logical_date=NOW.replace(day=3))
    assert again.state == "success"
    assert ask(clean, "select count(*) from catalog_batch") == [(1,)]


def test_a_missing_source_fails_the_first_task_with_its_one_line(
    clean: Engine, sandbox: SandboxClient, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag = dag_bag.dags["catalog_sync"]
    monkeypatch.setattr(dag.get_task("read_and_compare"), "retries", 0)  # they wait for a file that comes late
    run = dag.test(logical_date=NOW.replace(day=4))
    assert run.state == "failed"
    assert "holds no .csv, .parquet, .json or .jsonl file" in ask(clean, "select reason from catalog_run")[0][0]


def test_one_store_is_synchronised_when_the_run_names_it(
    clean: Engine, sandbox: SandboxClient, small_world: Path, dag_bag: DagBag, tmp_path: Path
) -> None:
    load(sandbox, small_world)
    for store in ("STORE-001", "STORE-002"):
        write_csv(tmp_path, [item(number, store_id=store) for number in range(3)], store)
    run = dag_bag.dags["catalog_sync"].test(logical_date=NOW.replace(day=5), run_conf={"store": "STORE-001"})
    assert run.state == "success"
    assert ask(clean, "select distinct store_id from catalog_accepted") == [("STORE-001",)]


def test_a_release_starts_nothing_while_nobody_has_decided(clean: Engine, dag_bag: DagBag) -> None:
    run = dag_bag.dags["catalog_release"].test(logical_date=NOW)
    assert {task.task_id: task.state for task in run.get_task_instances()}["start"] == "skipped"
    assert catalog_sync_tasks.released_stores() == []
    with clean.begin() as connection:
        run_id = connection.execute(
            text(
                "insert into catalog_run (business_date, source, state, started_at, held_stores)"
                " values (:now, 's', 'DONE', :now, '{STORE-001}') returning run_id"
            ),
            {"now": NOW},
        ).scalar_one()
        connection.execute(
            text(
                "insert into review_case (kind, subject, store_id, asked_by, question, known, choices, opened_at,"
                " decision, decided_by, decided_at, decision_reason) values ('CATALOG_CHANGE', 'STORE-001:x',"
                " 'STORE-001', 'catalog', '?', jsonb_build_object('run', :run), '[]', :now, 'send', 'a', :now, 'r')"
            ),
            {"now": NOW, "run": run_id},
        )
    assert catalog_sync_tasks.released_stores() == [{"conf": {"store": "STORE-001"}}]


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
