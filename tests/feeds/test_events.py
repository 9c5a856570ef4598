"""The event feed: each event once, whatever comes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine

from backroom.feeds.aws import Aws
from backroom.feeds.events import Counts, Malformed, drain, parse
from tests.feeds.conftest import NOW, STORE, Amazon
from tests.feeds.test_intraday import ask


def event(event_id: str = "e-1", kind: str = "PAYMENT", subtype: str | None = "CaptureApproved", **detail: Any) -> str:
    """An EventBridge envelope."""
    fields = {"shoppingTripId": "trip-1", "storeId": STORE} | ({"subtype": subtype} if subtype else {}) | detail
    return json.dumps(
        {
            "version": "0",
            "id": event_id,
            "detail-type": kind,
            "source": "amazon.justwalkout",
            "account": "123456789012",
            "time": "2026-03-01T10:00:00Z",
            "region": "us-east-1",
            "resources": [],
            "detail": fields,
        }
    )


def test_an_event_that_comes_twice_is_kept_once(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    for body in (event(), event(), event("e-2")):
        amazon.send(body, aws.events_queue)
    assert drain(clean, aws, now=NOW) == Counts(new=2, known_already=1)
    amazon.send(event(), aws.events_queue)
    assert drain(clean, aws, now=NOW) == Counts(known_already=1)
    assert ask(clean, "select event_id, detail_type, subtype, shopping_trip_id from feed_event order by 1") == [
        ("e-1", "PAYMENT", "CaptureApproved", "trip-1"),
        ("e-2", "PAYMENT", "CaptureApproved", "trip-1"),
    ]
    assert amazon.waiting(aws.events_queue) == 0


@pytest.mark.parametrize(
    ("kind", "subtype", "known"),
    [
        ("CART", None, True),
        ("PAYMENT", "AuthorizationDeclined", True),
        ("SHOPPER", None, True),
        ("TEST", None, True),
        ("PAYMENT", "ChargebackOpened", False),
        ("DRONE", None, False),
    ],
)
def test_unknown_kinds_are_kept_and_counted(
    clean: Engine, aws: Aws, amazon: Amazon, kind: str, subtype: str | None, known: bool
) -> None:
    amazon.send(event("e-1", kind, subtype), aws.events_queue)
    assert drain(clean, aws, now=NOW) == Counts(new=1, unknown=0 if known else 1)
    assert ask(clean, "select detail_type, known from feed_event") == [(kind, known)]


def test_amounts_are_kept_to_the_letter(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.send(event().replace('"trip-1"', '"trip-1", "amount": 0.1000000000000000055'), aws.events_queue)
    drain(clean, aws, now=NOW)
    kept = ask(clean, "select cast(envelope #>> '{detail,amount}' as numeric) from feed_event")
    assert kept == [(Decimal("0.1000000000000000055"),)]


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "{}",
        event().replace("e-1", ""),
        event().replace("trip-1", "\\u0000"),
        event().replace("10:00", "25:00"),
        "[" * 100_000,
    ],
)
def test_what_is_no_event_goes_to_the_dead_letters_with_an_alert(
    clean: Engine, aws: Aws, amazon: Amazon, body: str
) -> None:
    amazon.send(body, aws.events_queue)
    amazon.send(event(), aws.events_queue)
    assert drain(clean, aws, now=NOW) == Counts(new=1, malformed=1)
    assert amazon.waiting("backroom-events-dead") == 1
    assert amazon.waiting(aws.events_queue) == 0
    assert ask(clean, "select deduplication_key from alert") == [("feeds:malformed-event",)]


def test_declines_alert_at_once(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    amazon.send(event("e-1", "PAYMENT", "CaptureDeclined"), aws.events_queue)
    drain(clean, aws, now=NOW)
    assert ask(clean, "select severity, subject, store_id from alert") == [("warning", "trip-1", STORE)]


def test_a_drain_takes_all_that_waits(clean: Engine, aws: Aws, amazon: Amazon) -> None:
    for number in range(35):
        amazon.send(event(f"e-{number}"), aws.events_queue)
    assert drain(clean, aws, now=NOW).new == 35


def test_an_event_without_a_trip_is_not_understood() -> None:
    assert not parse(event().replace("shoppingTripId", "tripId")).known


def test_a_message_without_an_id_is_no_event() -> None:
    with pytest.raises(Malformed):
        parse(event().replace('"id"', '"identity"'))
