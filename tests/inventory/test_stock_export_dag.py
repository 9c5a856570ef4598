"""The DAG stock_export, run by Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from backroom.settings import settings
from backroom_airflow import stock_export_tasks
from tests.inventory.conftest import Shop, add_store, after
from tests.inventory.point_of_sale import serving

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


def test_each_run_tells_what_is_new_store_by_store_and_a_rerun_tells_nothing(
    database: Engine, home: Path, dag_bag: DagBag
) -> None:
    dag = dag_bag.dags["stock_export"]
    with serving() as point_of_sale:
        with database.begin() as connection:
            add_store(connection, "BY-CALL")
            add_store(connection, "BY-FILE")
            add_store(connection, "QUIET")
            connection.execute(
                text("update store set point_of_sale_url = :url where store_id = 'BY-CALL'"), {"url": point_of_sale.url}
            )
        by_call, by_file = Shop(database, "BY-CALL"), Shop(database, "BY-FILE")
        by_call.sell("1", ("A", "2"))
        by_file.sell("1", ("A", "3"))
        point_of_sale.script.append(503)
        assert dag.test(logical_date=after(5)).state == "success", "a point of sale that is ill fails no run"
        assert point_of_sale.levels == {}
        assert len(list((home / "stock-exports").iterdir())) == 1
        assert dag.test(logical_date=after(10)).state == "success"
        assert point_of_sale.levels == {("BY-CALL", "A"): -2}
        assert len(point_of_sale.calls) == 2
        told = "select store_id, state, attempts, settled_at from stock_export order by store_id"
        with database.connect() as connection:
            assert [tuple(row) for row in connection.execute(text(told))] == [
                ("BY-CALL", "DONE", 2, after(10)),
                ("BY-FILE", "DONE", 1, after(5)),
            ]
        assert stock_export_tasks.stores_to_tell() == []


def test_where_the_export_is_off_no_store_is_told(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.begin() as connection:
        add_store(connection, "NEWS")
    Shop(database, "NEWS").sell("1", ("A", "1"))
    assert stock_export_tasks.stores_to_tell() == ["NEWS"]
    monkeypatch.setenv("BACKROOM_STOCK_EXPORT", "off")
    settings.cache_clear()
    assert stock_export_tasks.stores_to_tell() == []
    monkeypatch.undo()
    settings.cache_clear()
