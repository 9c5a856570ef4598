"""The DAG refund_processing, run by Airflow itself against a scripted Amazon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backroom.settings import settings
from tests.refunds.conftest import NEXT_DAY, Till, minutes

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


@pytest.fixture(autouse=True)
def _configured(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKROOM_AMAZON_PAYMENTS_URL", till.amazon_url)
    monkeypatch.setenv("BACKROOM_AMAZON_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("BACKROOM_AMAZON_SECRET_ACCESS_KEY", "secret")
    settings.cache_clear()


def test_a_run_asks_for_what_is_due_and_books_it_and_a_later_one_finds_it_final(till: Till, dag_bag: DagBag) -> None:
    dag = dag_bag.dags["refund_processing"]
    trip = till.captured(("1", "12.30"))
    till.ask(trip, "5.00")
    assert dag.test(logical_date=NEXT_DAY).state == "success"
    assert till.parts(trip) == [("CAPTURE", "5.00", "INITIATED")]
    till.told(trip, "5.00", at=NEXT_DAY + minutes(5))
    assert dag.test(logical_date=NEXT_DAY + minutes(10)).state == "success"
    assert till.parts(trip) == [("CAPTURE", "5.00", "FINAL")]
    assert till.rows("select * from refund_event where to_book and shopping_trip_id = :trip", trip=trip) == []
