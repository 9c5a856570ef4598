"""The suites run in PostgreSQL; each result is a row, and a page of Data Docs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from backroom.quality import suites
from backroom.quality.data_sets import DATA_SETS

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(database: Engine) -> Iterator[Engine]:
    """One store with two orders, of which one is wrong in two ways."""
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " preauthorization_amount, feeds) values ('S-1', 'S', 'm', 'UTC', 'USD', 'X', 'NONE', 50, '{FILES}')"
            )
        )
        for order, total, status in (("good", 8, "SETTLED"), ("bad", 9, "CANCELLED")):
            connection.execute(
                text(
                    "insert into amazon_order values ('S-1', :order, :trip, '2026-03-01', :status, 'APP',"
                    " '2026-03-01T10:00Z', '2026-03-01T10:10Z', 'USD', :total, 75, 8, 0, 'VISA', '4242', null,"
                    " '2026-03-01T10:11Z', '2026-03-01T10:15Z', '', false)"
                ),
                {"order": order, "trip": f"trip-{order}", "total": total, "status": status},
            )
            connection.execute(
                text(
                    "insert into amazon_order_line values ('S-1', :order, 1, 'SKU', 1, 'unit', 8, 7.5, 0, 0.5,"
                    " '2026-03-01T10:11Z', '2026-03-01T10:15Z', '', 1, false)"
                ),
                {"order": order},
            )
    return database


@pytest.fixture(scope="module")
def results(world: Engine, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[suites.Result], Path]:
    """All suites, checked once."""
    docs = tmp_path_factory.mktemp("docs")
    return suites.check(world, data_sets=suites.names(), run="r-1", now=NOW, docs_folder=docs), docs


def test_every_data_set_has_a_suite_with_a_meaning_for_each_expectation() -> None:
    for name in DATA_SETS:
        suite = json.loads((suites.SUITES / f"{name}.json").read_text())
        assert len(suite["expectations"]) >= 10
        assert {one["severity"] for one in suite["expectations"]} == {"critical", "warning", "info"} or name == "orders"
        assert all(one["meta"]["notes"] for one in suite["expectations"])


def test_every_expectation_runs_and_is_kept_as_a_row(world: Engine, results: tuple[list[suites.Result], Path]) -> None:
    found, _ = results
    expected = sum(len(json.loads((suites.SUITES / f"{name}.json").read_text())["expectations"]) for name in DATA_SETS)
    assert len(found) == expected
    with world.connect() as connection:
        assert connection.execute(text("select count(*) from quality_result where run = 'r-1'")).scalar() == expected


def test_failed_expectations_name_the_rows(results: tuple[list[suites.Result], Path]) -> None:
    failed = {(one.data_set, one.column_name): one for one in results[0] if not one.success}
    assert set(failed) == {("orders", "order_total, lines_total"), ("orders", "cancelled_without_money")}
    for one in failed.values():
        assert one.sample == ["S-1|bad"]
        assert one.rows_unexpected == 1
        assert one.is_critical


def test_a_run_of_the_catalog_without_a_source_and_one_that_lost_what_it_set_aside_are_named(
    world: Engine, tmp_path: Path
) -> None:
    with world.begin() as connection:
        connection.execute(
            text(
                "insert into catalog_run (run_id, business_date, source, state, started_at, items_read, items_rejected)"
                " overriding system value values (1, '2026-03-01', 'here', 'FAILED', :now, 0, 0),"
                " (2, '2026-03-02', 'here', 'DONE', :now, 90, 2), (3, '2026-03-03', 'here', 'DONE', :now, 90, 0)"
            ),
            {"now": NOW},
        )
        connection.execute(
            text(
                "insert into catalog_rejection (run_id, file, line, store_id, item_sku, reason, raw)"
                " values (2, 'S-1.csv', 7, 'S-1', 'SKU', 'torn', '{}')"
            )
        )
    found = suites.check(world, data_sets=["catalog_source"], run="catalog", now=NOW, docs_folder=tmp_path)
    with world.begin() as connection:
        connection.execute(text("truncate catalog_run cascade"))
    assert {(one.column_name, one.is_critical, *one.sample) for one in found if not one.success} == {
        ("could_be_read", False, "1"),
        ("each_is_kept", True, "2|S-1.csv|7"),
    }


def test_data_docs_are_a_site_to_open(results: tuple[list[suites.Result], Path]) -> None:
    index = results[1] / "index.html"
    assert index.exists()
    assert "orders" in index.read_text()
    assert list((results[1] / "validations" / "orders").rglob("*.html"))


def test_checking_the_same_run_again_replaces_its_rows(world: Engine, tmp_path: Path) -> None:
    for _ in range(2):
        suites.check(world, data_sets=["products"], run="again", now=NOW, docs_folder=tmp_path)
    with world.connect() as connection:
        rows = connection.execute(text("select count(*) from quality_result where run = 'again'")).scalar_one()
    assert rows == len(json.loads((suites.SUITES / "products.json").read_text())["expectations"])


@pytest.mark.parametrize("content", ["", "[]", '{"expectations": [{"severity": "grave"}]}'])
def test_a_broken_suite_is_one_line(world: Engine, tmp_path: Path, content: str) -> None:
    (tmp_path / "orders.json").write_text(content)
    with pytest.raises(suites.SuiteUnreadable, match=r"orders\.json"):
        suites.check(world, data_sets=["orders"], run="x", now=NOW, docs_folder=tmp_path / "docs", suites=tmp_path)


def test_an_unknown_data_set_is_named(world: Engine, tmp_path: Path) -> None:
    with pytest.raises(suites.SuiteUnreadable, match="'sales'"):
        suites.check(world, data_sets=["sales"], run="x", now=NOW, docs_folder=tmp_path)
