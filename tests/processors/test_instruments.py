"""Shoppers' instruments: tokens, a brand, four digits, never a card number; and the commands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from backroom.errors import BackroomError, ConfigurationError
from backroom.processors import instruments
from backroom.processors.commands import app
from backroom.processors.sandbox_adapter import SandboxProcessor
from backroom.processors.stripe_adapter import StripeProcessor
from backroom.settings import Settings
from backroom.shoppers.registry import register
from tests.processors.conftest import NOON, Shop

CARD = "4111 1111 1111 1111"
run = CliRunner(env={"COLUMNS": "250"}).invoke


@pytest.fixture(scope="module")
def shopper(database: Engine) -> str:
    with database.begin() as connection:
        register(connection, "ivy", "SHOPPER")
    return "ivy"


def options(shopper: str, /, **changes: str) -> list[str]:
    asked = {
        "shopper": shopper, "processor": "stripe", "customer": "cus_1", "method": "pm_1", "brand": "visa",
        "last-four": "4242", "reason": "asked by the shopper", **changes,
    }  # fmt: skip
    return ["instruments", "add", *(word for name, value in asked.items() for word in (f"--{name}", value))]


def test_the_newest_is_what_the_shopper_pays_with(database: Engine, shopper: str) -> None:
    for method in ("pm_1", "pm_2"):
        assert run(app, options(shopper, method=method)).exit_code == 0
    with database.connect() as connection:
        chosen = instruments.of_shopper(connection, shopper, "STRIPE")
        assert chosen is not None
        assert chosen.method_token == "pm_2"
        assert instruments.of_shopper(connection, shopper, "SANDBOX") is None
    listed = json.loads(run(app, ["instruments", "list", "--shopper", shopper, "--json"]).output)
    assert [(row["active"], row["brand"], row["last_four"]) for row in listed] == [
        (True, "VISA", "4242"), (False, "VISA", "4242"),
    ]  # fmt: skip
    assert "pm_2" not in json.dumps(listed), "tokens are not shown"
    done = run(app, ["instruments", "deactivate", str(chosen.instrument_id), "--reason", "lost", "--by", "ann"])
    assert done.exit_code == 0, done.exception
    assert isinstance(run(app, ["instruments", "deactivate", str(chosen.instrument_id), "--reason", "x"]).exception,
                      BackroomError)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"customer": CARD}, "looks like a card number"),
        ({"method": "4111-1111-1111-1111"}, "looks like a card number"),
        ({"last-four": "4111111111111111"}, "looks like a card number"),
        ({"last-four": "42"}, "four digits"),
        ({"brand": "4"}, "card network's name"),
        ({"method": "pm 1"}, "without blanks"),
        ({"processor": "amazon"}, "is not a processor"),
        ({"shopper": "nobody"}, "no shopper 'nobody'"),
        ({"reason": "  "}, "--reason says nothing"),
    ],
)
def test_what_is_no_token_is_refused_and_kept_nowhere(
    database: Engine, shopper: str, changes: dict[str, str], told: str
) -> None:
    with database.connect() as connection:
        before = connection.exec_driver_sql("select count(*) from payment_instrument").scalar_one()
    done = run(app, options(shopper, **changes))
    assert isinstance(done.exception, BackroomError)
    assert told in str(done.exception)
    assert "1111 1111" not in str(done.exception)
    with database.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from payment_instrument").scalar_one() == before


def test_every_call_about_a_trip_is_shown(sandbox_shop: Shop) -> None:
    shop = sandbox_shop
    who = shop.shopper_of(shop.card())
    event = shop.enter(who)
    shop.work_holds()
    trip = shop.leave(who, event, "12.30")
    shop.work(NOON)
    calls = json.loads(run(app, ["calls", trip, "--json"]).output)
    assert [(call["operation"], call["outcome"]) for call in calls] == [
        ("AUTHORIZE", "SUCCEEDED"), ("CAPTURE", "SUCCEEDED"),
    ]  # fmt: skip
    assert "CAPTURED" in run(app, ["calls", trip]).output
    held = json.loads(run(app, ["preauthorizations", "--store", shop.store_id, "--state", "used", "--json"]).output)
    assert [row["auth_event_id"] for row in held] == [event]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "BACKROOM_STRIPE_SECRET_KEY"),
        ({"stripe_secret_key": "pk_test_1"}, "not a secret"),
        ({"stripe_secret_key": "sk_live_1"}, "moves? real money"),
        ({"stripe_secret_key": "sk_live_1", "stripe_live": True, "stripe_url": "http://127.0.0.1:1"}, "no live key"),
        ({"stripe_secret_key": "sk_test_1", "stripe_url": "http://stripe.example"}, "needs https"),
    ],
)
def test_a_key_of_stripes_must_be_meant(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        StripeProcessor(Settings(**{"stripe_secret_key": None, "stripe_url": "https://api.stripe.com", **changes}))


def test_the_sandbox_charges_nobody_in_production() -> None:
    config = Settings(env="production", sandbox_processor_url="https://sandbox.example", connector_auth="sigv4")
    with pytest.raises(ConfigurationError, match="moves no real money"):
        SandboxProcessor(config)
