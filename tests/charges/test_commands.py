"""backroom charges, backroom debts."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from backroom import logs
from backroom.charges.commands import app
from backroom.debts.commands import app as debts_app
from backroom.errors import BackroomError
from backroom.settings import settings
from tests.amazon.scripted_amazon import ScriptedAmazon, adjusted, replies
from tests.charges.conftest import NOON, Books, minutes


def test_a_trip_is_shown_with_every_event_and_every_call(books: Books, amazon: ScriptedAmazon) -> None:
    trip = books.trip("12.30")
    books.work()
    shown = json.loads(CliRunner().invoke(app, ["show", trip, "--json"]).output)
    assert [event["kind"] for event in shown["events"]] == ["OPENED", "ADJUST_APPROVED", "CAPTURE_INITIATED"]
    assert [attempt["operation"] for attempt in shown["attempts"]] == ["ADJUST", "CAPTURE"]
    assert shown["charge"]["total"] == "12.3000"
    assert "CAPTURE_INITIATED" in CliRunner().invoke(app, ["show", trip]).output


def test_charges_are_listed_by_store_and_state(books: Books) -> None:
    trip = books.trip("12.30")
    listed = CliRunner().invoke(app, ["list", "--store", books.store_id, "--state", "DUE", "--json"])
    assert [row["shopping_trip_id"] for row in json.loads(listed.output)] == [trip]
    assert CliRunner().invoke(app, ["list", "--store", books.store_id]).exit_code == 0


def test_a_turn_by_hand_takes_in_evidence_moves_the_money_that_is_due_and_books_it(
    books: Books, amazon: ScriptedAmazon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKROOM_AMAZON_PAYMENTS_URL", books.amazon_url)
    monkeypatch.setenv("BACKROOM_AMAZON_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("BACKROOM_AMAZON_SECRET_ACCESS_KEY", "secret")
    settings.cache_clear()
    logs.configure("WARNING")  # as the command line does it, before any command
    trip = books.trip("12.30")
    turn = ["turn", "--store", books.store_id, "--json"]
    done = json.loads(CliRunner().invoke(app, [*turn, "--now", NOON.isoformat()]).stdout)
    assert done["stores"][books.store_id]["trips"] == 1
    assert books.balance(trip)["card_clearing_initiated"] == Decimal("12.30")
    books.order(trip, "SETTLED", "12.30", at=NOON + minutes(20))
    shown = CliRunner().invoke(app, [*turn[:-1], "--now", (NOON + minutes(30)).isoformat()]).stdout
    assert "0 stores had charges due" in shown
    assert books.charge(trip)["state"] == "CAPTURED"
    assert amazon.paths(trip) == ["adjust", "capture"]
    with pytest.raises(BackroomError, match="'S-NOWHERE'"):
        CliRunner().invoke(app, ["turn", "--store", "S-NOWHERE"], catch_exceptions=False)


def test_a_trip_without_a_charge_is_one_clear_line(books: Books) -> None:
    with pytest.raises(BackroomError, match="has no charge"):
        CliRunner().invoke(app, ["show", "nowhere"], catch_exceptions=False)


def test_debts_are_listed_with_what_is_outstanding(books: Books, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(adjust=adjusted("APPROVED", "10.00"))
    trip = books.trip("12.30")
    books.work()
    listed = CliRunner().invoke(debts_app, ["list", "--store", books.store_id, "--json"])
    rows = json.loads(listed.output)
    assert [(row["shopping_trip_id"], row["outstanding"]) for row in rows] == [(trip, "2.3000")]
    assert CliRunner().invoke(debts_app, ["age", "--now", "2026-12-31T00:00:00Z"]).exit_code == 0
