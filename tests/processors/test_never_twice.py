"""A process that is killed between effect and record, or an answer that is lost: looked up, never done twice."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from backroom.db.engine import make_engine
from backroom.money import Money
from backroom.processors import instruments
from backroom.processors.calls import Calls
from backroom.processors.charge_adapter import ProcessorPayments
from backroom.processors.port import Instrument, Outcome, PaymentState, Problem, Processor, Result
from backroom.processors.sandbox_adapter import SandboxProcessor
from backroom.processors.stripe_adapter import StripeProcessor
from backroom.settings import settings
from tests.processors.conftest import NOON, Shop, minutes

Fate = Callable[[Callable[[], Result]], Result]
TWENTY, FIVE = Money.of("20", "USD"), Money.of("5", "USD")
OPERATIONS = ("authorize", "pay", "capture", "void", "refund")


class Between:
    """A processor, but for one operation something happens between its effect and the record of it."""

    def __init__(self, processor: Processor, operation: str, what: Fate) -> None:
        self._processor, self._operation, self._what = processor, operation, what

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._processor, name)
        if name != self._operation:
            return real
        return lambda *said, **named: self._what(lambda: real(*said, **named))


def die_after(call: Callable[[], Result]) -> Result:
    call()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it lives")


def die_before(_: Callable[[], Result]) -> Result:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it lives")


def lost_after(call: Callable[[], Result]) -> Result:
    call()
    return Result(Outcome.UNKNOWN, Problem.TIMED_OUT)


def lost_before(_: Callable[[], Result]) -> Result:
    return Result(Outcome.UNKNOWN, Problem.CONNECTION_LOST)


class Scene:
    """One operation on a payment of its own, asked for as often as one likes."""

    def __init__(self, shop: Shop, operation: str) -> None:
        self.shop, self.operation = shop, operation
        self.subject = f"subject-{uuid.uuid4().hex[:8]}"
        self.card: Instrument = shop.card()
        self.reference = str(uuid.uuid4())
        self.paid = ""
        if operation not in ("authorize", "pay"):
            began = shop.calls()
            first = (
                began.pay(str(uuid.uuid4()), self.subject, TWENTY, self.card)
                if operation == "refund"
                else began.authorize(self.subject, TWENTY, self.card)
            )
            assert first.payment is not None
            self.paid = first.payment.processor_reference

    def ask(self, calls: Calls) -> Result:
        match self.operation:
            case "authorize":
                return calls.authorize(self.subject, TWENTY, self.card, once=True)
            case "pay":
                return calls.pay(self.reference, self.subject, TWENTY, self.card)
            case "adjust":
                return calls.adjust(self.subject, self.paid, Money.of("35", "USD"), self.card)
            case "capture":
                return calls.capture(self.subject, self.paid, TWENTY)
            case "void":
                return calls.void(self.subject, self.paid)
        return calls.refund(self.reference, self.subject, self.paid, FIVE)

    def ask_and(self, what: Fate) -> Result:
        between: Any = Between(self.shop.processor, self.operation, what)
        return self.ask(self.shop.calls(processor=between))

    def ask_in_a_process_that_is_killed(self, what: Fate) -> None:
        child = os.fork()
        if child == 0:
            try:
                real = (SandboxProcessor if self.shop.processor.name == "SANDBOX" else StripeProcessor)(settings())
                between: Any = Between(real, self.operation, what)
                self.ask(Calls(make_engine(self.shop.engine.url), between, now=NOON))
            finally:
                os._exit(1)  # not killed: the test must see that
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the worker was to be killed"
        assert os.WTERMSIG(status) == signal.SIGKILL

    def effects(self) -> tuple[int, Decimal, Decimal, Decimal]:
        """How many payments the processor knows of the subject; what they hold, took and gave back."""
        if self.shop.stripe is not None:
            listed = self.shop.stripe.v1.payment_intents.list({"limit": 100}).data
            names = [one.id for one in listed if one.metadata["backroom_subject"] == self.subject]
            given_back = [
                Decimal(one.amount) / 100
                for name in names
                for one in self.shop.stripe.v1.refunds.list({"payment_intent": name}).data
                if "backroom_reference" in (one.metadata or {})
            ]
        else:
            books = self.shop.books()
            names = [one["id"] for one in books["payments"] if one["subject"] == self.subject]
            given_back = [Decimal(str(one["amount"])) for one in books["refunds"] if one["payment_id"] in names]
        payments = [self.shop.processor.look_at(name).payment for name in names]
        held = sum((one.held for one in payments if one is not None), Decimal(0))
        captured = sum((one.captured for one in payments if one is not None), Decimal(0))
        return len(names), held, captured, sum(given_back, Decimal(0))

    def expected(self) -> tuple[int, int, int, int]:
        return {
            "authorize": (1, 20, 0, 0), "pay": (1, 0, 20, 0), "adjust": (1, 35, 0, 0), "capture": (1, 0, 20, 0),
            "void": (1, 0, 0, 0), "refund": (1, 0, 20, 5),
        }[self.operation]  # fmt: skip


def settles_once(scene: Scene) -> None:
    """Asked again, and again, it is as if nothing had gone wrong."""
    for minute in (1, 2):
        again = scene.ask(scene.shop.calls(NOON + minutes(minute)))
        assert again.outcome is Outcome.SUCCEEDED, again
    assert scene.effects() == scene.expected()
    left = scene.shop.rows(
        "select 1 from processor_call where subject = :s and operation = :o"
        " and (outcome is null or outcome = 'UNKNOWN')"
        " and reference not in (select reference from processor_call where subject = :s and outcome = 'SUCCEEDED')",
        s=scene.subject, o=scene.operation.upper(),
    )  # fmt: skip
    assert left == []


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fate", [die_after, die_before])
def test_a_process_that_is_killed_is_settled_by_a_look(shop: Shop, operation: str, fate: Fate) -> None:
    scene = Scene(shop, operation)
    scene.ask_in_a_process_that_is_killed(fate)
    assert (operation.upper(), None) in shop.operations(scene.subject), "the intent is there, its outcome is not"
    settles_once(scene)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fate", [lost_after, lost_before])
def test_an_answer_that_is_lost_is_settled_by_a_look(shop: Shop, operation: str, fate: Fate) -> None:
    scene = Scene(shop, operation)
    assert scene.ask_and(fate).outcome is Outcome.UNKNOWN
    settles_once(scene)


@pytest.mark.parametrize("fate", [lost_after, lost_before])
def test_a_hold_whose_raise_is_in_doubt_is_raised_once(sandbox_shop: Shop, fate: Fate) -> None:
    scene = Scene(sandbox_shop, "adjust")
    assert scene.ask_and(fate).outcome is Outcome.UNKNOWN
    settles_once(scene)


def test_while_no_look_is_answered_nothing_is_asked_for_again(shop: Shop) -> None:
    scene = Scene(shop, "pay")
    scene.ask_and(lost_after)

    def no_answer(_: Callable[[], Result]) -> Result:
        return Result(Outcome.UNKNOWN, Problem.SERVER_ERROR)

    silent: Any = Between(shop.processor, "lookup", no_answer)
    asked: Any = Between(silent, "pay", lambda _: pytest.fail("it was asked for again"))
    for minute in range(3):
        again = scene.ask(shop.calls(NOON + minutes(minute), processor=asked))
        assert again.outcome is Outcome.UNKNOWN
    settles_once(scene)


def test_a_worker_that_stood_still_after_its_intent_makes_no_call(sandbox_shop: Shop) -> None:
    scene = Scene(sandbox_shop, "pay")
    passing = iter([0.0, settings().processor_timeout_seconds + 0.1])
    calls = Calls(sandbox_shop.engine, sandbox_shop.processor, now=NOON, clock=lambda: next(passing))
    assert scene.ask(calls).outcome is Outcome.NOT_SENT
    assert scene.effects() == (0, 0, 0, 0)
    settles_once(scene)


def test_a_worker_that_stood_still_while_another_held_the_money_holds_it_no_second_time(
    sandbox_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = sandbox_shop
    who = shop.shopper_of(shop.card())
    trip = shop.leave(who, None, "20.00")
    seconds = [0.0]
    asked = {"store_id": shop.store_id, "shopping_trip_id": trip, "amount": TWENTY}
    frozen = ProcessorPayments(shop.engine, shop.processor, now=NOON, clock=lambda: seconds[0])
    card_of = instruments.of_trip

    def then_stands_still(*said: Any) -> Any:
        monkeypatch.undo()
        card = card_of(*said)
        _, adjustment = ProcessorPayments(shop.engine, shop.processor, now=NOON).adjust(**asked)  # type: ignore[arg-type]
        assert adjustment is not None
        seconds[0] += settings().charge_lease_seconds
        return card

    monkeypatch.setattr(instruments, "of_trip", then_stands_still)
    answer, _ = frozen.adjust(**asked)  # type: ignore[arg-type]
    assert answer.outcome is Outcome.NOT_SENT
    assert [state for state, *_ in shop.payments()] == ["HELD"]


def test_a_refund_that_failed_has_failed_for_good(sandbox_shop: Shop) -> None:
    scene = Scene(sandbox_shop, "refund")

    def fails_later(call: Callable[[], Result]) -> Result:
        made = call()
        assert made.refund is not None
        return replace(made, refund=replace(made.refund, state=PaymentState.PENDING))

    assert scene.ask_and(fails_later).outcome is Outcome.SUCCEEDED

    def failed(call: Callable[[], Result]) -> Result:
        found = call()
        assert found.refund is not None
        return replace(found, refund=replace(found.refund, state=PaymentState.DECLINED))

    looked: Any = Between(sandbox_shop.processor, "lookup_refund", failed)
    for _ in range(2):
        assert scene.ask(sandbox_shop.calls(processor=looked)).is_no(Problem.DECLINED)
    assert scene.effects()[3] == 5, "asked for once"
