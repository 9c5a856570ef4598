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


def test_a_run_asks_for_what_is_due_finds_final_what_was_told_and_books_both(till: Till, dag_bag: DagBag) -> None:
    told, due = till.captured(), till.captured()
    till.ask(told, "3.00")
    till.give_back()
    till.told(told, "3.00", at=NEXT_DAY + minutes(5))
    till.ask(due, "5.00")
    assert dag_bag.dags["refund_processing"].test(logical_date=NEXT_DAY + minutes(10)).state == "success"
    assert till.parts(told) == [("CAPTURE", "3.00", "FINAL")]
    assert till.parts(due) == [("CAPTURE", "5.00", "INITIATED")]
    assert till.rows("select * from refund_event where to_book and store_id = :s", s=till.store_id) == []
