"""The gate's holds: carried out of the shopper's way, settled whatever happens, and ended where no cart needs them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from backroom.processors import preauthorizing
from backroom.processors.hold_rules import HoldFacts, Step, next_step
from backroom.reviews import cases
from backroom.settings import settings
from tests.processors.conftest import DECLINED, NOON, Shop, hours, minutes

D = Decimal
WAIT = timedelta(hours=48)


def entered(shop: Shop, **faults: list[str]) -> tuple[str, str]:
    """A shopper with a card who has been let in, and the gate event; these faults befall its calls."""
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    shop.faults(**{event: faults})
    return who, event


def flagged(shop: Shop, who: str) -> bool:
    return bool(shop.one("select flagged from shopper where shopper_id = :w", w=who)["flagged"])


def questions(shop: Shop, event: str) -> list[dict[str, Any]]:
    return shop.rows("select * from review_case where subject = :e order by case_id", e=event)


def test_a_decline_flags_the_shopper_and_the_gate_stays_shut(shop: Shop) -> None:
    who = shop.shopper_of(shop.card(DECLINED))
    event = shop.enter(who)
    assert shop.work_holds() == {"DECLINED": 1}
    assert (shop.hold(event)["state"], flagged(shop, who)) == ("DECLINED", True)
    with pytest.raises(AssertionError, match="status=40"):
        shop.enter(who, at=NOON + minutes(5))
    shop.work_holds(NOON + hours(1))
    assert shop.operations(event) == [("AUTHORIZE", "REFUSED")]


@pytest.mark.parametrize("fault", ["DROPPED_AFTER", "HANGS_AFTER", "SERVER_ERROR_AFTER", "DROPPED_BEFORE", "THROTTLED"])
def test_whatever_befalls_a_call_one_hold_stands(sandbox_shop: Shop, fault: str) -> None:
    shop = sandbox_shop
    who, event = entered(shop, authorize=[fault])
    for hour in range(3):
        shop.work_holds(NOON + hours(hour))
    assert shop.hold(event)["state"] == "HELD"
    assert [(one["state"], D(str(one["held"]))) for one in shop.books()["payments"]] == [("HELD", D(20))]
    assert not flagged(shop, who)


def test_workers_at_once_ask_for_each_hold_once(sandbox_shop: Shop) -> None:
    shop = sandbox_shop
    events = [entered(shop)[1] for _ in range(8)]
    counts = preauthorizing.work_due(shop.engine, shop.processor, now=NOON, concurrency=8)
    assert counts == {"HELD": 8}
    assert len(shop.books()["payments"]) == 8
    assert {shop.hold(event)["state"] for event in events} == {"HELD"}


def test_what_stays_unknown_for_six_hours_is_a_persons_question_and_asked_again_at_their_word(
    sandbox_shop: Shop,
) -> None:
    shop = sandbox_shop
    _, event = entered(shop, authorize=["DROPPED_BEFORE"] * 20)
    hour = 0
    while shop.hold(event)["state"] != "PARKED":
        shop.work_holds(NOON + hours(hour))
        hour += 1
        assert hour < 10
    (case,) = questions(shop, event)
    assert case["kind"] == "UNKNOWN_HOLD"
    shop.faults(**{event: {}})
    with shop.engine.begin() as connection:
        cases.decide(
            connection, case["case_id"], "ask_again", by="ann", reason="it is back", now=NOON + hours(hour)
        )  # fmt: skip
    shop.work_holds(NOON + hours(hour))
    assert shop.hold(event)["state"] == "HELD"
    assert len(shop.books()["payments"]) == 1


def test_a_refusal_that_is_not_the_shoppers_is_parked_and_flags_nobody(sandbox_shop: Shop) -> None:
    shop = sandbox_shop
    who, event = entered(shop)
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(f"update preauthorization set amount = 0 where auth_event_id = '{event}'")
    shop.work_holds()
    assert (shop.hold(event)["state"], flagged(shop, who)) == ("PARKED", False)
    assert [case["kind"] for case in questions(shop, event)] == ["REFUSED_HOLD"]


def test_a_hold_that_no_cart_comes_for_is_voided(shop: Shop) -> None:
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    shop.work_holds()
    shop.work_holds(NOON + hours(47))
    assert shop.hold(event)["state"] == "HELD"
    shop.work_holds(NOON + hours(48))
    assert shop.hold(event)["state"] == "VOIDED"
    assert shop.payments() == [("VOIDED", D(0), D(0))]


def test_a_hold_that_was_never_asked_for_and_is_not_wanted_any_more_is_dropped(sandbox_shop: Shop) -> None:
    shop = sandbox_shop
    _, event = entered(shop)
    shop.work_holds(NOON + hours(49))
    assert (shop.hold(event)["state"], shop.books()["payments"]) == ("VOIDED", [])


@pytest.mark.parametrize(("rule", "asked", "flag"), [("case", 1, False), ("flag", 0, True), ("nothing", 0, False)])
def test_who_has_no_card_is_let_in_and_then_as_the_setting_says(
    sandbox_shop: Shop, monkeypatch: pytest.MonkeyPatch, rule: str, asked: int, flag: bool
) -> None:
    shop = sandbox_shop
    monkeypatch.setattr(preauthorizing, "settings", lambda: settings().model_copy(update={"no_instrument": rule}))
    card = shop.card()
    who = shop.shopper_of(card)
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(
            f"update payment_instrument set active = false where instrument_id = {card.instrument_id}"
        )
    event = shop.enter(who)
    shop.work_holds()
    assert (shop.hold(event)["state"], flagged(shop, who)) == ("NO_INSTRUMENT", flag)
    assert [case["kind"] for case in questions(shop, event)] == ["NO_INSTRUMENT"] * asked
    assert shop.books()["payments"] == []


def test_the_worker_that_lost_its_lease_writes_nothing(sandbox_shop: Shop) -> None:
    shop = sandbox_shop
    _, event = entered(shop)
    real = shop.processor

    class Slow:
        name = "SANDBOX"

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def authorize(self, *said: Any, **named: Any) -> Any:
            with shop.engine.begin() as connection:  # meanwhile another claimed it
                connection.exec_driver_sql(
                    "update preauthorization set fencing = fencing + 1, state = 'UNKNOWN'"
                    f" where auth_event_id = '{event}'"
                )
            return real.authorize(*said, **named)

    preauthorizing.work_due(shop.engine, Slow(), now=NOON, concurrency=1)
    assert shop.hold(event)["state"] == "UNKNOWN"
    assert shop.operations(event) == [("AUTHORIZE", "SUCCEEDED")], "what it heard is kept all the same"


@pytest.mark.parametrize(
    ("facts", "after_hours", "step"),
    [
        ({"state": "INTENDED"}, 0, Step.AUTHORIZE),
        ({"state": "INTENDED", "has_instrument": False}, 0, Step.NO_INSTRUMENT),
        ({"state": "INTENDED"}, 48, Step.DROP),
        ({"state": "INTENDED", "bad_cart": True}, 48, Step.AUTHORIZE),
        ({"state": "INTENDED", "charge_state": "CANCELLED"}, 0, Step.DROP),
        ({"state": "UNKNOWN"}, 5.9, Step.AUTHORIZE),
        ({"state": "UNKNOWN"}, 6, Step.PARK),
        ({"state": "HELD"}, 47, Step.WAIT),
        ({"state": "HELD"}, 48, Step.VOID),
        ({"state": "HELD", "bad_cart": True}, 100, Step.WAIT),
        ({"state": "HELD", "charge_state": "DUE", "linked": True, "used": True}, 100, Step.WAIT),
        ({"state": "HELD", "charge_state": "DUE", "linked": True}, 0, Step.VOID),
        ({"state": "HELD", "charge_state": "IN_DEBT", "linked": True, "used": True}, 0, Step.VOID),
        ({"state": "HELD", "charge_state": "CAPTURED", "linked": True, "captured": True}, 0, Step.USED),
        ({"state": "PARKED"}, 100, Step.WAIT),
        ({"state": "DECLINED"}, 100, Step.WAIT),
    ],
)
def test_what_is_due_for_a_hold(facts: dict[str, Any], after_hours: float, step: Step) -> None:
    hold = HoldFacts(**{"intended_at": NOON, "has_instrument": True, **facts})
    assert next_step(hold, now=NOON + hours(after_hours), wait_for_cart=WAIT) is step
