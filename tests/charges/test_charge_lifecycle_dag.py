"""The DAG charge_lifecycle, run by Airflow."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from backroom.settings import settings
from tests.amazon.scripted_amazon import ScriptedAmazon
from tests.charges.conftest import NOON, Books, minutes

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


@pytest.fixture(autouse=True)
def _configured(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKROOM_AMAZON_PAYMENTS_URL", books.amazon_url)
    monkeypatch.setenv("BACKROOM_AMAZON_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("BACKROOM_AMAZON_SECRET_ACCESS_KEY", "secret")
    settings.cache_clear()


def test_a_run_gathers_works_and_books_and_the_next_one_finishes(
    books: Books, amazon: ScriptedAmazon, dag_bag: DagBag
) -> None:
    dag = dag_bag.dags["charge_lifecycle"]
    trip = books.trip("12.30")
    assert dag.test(logical_date=NOON).state == "success"
    assert books.charge(trip)["state"] == "CAPTURE_INITIATED"
    assert books.balance(trip)["card_clearing_initiated"] == Decimal("12.30")
    books.order(trip, "SETTLED", "12.30", at=NOON + minutes(20))
    assert dag.test(logical_date=NOON + minutes(30)).state == "success"  # no store has anything due
    assert books.charge(trip)["state"] == "CAPTURED"
    assert books.balance(trip)["card_clearing"] == Decimal("12.30")
    assert amazon.paths(trip) == ["adjust", "capture"]
