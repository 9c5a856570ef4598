"""Every DAG loads, says whose it is, what it does and what to do when it fails, and has a test that runs it."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backroom_airflow import preloading
from backroom_airflow.tags import Tag

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

CHECKOUT = Path(__file__).resolve().parents[2]
DAG_IDS = {path.stem for path in (CHECKOUT / "dags").glob("*.py")}
POOLS = {"default_pool", *json.loads((CHECKOUT / "deploy" / "airflow" / "pools.json").read_text())}


def test_the_bag_is_the_folder_and_clean(dag_bag: DagBag) -> None:
    assert dag_bag.import_errors == {}
    assert set(dag_bag.dags) == DAG_IDS
    assert {"catalog_sync", "intraday_ingestion", "charge_lifecycle", "reconciliation"} <= DAG_IDS


@pytest.mark.parametrize("dag_id", sorted(DAG_IDS))
def test_a_dag_has_owner_tags_retries_pools_and_its_page(dag_bag: DagBag, dag_id: str) -> None:
    dag = dag_bag.dags[dag_id]
    assert dag.tags
    assert set(dag.tags) <= {tag.value for tag in Tag}
    assert dag.catchup is False
    assert dag.max_active_runs == (200 if dag_id == "review" else 1)  # a case waits for days
    page = (dag.doc_md or "").lower()
    assert "rerun" in page, "says what a rerun does"
    assert "fail" in page, "says what to do when it fails"
    assert re.search(r'its time.{0,4} is "now"|interval', page), "says whether it works on now or an interval"
    for task in dag.tasks:
        assert task.owner not in ("", "airflow"), task.task_id
        assert task.retries >= 1, task.task_id
        assert task.pool in POOLS, task.task_id


@pytest.mark.parametrize("dag_id", sorted(DAG_IDS))
def test_a_dag_file_is_wiring(dag_id: str) -> None:
    assert len((CHECKOUT / "dags" / f"{dag_id}.py").read_text().splitlines()) <= 110


@pytest.mark.parametrize("dag_id", sorted(DAG_IDS))
def test_a_dag_is_run_by_a_test(dag_id: str) -> None:
    ran = [
        path
        for path in (CHECKOUT / "tests").rglob("test_*.py")
        if ".test(" in (text := path.read_text()) and re.search(rf"[\"']{dag_id}[\"']", text) and path != Path(__file__)
    ]
    assert ran, f"no test runs dag.test() of {dag_id}"


@pytest.mark.parametrize(
    ("part", "executor", "loads"),
    [
        ("scheduler", "LocalExecutor", True),
        ("triggerer", "LocalExecutor", False),
        ("scheduler", "CeleryExecutor", False),
    ],
)
def test_what_tasks_import_is_loaded_ahead_by_the_process_that_forks_them(
    airflow_home: None, monkeypatch: pytest.MonkeyPatch, part: str, executor: str, loads: bool
) -> None:
    from airflow.listeners.listener import get_listener_manager

    loaded: list[str] = []
    monkeypatch.setattr(preloading.importlib, "import_module", loaded.append)
    monkeypatch.setattr(sys, "argv", ["airflow", part])
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    get_listener_manager().hook.on_starting(component=None)
    assert loaded == (list(preloading.MODULES) if loads else [])
    assert all(importlib.util.find_spec(module) for module in loaded)
