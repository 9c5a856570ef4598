"""backroom quality."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from backroom.cli import main
from backroom.db.engine import make_engine
from backroom.db.roles import set_password
from backroom.quality import suites
from tests.quality.test_suites import NOW, world

__all__ = ["world"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output, errors."""
    with pytest.raises(SystemExit) as ended:
        main(["quality", *arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_check_exits_1_and_names_the_rows_where_a_critical_expectation_fails(
    world: Engine, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "check", "--data-set", "orders", "--now", NOW.isoformat())
    assert code == 1
    assert "S-1|bad" in out
    assert "11 of 13 expectations hold" in out
    assert (home / "reports" / "quality" / "index.html").exists()
    code, out, _ = run(capsys, "check", "--data-set", "products", "--json")
    assert code == 0
    assert all(one["success"] for one in json.loads(out))
    assert "S-1|bad" in run(capsys, "results", "--json")[1]


def test_an_unknown_data_set_is_one_line(world: Engine, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "check", "--data-set", "sales")
    assert code == 2
    known = "catalog_source, products, orders, purchases, charges, debts, ledger"
    assert err == f"backroom: there is no data set 'sales'; there are {known}\n"


def test_the_pipelines_role_may_check(world: Engine, tmp_path: Path) -> None:
    set_password(world, "backroom_pipeline", "for-the-test")
    pipeline = make_engine(world.url.set(username="backroom_pipeline", password="for-the-test"))
    results = suites.check(pipeline, data_sets=suites.names(), run="role", now=NOW, docs_folder=tmp_path)
    assert {one.column_name for one in results if not one.success} == {
        "order_total, lines_total",
        "cancelled_without_money",
    }
    pipeline.dispose()
