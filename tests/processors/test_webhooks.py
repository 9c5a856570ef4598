"""Signed webhooks at the portal: checked, kept once by their id, and taken in whatever their order."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from backroom.debts import payoff, processors
from backroom.money import Money
from backroom.processors import learning, webhooks
from backroom.processors.port import Instrument, Outcome
from backroom.refunds.evidence import gather_evidence
from backroom.refunds.processor_refunds import refund_ports
from backroom.refunds.working import work_due
from backroom.reviews import cases
from backroom.settings import settings
from connector_app.portal import create_app
from tests.connector_app.portal.conftest import portal_settings
from tests.processors import test_never_twice as twice
from tests.processors.conftest import NOON, Shop, minutes
from tests.processors.test_payoffs_and_refunds import EVENING, ask, captured, debt, refunds, unpaid

STRIPE_SECRET, SANDBOX_SECRET = "whsec_of_stripe", "whsec_of_the_sandbox"
TWENTY = Money.of("20", "USD")


@pytest.fixture(scope="module")
def portal(database: Engine) -> Flask:
    return create_app(
        portal_settings(stripe_webhook_secret=STRIPE_SECRET, sandbox_webhook_secret=SANDBOX_SECRET), lambda: NOON
    )


@pytest.fixture
def nothing_received(database: Engine) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("delete from processor_webhook")


def signed(body: bytes, secret: str, at: float | None = None) -> str:
    """The scheme's own words, written out again: a time stamp, and an HMAC over it and the body."""
    stamp = int(time.time() if at is None else at)
    return f"t={stamp},v1={hmac.new(secret.encode(), f'{stamp}.'.encode() + body, hashlib.sha256).hexdigest()}"


def tell(portal: Flask, event: Any, *, to: str = "sandbox", signature: str | None = None) -> int:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    good = signed(body, STRIPE_SECRET if to == "stripe" else SANDBOX_SECRET)
    headers = {"Stripe-Signature": good if signature is None else signature}
    answer = portal.test_client().post(f"/processor/v1/webhooks/{to}", data=body, headers=headers)
    return answer.status_code


def of_payment(state: str, *, name: str = "pay_1", reference: str | None = None, event: str = "", **told: Any) -> Any:
    """An event of the sandbox's processor."""
    held, taken = (20 if state == "HELD" else 0), (20 if state == "CAPTURED" else 0)
    payment = {"id": name, "reference": reference, "state": state, "currency": "USD", "held": held, "captured": taken}
    return {"id": event or str(uuid.uuid4()), "type": f"payment.{state.lower()}", "data": {"object": payment | told}}


def received(shop: Shop) -> list[dict[str, Any]]:
    return shop.rows("select event_id, type, body, applied_at, result from processor_webhook order by event_id")


@pytest.mark.parametrize(
    ("forge", "status"),
    [
        (lambda body: signed(body, SANDBOX_SECRET), 200),
        (lambda body: signed(body, "another secret"), 400),
        (lambda body: signed(body, STRIPE_SECRET), 400),
        (lambda body: signed(body + b" ", SANDBOX_SECRET), 400),
        (lambda body: signed(body, SANDBOX_SECRET, at=time.time() - 301), 400),
        (lambda _: "", 400),
        (lambda _: "t=,v1=", 400),
        (lambda _: "v1=abc", 400),
        (lambda _: "t=1,v1=é", 400),
    ],
)
def test_only_a_good_and_recent_signature_is_taken(
    sandbox_shop: Shop, portal: Flask, nothing_received: None, forge: Callable[[bytes], str], status: int
) -> None:
    body = json.dumps(of_payment("HELD")).encode()
    assert tell(portal, body, signature=forge(body)) == status
    assert len(received(sandbox_shop)) == (status == 200)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b"{", b'{"id": 1, "type": "payment.held", "data": {"object": {}}}',
        b'{"id": "evt", "type": "", "data": {"object": {}}}', b'{"id": "evt", "type": "x", "data": {"object": []}}',
        b'{"id": "\\u0000", "type": "x", "data": {"object": {}}}', b"[" * 90_000, b"\xff\xfe",
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused_and_not_kept(
    sandbox_shop: Shop, portal: Flask, nothing_received: None, body: bytes
) -> None:
    assert tell(portal, body) == 400
    assert received(sandbox_shop) == []


def test_too_large_or_not_expected_is_refused(sandbox_shop: Shop, portal: Flask, nothing_received: None) -> None:
    assert tell(portal, b" " * (settings().webhook_max_body_bytes + 1)) == 413
    without = create_app(portal_settings(), lambda: NOON)
    assert tell(without, of_payment("HELD")) == 404
    assert tell(without, of_payment("HELD"), to="stripe") == 404
    assert received(sandbox_shop) == []


def test_an_event_is_kept_once_however_often_and_at_once_it_comes(
    sandbox_shop: Shop, portal: Flask, nothing_received: None
) -> None:
    event, ready = of_payment("HELD", event="evt_1"), threading.Barrier(8)

    def again(_: int) -> int:
        ready.wait()
        return tell(portal, event)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(again, range(8))) == {200}
    assert [row["event_id"] for row in received(sandbox_shop)] == ["evt_1"]
    assert tell(portal, event | {"id": "evt_1"}, to="stripe") == 200, "another processor's event of that name"
    assert len(received(sandbox_shop)) == 2


def test_a_card_number_in_an_event_is_found_nowhere(sandbox_shop: Shop, portal: Flask, nothing_received: None) -> None:
    told: dict[str, Any] = {"metadata": {"note": "card 4111 1111 1111 1111"}, "reference": "4111111111111111"}
    assert tell(portal, of_payment("HELD", **told)) == 200
    assert "4111" not in json.dumps(received(sandbox_shop), default=str)


def unheard(shop: Shop, card: Instrument, subject: str) -> tuple[str, str]:
    """A hold whose answer was lost: our reference, and the processor's name for it."""
    between: Any = twice.Between(shop.processor, "authorize", twice.lost_after)
    assert shop.calls(processor=between).authorize(subject, TWENTY, card).outcome is Outcome.UNKNOWN
    reference = shop.one("select reference from processor_call where subject = :s", s=subject)["reference"]
    payment = shop.processor.lookup(reference, card).payment
    assert payment is not None
    return reference, payment.processor_reference


@pytest.mark.parametrize("order", [("HELD", "CAPTURED"), ("CAPTURED", "HELD"), ("CAPTURED", "HELD", "CAPTURED")])
def test_events_settle_what_is_open_once_in_whatever_order_they_come(
    sandbox_shop: Shop, portal: Flask, nothing_received: None, order: tuple[str, ...]
) -> None:
    shop, subject = sandbox_shop, f"subject-{uuid.uuid4().hex[:8]}"
    reference, name = unheard(shop, shop.card(), subject)
    for state in order:
        assert tell(portal, of_payment(state, name=name, reference=reference)) == 200
        webhooks.apply_new(shop.engine, now=NOON + minutes(1))
    assert webhooks.apply_new(shop.engine, now=NOON + minutes(2)) == {}, "each is applied once"
    assert all(row["applied_at"] for row in received(shop))
    assert shop.operations(subject)[0] == ("AUTHORIZE", "SUCCEEDED")
    looks = [operation for operation, _ in shop.operations(subject) if operation == "LOOKUP"]
    assert len(looks) <= 1, "that it is captured is kept once"


def test_what_is_not_ours_not_needed_or_not_understood_is_kept_and_does_nothing(
    sandbox_shop: Shop, portal: Flask, nothing_received: None
) -> None:
    shop = sandbox_shop
    strange = [
        of_payment("HELD", reference="somebody else's"), of_payment("HELD", held="much"), of_payment("LOST"),
        of_payment("HELD") | {"type": "customer.created"}, of_payment("HELD") | {"type": "refund.updated"},
    ]  # fmt: skip
    for event in strange:
        assert tell(portal, event) == 200
    counts = webhooks.apply_new(shop.engine, now=NOON)
    assert counts == {"not ours": 1, "not needed": 1, "not understood": 3}


def test_an_event_that_can_not_be_applied_keeps_no_other_waiting(
    sandbox_shop: Shop, portal: Flask, nothing_received: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, real = sandbox_shop, learning.learn
    for number, name in enumerate(("pay_1", "pay_bad", "pay_2")):
        tell(portal, of_payment("HELD", name=name, event=f"evt_{number}"))

    def learn(connection: Any, processor: str, payment: Any, **named: Any) -> str:
        if payment.processor_reference == "pay_bad":
            connection.exec_driver_sql("select 1 / 0")
        return real(connection, processor, payment, **named)

    monkeypatch.setattr(webhooks, "learn", learn)
    assert webhooks.apply_new(shop.engine, now=NOON) == {"not ours": 2, "failed": 1}
    assert shop.rows("select subject from alert where deduplication_key like 'webhooks-failed%'") == [
        {"subject": "evt_1"}
    ]
    assert [bool(row["applied_at"]) for row in received(shop)] == [True, False, True]
    monkeypatch.undo()
    assert webhooks.apply_new(shop.engine, now=NOON) == {"not ours": 1}


def test_a_payoff_is_settled_by_the_webhook_before_any_look(
    stripe_shop: Shop, portal: Flask, nothing_received: None
) -> None:
    shop = stripe_shop
    trip, _ = unpaid(shop)
    port, instrument = processors.through(shop.engine, "STRIPE", shopping_trip_id=trip, now=EVENING)
    with shop.engine.begin() as connection:
        begun = payoff.begin(
            connection, shopping_trip_id=trip, method="STRIPE", instrument=instrument, asked_by="portal", now=EVENING
        )
    port.pay(begun.reference, begun.amount, instrument)  # and the process died before it could write that down
    assert debt(shop, trip) == ("OPEN", Decimal(35))
    intent = {
        "object": "payment_intent", "id": "pi_1", "status": "succeeded", "amount": 3500, "amount_received": 3500,
        "currency": "usd", "metadata": {"backroom_reference": begun.reference},
    }  # fmt: skip
    for number in (1, 2):
        event = {"id": f"evt_{number}", "type": "payment_intent.succeeded", "data": {"object": intent}}
        assert tell(portal, event, to="stripe") == 200
        webhooks.apply_new(shop.engine, now=EVENING)
    assert debt(shop, trip) == ("PAID", Decimal(0))
    assert shop.rows("select 1 from refund where shopping_trip_id = :t", t=trip) == []


@pytest.mark.parametrize("kind", ["refund.failed", "charge.refund.updated"])
def test_a_refund_that_fails_later_is_undone_and_never_told_as_given_again(
    stripe_shop: Shop, portal: Flask, nothing_received: None, kind: str
) -> None:
    shop = stripe_shop
    trip = captured(shop)
    key = ask(shop, trip, "30.00").parts[0].refund_request_key
    nobody: Any = None

    def work(at: Any) -> None:
        with refund_ports(shop.engine, settings(), now=at) as ports:
            work_due(shop.engine, nobody, now=at, store_id=shop.store_id, processors=ports)

    work(EVENING)
    assert refunds(shop, trip) == [("30.00", "FINAL")]
    failed = {
        "object": "refund", "id": "re_1", "status": "failed", "amount": 3000, "currency": "usd",
        "metadata": {"backroom_reference": key},
    }  # fmt: skip
    for number in (1, 2):
        assert tell(portal, {"id": f"evt_{number}", "type": kind, "data": {"object": failed}}, to="stripe") == 200
        webhooks.apply_new(shop.engine, now=EVENING + minutes(1))
    assert refunds(shop, trip) == [("30.00", "PARKED")]
    shop.post(EVENING + minutes(2))
    (case,) = shop.rows("select * from review_case where kind = 'REFUND_REFUSED' and store_id = :s", s=shop.store_id)
    with shop.engine.begin() as connection:
        cases.decide(connection, case["case_id"], "ask_again", by="cleo", reason="try", now=EVENING + minutes(3))
        gather_evidence(connection, now=EVENING + minutes(4))
    work(EVENING + minutes(5))
    assert refunds(shop, trip) == [("30.00", "PARKED")], "its key is spent: it is not asked for again"
    assert shop.operations(case["subject"]) == [("REFUND", "REFUSED")]
