"""The Stripe stand-in as a part: started where it is named, known to who calls it, telling who listens."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from backroom.errors import ConfigurationError
from backroom.processors.stripe_adapter import require_deliberate_key
from backroom.settings import Settings
from backroom_stack.environment import Environment
from backroom_stack.secrets_file import load_or_make
from backroom_stack.supervisor import ASKED_FOR, PORTS, SERVICES, Supervisor

URL = make_url("postgresql://postgres@127.0.0.1/backroom")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def environment(home: Path, *, stand_in: bool) -> Environment:
    config = Settings(home=home, stripe_port=8012)
    return Environment(config, load_or_make(home), URL, URL, stripe_stand_in=stand_in)


def about_stripe(variables: dict[str, str]) -> set[str]:
    return {name for name in variables if name.startswith("BACKROOM_STRIPE_") and name != "BACKROOM_STRIPE_PORT"}


def test_it_starts_only_where_it_is_named(home: Path) -> None:
    assert "stripe" in ASKED_FOR
    assert "stripe" not in SERVICES
    assert PORTS["stripe"][2] == "BACKROOM_STRIPE_PORT"
    with pytest.raises(ConfigurationError, match=r"there are .*stripe"):
        Supervisor(Settings(home=home), ("stripes",), print, schedules=False)


def test_who_calls_it_gets_its_address_and_who_listens_the_secret_too(home: Path) -> None:
    made = environment(home, stand_in=True)
    assert about_stripe(made.pipeline()) == {"BACKROOM_STRIPE_URL", "BACKROOM_STRIPE_SECRET_KEY"}
    portal = made.portal()
    assert portal["BACKROOM_STRIPE_URL"] == "http://127.0.0.1:8012"
    assert portal["BACKROOM_STRIPE_WEBHOOK_SECRET"] == load_or_make(home)["stripe_webhook_secret"]
    assert about_stripe(made.connector()) == about_stripe(made.sandbox()) == set()
    key = Settings(stripe_url=portal["BACKROOM_STRIPE_URL"], stripe_secret_key=portal["BACKROOM_STRIPE_SECRET_KEY"])
    assert require_deliberate_key(key).startswith("sk_test_"), "a key that moves no money"


def test_without_it_nobody_is_pointed_at_it(home: Path) -> None:
    made = environment(home, stand_in=False)
    assert about_stripe(made.pipeline()) | about_stripe(made.portal()) == set()
