"""The DAG data_quality, run by Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from backroom.quality import suites
from tests.quality.test_suites import NOW, world

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

__all__ = ["world"]


def test_a_failed_critical_expectation_fails_the_run_after_all_is_recorded_and_old_tokens_go_all_the_same(
    world: Engine, home: Path, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.begin() as connection:
        connection.execute(text("insert into shopper (shopper_id, type) values ('ana', 'SHOPPER')"))
        connection.execute(
            text(
                "insert into recognition_key (key_hash, shopper_id, kind, expires_at) values"
                " ('old', 'ana', 'TOKEN', :now - interval '1 day'), ('new', 'ana', 'TOKEN', :now - interval '23 h'),"
                " ('for ever', 'ana', 'TOKEN', null)"
            ),
            {"now": NOW},
        )
    run = dag_bag.dags["data_quality"].test(logical_date=NOW)
    assert run.state == "failed"
    states = {one.task_id: one.state for one in run.get_task_instances()}
    assert (states["check"], states["purge_tokens"]) == ("failed", "success")
    with world.begin() as connection:
        assert connection.execute(text("select count(*) from quality_result where not success")).scalar_one() == 2
        kept = connection.scalars(text("select key_hash from recognition_key order by 1")).all()
        connection.execute(text("delete from amazon_order_line where order_id = 'bad'"))
        connection.execute(text("delete from amazon_order where order_id = 'bad'"))
    assert kept == ["for ever", "new"]
    assert (home / "reports" / "quality" / "index.html").exists()
    monkeypatch.setattr(suites, "names", lambda: ["orders"])  # the one that has failed
    assert dag_bag.dags["data_quality"].test(logical_date=NOW.replace(day=3)).state == "success"
