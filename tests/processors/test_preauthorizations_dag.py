"""The DAG preauthorizations, run by Airflow itself against a real processor over HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tests.processors.conftest import NOON, Shop, minutes

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


def test_a_run_places_the_holds_of_the_gate_and_learns_of_captures(sandbox_shop: Shop, dag_bag: DagBag) -> None:
    shop = sandbox_shop
    who = shop.shopper_of(shop.card())
    first = shop.enter(who)
    shop.work_holds()
    trip = shop.leave(who, first, "12.30", at=NOON + minutes(10))
    shop.work(NOON + minutes(10))
    second = shop.enter(who, at=NOON + minutes(11))
    assert dag_bag.dags["preauthorizations"].test(logical_date=NOON + minutes(12)).state == "success"
    assert shop.hold(second)["state"] == "HELD"
    shop.gather(NOON + minutes(13))
    charge = shop.charge(trip)
    assert (charge["state"], charge["captured"]) == ("CAPTURED", Decimal("12.30"))
