"""Aging: whole days of the store's own calendar, four buckets."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from backroom.debts.aging import BUCKETS, age_days, age_debts, bucket_of
from tests.charges.conftest import add_store

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

OPENED = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)  # 22:00 of the 23rd in New York, 19:00 in Los Angeles


@pytest.fixture(scope="module")
def stores(database: Engine) -> Engine:
    add_store(database, "EAST", time_zone="America/New_York")
    add_store(database, "TOKYO", time_zone="Asia/Tokyo")
    return database


@pytest.fixture
def debts(stores: Engine) -> Engine:
    with stores.begin() as connection:
        connection.execute(text("delete from debt"))
    return stores


def owe(engine: Engine, trip: str, *, store: str = "EAST", opened_at: datetime = OPENED, **values: Any) -> None:
    row = {"amount": Decimal("12.30"), "paid": Decimal(0), "state": "OPEN"} | values
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into debt (shopping_trip_id, store_id, cause, currency, amount, paid, state, opened_at)"
                " values (:trip, :store, 'ADJUST_DECLINED', 'USD', :amount, :paid, :state, :opened_at)"
            ),
            {"trip": trip, "store": store, "opened_at": opened_at, **row},
        )


def aged(engine: Engine, trip: str) -> tuple[int | None, str | None]:
    with engine.connect() as connection:
        row = connection.execute(text("select age_days, bucket from debt where shopping_trip_id = :t"), {"t": trip})
        return tuple(row.one())  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("age", "bucket"),
    [(0, "0-30"), (30, "0-30"), (31, "31-60"), (60, "31-60"), (61, "61-90"), (90, "61-90"), (91, "90+")],
)
def test_the_edges_of_the_buckets(age: int, bucket: str) -> None:
    assert bucket_of(age) == bucket


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 5000))
def test_every_age_is_in_exactly_one_bucket(opened_on: date, days: int) -> None:
    age = age_days(opened_on, opened_on + timedelta(days=days))
    holding = [bucket for bucket in BUCKETS if bucket.first <= age and (bucket.last is None or age <= bucket.last)]
    assert [bucket.name for bucket in holding] == [bucket_of(age)]


def test_a_debt_has_no_age_before_it_was_opened() -> None:
    with pytest.raises(ValueError, match="no age"):
        age_days(date(2026, 11, 23), date(2026, 11, 22))


def test_the_age_counts_days_of_the_stores_own_calendar(debts: Engine) -> None:
    owe(debts, "in-new-york")
    owe(debts, "in-tokyo", store="TOKYO")
    with debts.begin() as connection:
        age_debts(connection, now=datetime(2026, 11, 24, 12, 0, tzinfo=UTC))
    assert aged(debts, "in-new-york") == (1, "0-30")  # of the 23rd there
    assert aged(debts, "in-tokyo") == (0, "0-30")  # of the 24th there


def test_a_quarter_passes_through_every_bucket_and_the_database_agrees_with_the_rule(debts: Engine) -> None:
    owe(debts, "old")
    for days in (0, 29, 30, 31, 60, 61, 90, 91, 400):
        on = date(2026, 11, 23) + timedelta(days=days)
        with debts.begin() as connection:
            age_debts(connection, on=on, now=OPENED)
        assert aged(debts, "old") == (days, bucket_of(days))


def test_only_open_debts_age_and_the_summary_is_what_is_outstanding(debts: Engine) -> None:
    owe(debts, "half", paid=Decimal("2.30"))
    owe(debts, "paid", paid=Decimal("12.30"), state="PAID")
    owe(debts, "new", opened_at=OPENED + timedelta(days=60))
    with debts.begin() as connection:
        summary = age_debts(connection, on=date(2026, 12, 31), now=OPENED)
    assert [(row.bucket, row.debts, row.outstanding) for row in summary] == [("31-60", 1, Decimal("10.00"))]
    assert aged(debts, "paid") == (None, None)
    assert aged(debts, "new") == (None, None)


def test_a_rerun_of_an_older_day_leaves_the_newer_age(debts: Engine) -> None:
    owe(debts, "old")
    for on in (date(2026, 12, 31), date(2026, 12, 1), date(2026, 12, 31)):
        with debts.begin() as connection:
            age_debts(connection, on=on, now=OPENED)
    assert aged(debts, "old") == (38, "31-60")


def test_the_daily_run_ages_every_open_debt(debts: Engine, dag_bag: DagBag) -> None:
    owe(debts, "old")
    run = dag_bag.dags["debt_aging"].test(logical_date=datetime(2027, 1, 1, 9, 0, tzinfo=UTC))
    assert run.state == "success"
    assert aged(debts, "old") == (39, "31-60")
    run = dag_bag.dags["debt_aging"].test(logical_date=datetime(2027, 2, 1, 9, 0, tzinfo=UTC))
    assert {one.state for one in run.get_task_instances()} == {"success"}
    with debts.connect() as connection:
        case = connection.execute(text("select kind from review_case where subject = 'old'")).scalar_one()
    assert case == "OLD_DEBT"
