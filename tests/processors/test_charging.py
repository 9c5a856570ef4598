"""A store that charges by its own processor: from the gate's hold to the books, on Stripe and on the sandbox."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.processors.conftest import DECLINED, NOON, Shop, hours, minutes

D = Decimal


def test_a_hold_that_covers_the_cart_is_captured_and_the_answer_is_evidence(shop: Shop) -> None:
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    shop.work_holds()
    assert shop.hold(event)["state"] == "HELD"
    trip = shop.leave(who, event, "12.30", at=NOON + minutes(10))
    shop.work(NOON + minutes(10))
    assert shop.charge(trip)["state"] == "CAPTURE_INITIATED"
    assert shop.unheard(trip) == ["CAPTURE"]
    shop.gather(NOON + minutes(11))
    assert shop.unheard(trip) == []
    charge = shop.charge(trip)
    assert (charge["state"], charge["captured"]) == ("CAPTURED", D("12.30"))
    assert shop.payments() == [("CAPTURED", D(0), D("12.30"))]
    hold = shop.hold(event)
    assert (hold["state"], hold["shopping_trip_id"]) == ("USED", trip)
    assert shop.operations(event, trip) == [("AUTHORIZE", "SUCCEEDED"), ("CAPTURE", "SUCCEEDED")]
    shop.post(NOON + minutes(12))


def test_a_cart_above_the_hold_is_held_anew_and_the_small_hold_ends(stripe_shop: Shop) -> None:
    shop = stripe_shop
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    shop.work_holds()
    trip = shop.leave(who, event, "80.00")
    shop.work(NOON + minutes(5))
    shop.work_holds(NOON + minutes(6))
    assert shop.payments() == [("VOIDED", D(0), D(0)), ("CAPTURED", D(0), D("80.00"))]
    assert shop.hold(event)["state"] == "VOIDED"
    shop.gather(NOON + minutes(7))
    assert shop.charge(trip)["captured"] == D("80.00")


def test_a_processor_that_can_raise_a_hold_raises_it(sandbox_shop: Shop) -> None:
    shop = sandbox_shop
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    shop.work_holds()
    trip = shop.leave(who, event, "80.00")
    shop.work(NOON + minutes(5))
    shop.gather(NOON + minutes(6))
    assert shop.payments() == [("CAPTURED", D(0), D("80.00"))]
    assert [name for name, _ in shop.operations(event, trip)] == ["AUTHORIZE", "ADJUST", "CAPTURE"]


def test_a_cart_that_comes_before_the_hold_was_asked_for_is_held_once(shop: Shop) -> None:
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    trip = shop.leave(who, event, "35.00")
    shop.work(NOON + minutes(5))
    shop.work_holds(NOON + minutes(6))
    assert shop.payments() == [("CAPTURED", D(0), D("35.00"))]
    assert shop.hold(event)["state"] == "VOIDED"
    assert shop.operations(event, trip) == [("AUTHORIZE", "SUCCEEDED"), ("CAPTURE", "SUCCEEDED")]


def test_an_empty_cart_ends_the_hold(shop: Shop) -> None:
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    shop.work_holds()
    trip = shop.leave(who, event, "0")
    shop.work(NOON + minutes(5))
    assert shop.charge(trip)["state"] == "CANCELLED"
    assert shop.payments() == [("VOIDED", D(0), D(0))]
    assert shop.hold(event)["state"] == "VOIDED"


def test_a_card_that_is_declined_at_every_try_is_a_debt_and_its_hold_ends(shop: Shop) -> None:
    who = shop.shopper_of(shop.card(DECLINED))
    trip = shop.leave(who, None, "35.00")
    for tries in range(4):
        shop.work(NOON + minutes(31 * tries))
    assert shop.charge(trip)["state"] == "IN_DEBT"
    assert shop.one("select cause, outstanding from debt where shopping_trip_id = :t", t=trip) == {
        "cause": "ADJUST_DECLINED",
        "outstanding": D("35.00"),
    }
    assert shop.operations(trip) == [("AUTHORIZE", "REFUSED")] * 3


def test_a_declined_raise_leaves_the_gates_hold_which_the_store_may_capture_once(sandbox_shop: Shop) -> None:
    shop = sandbox_shop
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(
            f"update store set after_decline = 'capture_preauth_once' where store_id = '{shop.store_id}'"
        )
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    shop.work_holds()
    trip = shop.leave(who, event, "80.00")
    shop.faults(**{event: {"adjust": ["DECLINED", "DECLINED", "DECLINED"]}})
    for tries in range(4):
        shop.work(NOON + minutes(31 * tries))
    shop.gather(NOON + hours(3))
    assert shop.payments() == [("CAPTURED", D(0), D("20.00"))]
    assert shop.one("select outstanding from debt where shopping_trip_id = :t", t=trip) == {"outstanding": D("60.00")}
    shop.post(NOON + hours(3))


def test_a_shopper_without_an_instrument_owes_what_they_took(sandbox_shop: Shop) -> None:
    trip = sandbox_shop.leave("nobody-we-know", None, "5.00")
    for tries in range(4):
        sandbox_shop.work(NOON + minutes(31 * tries))
    assert sandbox_shop.charge(trip)["state"] == "IN_DEBT"
    assert sandbox_shop.books()["payments"] == []


@pytest.mark.parametrize("fault", ["DROPPED_AFTER", "HANGS_AFTER", "SERVER_ERROR_AFTER", "DROPPED_BEFORE"])
def test_a_capture_whose_answer_is_lost_is_looked_up_and_made_once(sandbox_shop: Shop, fault: str) -> None:
    shop = sandbox_shop
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    shop.work_holds()
    trip = shop.leave(who, event, "12.30")
    shop.faults(**{event: {"capture": [fault]}})
    shop.work(NOON + minutes(5))
    assert shop.charge(trip)["state"] == "UNKNOWN"
    for minute in range(10, 60, 10):
        shop.look_up(NOON + minutes(minute))
        shop.gather(NOON + minutes(minute) + minutes(1))
        shop.work(NOON + minutes(minute) + minutes(2))
    charge = shop.charge(trip)
    assert (charge["state"], charge["captured"]) == ("CAPTURED", D("12.30"))
    assert [(one["state"], D(str(one["captured"]))) for one in shop.books()["payments"]] == [("CAPTURED", D("12.30"))]
    asked = [one for one in shop.books()["calls"] if one["operation"] == "capture"]
    assert len(asked) == (2 if fault == "DROPPED_BEFORE" else 1), "again only once it is known that it was not made"
    shop.post(NOON + hours(2))
