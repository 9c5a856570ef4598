"""Payoffs and refunds through a store's own processor, over HTTP, on Stripe and on the sandbox's."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from backroom.debts import payoff, processors
from backroom.debts.looking_up import look_up_due
from backroom.debts.payoff import Payoff, PayoffState
from backroom.refunds.requesting import Request, request
from backroom.settings import settings
from backroom_airflow import refund_processing_tasks
from tests.processors.conftest import DECLINED, GOOD, NOON, Shop, hours, minutes

D = Decimal
EVENING = NOON + hours(6)


def unpaid(shop: Shop, total: str = "35.00") -> tuple[str, str]:
    """A trip whose card was declined at every try, and its shopper, who has a good card now."""
    who = shop.shopper_of(shop.card(DECLINED))
    trip = shop.leave(who, None, total)
    for tries in range(4):
        shop.work(NOON + minutes(31 * tries))
    shop.card(GOOD, shopper=who)
    return trip, who


def pay(shop: Shop, trip: str, at: datetime = EVENING) -> Payoff:
    port, instrument = processors.through(shop.engine, shop.processor.name, shopping_trip_id=trip, now=at)
    return payoff.pay(
        shop.engine, port, shopping_trip_id=trip, method=shop.processor.name, instrument=instrument, asked_by="portal",
        now=at,
    )  # fmt: skip


def debt(shop: Shop, trip: str) -> tuple[str, D]:
    row = shop.one("select state, outstanding from debt where shopping_trip_id = :t", t=trip)
    return row["state"], row["outstanding"]


def captured(shop: Shop, total: str = "80.00") -> str:
    """A trip whose hold was too small, so that the payment that was captured is not the gate's."""
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    shop.work_holds()
    trip = shop.leave(who, event, total)
    shop.work(NOON + minutes(5))
    shop.work_holds(NOON + minutes(6))
    shop.gather(NOON + minutes(7))
    assert shop.charge(trip)["state"] == "CAPTURED"
    return trip


def ask(shop: Shop, trip: str, amount: str | None, *, key: str = "", at: datetime = EVENING) -> Request:
    with shop.engine.begin() as connection:
        return request(
            connection, shopping_trip_id=trip, amount=D(amount) if amount else None, lines=None, reason="OTHER",
            requested_by="ana", asked_key=key or f"{trip} {amount}", now=at,
        )  # fmt: skip


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tasks of refund_processing at a business time, as the DAG runs them."""
    monkeypatch.setenv("BACKROOM_AMAZON_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("BACKROOM_AMAZON_SECRET_ACCESS_KEY", "secret")
    settings.cache_clear()

    def run_at(shop: Shop, at: datetime) -> list[dict[str, Any]]:
        context = {"dag_run": SimpleNamespace(logical_date=at)}
        done = [refund_processing_tasks.work(one, **context) for one in refund_processing_tasks.gather(**context)]
        refund_processing_tasks.post(**context)
        shop.post(at)
        return done

    return run_at


def refunds(shop: Shop, trip: str) -> list[tuple[str, str]]:
    rows = shop.rows("select amount, state from refund where shopping_trip_id = :t order by refund_id", t=trip)
    return [(f"{row['amount']:.2f}", row["state"]) for row in rows]


def given_back(shop: Shop) -> D:
    """By the processor, of all that this store's calls were about."""
    names = {
        row["name"]
        for row in shop.rows(
            "select distinct answer ->> 'processor_reference' as name from processor_call where subject in"
            " (select 'refund:' || refund_id from refund where store_id = :s) and operation = 'REFUND'",
            s=shop.store_id,
        )
    }
    if shop.stripe is None:
        return sum((D(str(one["amount"])) for one in shop.books()["refunds"]), D(0))
    found = D(0)
    for name in names:
        one: Any = shop.stripe.v1.refunds.retrieve(name)
        found += D(one.amount) / 100
    return found


def test_a_payoff_takes_the_money_at_once_and_only_once(shop: Shop) -> None:
    trip, _ = unpaid(shop)
    assert debt(shop, trip) == ("OPEN", D(35))
    done = pay(shop, trip)
    assert (done.state, debt(shop, trip)) == (PayoffState.PAID, ("PAID", D(0)))
    with pytest.raises(payoff.PayoffRefused, match="nothing is owed"):
        pay(shop, trip)
    assert shop.operations(f"payoff:{done.payoff_id}") == [("PAY", "SUCCEEDED")]
    shop.post(EVENING)


def test_a_payoff_that_is_declined_leaves_the_debt(shop: Shop) -> None:
    who = shop.shopper_of(shop.card(DECLINED))
    trip = shop.leave(who, None, "35.00")
    for tries in range(4):
        shop.work(NOON + minutes(31 * tries))
    assert pay(shop, trip).state is PayoffState.DECLINED
    assert debt(shop, trip) == ("OPEN", D(35))


@pytest.mark.parametrize(("fault", "taken"), [("DROPPED_AFTER", 1), ("HANGS_AFTER", 1), ("DROPPED_BEFORE", 0)])
def test_a_payoff_whose_answer_is_lost_is_looked_up(sandbox_shop: Shop, fault: str, taken: int) -> None:
    shop = sandbox_shop
    trip, _ = unpaid(shop)
    number = shop.one("select coalesce(max(payoff_id), 0) + 1 as next from payoff")["next"]
    shop.faults(**{f"payoff:{number}": {"pay": [fault]}})
    done = pay(shop, trip)
    assert (done.payoff_id, done.state) == (number, PayoffState.UNKNOWN)

    def port(method: str) -> Any:
        return processors.port_of(shop.engine, method, now=EVENING)

    for hour in (0.1, 1.1):
        look_up_due(shop.engine, port, now=EVENING + hours(hour))
    assert debt(shop, trip) == (("PAID", D(0)) if taken else ("OPEN", D(35)))
    payments = [one for one in shop.books()["payments"] if one["state"] == "CAPTURED"]
    assert len(payments) == taken
    if not taken:
        assert pay(shop, trip, EVENING + hours(2)).state is PayoffState.PAID


def test_a_refund_gives_back_of_the_payment_that_was_captured(shop: Shop, run: Any) -> None:
    trip = captured(shop)
    ask(shop, trip, "30.00")
    (done,) = run(shop, EVENING)
    assert done["states"] == {"FINAL": 1}
    assert refunds(shop, trip) == [("30.00", "FINAL")]
    ask(shop, trip, "20.00")
    run(shop, EVENING + minutes(5))
    assert given_back(shop) == D(50)


def test_a_refund_goes_to_the_card_and_to_the_payoff_up_to_what_each_took(sandbox_shop: Shop, run: Any) -> None:
    shop = sandbox_shop
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(
            "update store set after_decline = 'capture_preauth_once', refund_approval_above = 1000"
            f" where store_id = '{shop.store_id}'"
        )
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    shop.work_holds()
    trip = shop.leave(who, event, "80.00")
    shop.faults(**{event: {"adjust": ["DECLINED", "DECLINED", "DECLINED"]}})
    for tries in range(4):
        shop.work(NOON + minutes(31 * tries))
    shop.gather(NOON + hours(3))
    pay(shop, trip)
    ask(shop, trip, None)
    for minute in range(0, 15, 5):
        run(shop, EVENING + minutes(minute))
    assert refunds(shop, trip) == [("20.00", "FINAL"), ("60.00", "FINAL")]
    books = shop.books()
    assert sorted(D(str(one["refunded"])) for one in books["payments"] if one["state"] == "CAPTURED") == [20, 60]


@pytest.mark.parametrize("fault", ["DROPPED_AFTER", "SERVER_ERROR_AFTER", "DROPPED_BEFORE", "THROTTLED"])
def test_a_refund_whose_answer_is_lost_is_given_once(sandbox_shop: Shop, run: Any, fault: str) -> None:
    shop = sandbox_shop
    trip = captured(shop)
    made = ask(shop, trip, "30.00")
    shop.faults(**{made.parts[0].refund_request_key: {"refund": [fault]}})
    for hour in range(4):
        run(shop, EVENING + hours(hour))
    assert refunds(shop, trip) == [("30.00", "FINAL")]
    assert given_back(shop) == D(30)
