"""The DAG reconciles the released day and the store's unsettled earlier days, and writes the reports."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, text

from backroom.errors import ConfigurationError
from backroom.reconciliation.runs import reconcile_day
from backroom_airflow import reconciliation_tasks
from tests.reconciliation.conftest import DAY, NEXT_MORNING, Books, open_store

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

RELEASED = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def shop(database: Engine) -> Books:
    """A store with one good trip, whose day was released."""
    with database.begin() as connection:
        books = Books(connection, "STORE-001")
        open_store(books)
        books.trip()
        books.insert(
            "day_release", store_id="STORE-001", business_date=DAY, revision=1, complete=True, released_at=RELEASED
        )
    return books


def _context(conf: dict[str, Any] | None = None, partition_key: str | None = None) -> dict[str, Any]:
    run = SimpleNamespace(run_id="r", conf=conf, partition_key=partition_key, logical_date=None, run_after=NEXT_MORNING)
    return {"dag_run": run}


def test_a_run_by_hand_judges_the_day_and_leaves_the_stores_and_the_companys_report(
    shop: Books, database: Engine, home: Path, dag_bag: DagBag
) -> None:
    conf = {"store_id": "STORE-001", "business_date": "2026-03-02", "now": NEXT_MORNING.isoformat()}
    run = dag_bag.dags["reconciliation"].test(logical_date=None, run_after=NEXT_MORNING, run_conf=conf)
    assert str(run.state) == "success"
    with database.connect() as connection:
        kept = connection.execute(text("select * from reconciliation_run")).mappings().one()
    assert (kept["revision"], kept["trips"], kept["matched"], kept["breaks_open"]) == (1, 1, 1, 0)
    assert (kept["complete"], kept["as_of"]) == (True, NEXT_MORNING)
    folder = home / "reports" / "2026-03-02"
    data = {f"STORE-001.{name}.{kind}" for name in ("trips", "lines", "breaks") for kind in ("csv", "parquet")}
    pages = {f"{stem}.{kind}" for stem in ("STORE-001", "company")
             for kind in ("html", "xlsx", "figures.csv", "figures.parquet")}  # fmt: skip
    assert {path.name for path in folder.iterdir()} == data | pages
    assert kept["html_path"] == str(folder / "STORE-001.html")


def test_a_released_day_is_judged_as_of_its_release(shop: Books, database: Engine) -> None:
    runs = reconciliation_tasks.reconcile(**_context(partition_key="STORE-001|2026-03-02"))
    with database.connect() as connection:
        as_of = connection.execute(
            text("select coalesce(checked_at, as_of) from reconciliation_run where run_id = :run"), {"run": runs[0]}
        ).scalar_one()
    assert as_of == RELEASED


def test_earlier_days_that_were_left_waiting_are_judged_again_and_settled_ones_are_not(
    shop: Books, database: Engine
) -> None:
    with database.begin() as connection:
        books = Books(connection, "STORE-009")
        open_store(books)
        trip = books.trip(order=None)
        settled = DAY - timedelta(days=1)
        for day in (DAY, settled):
            reconcile_day(connection, store_id="STORE-009", business_date=day, complete=False, now=RELEASED)
    runs = reconciliation_tasks.reconcile(
        **_context(conf={"store_id": "STORE-009", "business_date": "2026-03-03", "now": "2026-03-06T00:00:00Z"})
    )
    with database.connect() as connection:
        days = connection.execute(
            text("select business_date, breaks_open from reconciliation_run where run_id = any(:runs) order by run_id"),
            {"runs": runs},
        ).all()
        late = connection.execute(text("select shopping_trip_id, kind from reconciliation_break")).all()
    assert [tuple(row) for row in days] == [(date(2026, 3, 3), 0), (DAY, 1)]
    assert [tuple(row) for row in late] == [(trip, "MISSING_ORDER")]


def test_a_report_of_a_superseded_run_is_that_of_the_newest_and_one_that_stands_is_not_written_again(
    shop: Books, database: Engine
) -> None:
    first = reconciliation_tasks.reconcile(**_context(partition_key="STORE-001|2026-03-02"))
    with database.begin() as connection:
        Books(connection, "STORE-001", trips=["T"]).trip()
    second = reconciliation_tasks.reconcile(**_context(partition_key="STORE-001|2026-03-02"))
    again = reconciliation_tasks.reconcile(**_context(partition_key="STORE-001|2026-03-02"))
    assert first[0] < second[0] == again[0]
    assert [Path(path).name for path in reconciliation_tasks.write_reports(first)] == ["STORE-001.html", "company.html"]
    assert reconciliation_tasks.write_reports(again) == []


@pytest.mark.parametrize("conf", [{}, None, {"store_id": "STORE-001"}, {"store_id": "S", "business_date": "soon"}])
def test_a_run_that_names_no_store_and_day_says_how_to(conf: dict[str, Any] | None) -> None:
    with pytest.raises(ConfigurationError, match="names no store and day: give"):
        reconciliation_tasks.asked(_context(conf))
