"""The DAG catalog_sync, run by Airflow against the sandbox, its wait deferred."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine

from backroom.settings import settings
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
