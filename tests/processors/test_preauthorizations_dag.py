"""The DAG preauthorizations, run by Airflow itself against a real processor over HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tests.processors.conftest import NOON, Shop, minutes

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


def test_a_run_places_the_holds_of_the_gate_and_a_later_one_learns_of_the_capture(
    sandbox_shop: Shop, dag_bag: DagBag
) -> None:
    shop, dag = sandbox_shop, dag_bag.dags["preauthorizations"]
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    assert dag.test(logical_date=NOON).state == "success"
    assert shop.hold(event)["state"] == "HELD"
    trip = shop.leave(who, event, "12.30", at=NOON + minutes(10))
    shop.work(NOON + minutes(10))
    assert dag.test(logical_date=NOON + minutes(12)).state == "success"
    shop.gather(NOON + minutes(13))
    charge = shop.charge(trip)
    assert (charge["state"], charge["captured"]) == ("CAPTURED", Decimal("12.30"))
