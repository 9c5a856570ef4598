"""backroom refunds: what it shows, what it decides, and what it refuses."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from backroom.errors import BackroomError
from backroom.refunds import commands
from backroom.refunds.commands import app
from tests.amazon.scripted_amazon import ScriptedAmazon, refused, replies
from tests.refunds.conftest import NEXT_DAY, Till, hours


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' present is the day after the trips."""
    monkeypatch.setattr(commands, "system_clock", lambda: NEXT_DAY + hours(1))


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "250"}).invoke(app, [*arguments])


def shown(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.output)


def mistake(*arguments: str) -> str:
    """A command's one line; it wrote nothing."""
    done = run(*arguments)
    assert isinstance(done.exception, BackroomError), (done.output, done.exception)
    return str(done.exception)


def test_a_request_is_made_shown_and_made_once_by_its_key(till: Till) -> None:
    trip = till.captured(("3", "10.00"), ("1", "2.30"))
    asked = ["request", trip, "--line", "1:2", "--line", "2", "--reason", "DAMAGED_ITEM", "--by", "ana", "--key", trip]
    made = shown(*asked)
    assert (made["amount"], made["state"]) == ("8.9600", "APPROVED")
    assert shown(*asked)["request_id"] == made["request_id"]
    whole = shown("show", str(made["request_id"]))
    assert [(line["line_number"], line["amount"]) for line in whole["lines"]] == [(1, "6.6600"), (2, "2.3000")]
    assert whole["refunds"][0]["refund_request_key"] == made["refunds"][0]["refund_request_key"]
    printed = run("show", str(made["request_id"])).output
    assert f"8.96 USD of {trip}" in printed
    assert "CAPTURE" in printed


def test_the_list_shows_what_is_on_its_way_and_by_trip_all(till: Till) -> None:
    trip = till.captured()
    made = till.ask(trip, "5")
    till.set_store(trust_capture_answer=True)
    assert [row["request_id"] for row in shown("list", "--store", till.store_id)] == [made.request_id]
    till.give_back()
    assert shown("list", "--store", till.store_id) == []
    (row,) = shown("list", "--trip", trip)
    assert (row["state"], row["given_back"]) == ("DONE", "5.0000")
    assert trip in run("list", "--all", "--store", till.store_id).output


def test_a_second_person_approves_or_rejects(till: Till) -> None:
    trip = till.captured()
    till.set_store(refund_approval_above=Decimal(5))
    made = run("request", trip, "--amount", "6", "--reason", "OTHER", "--by", "ana")
    assert "a second person decides it" in made.output
    number = str(shown("list", "--trip", trip)[0]["request_id"])
    assert "someone else must decide it" in mistake("approve", number, "--by", "Ana", "--reason", "fine")
    assert shown("approve", number, "--by", "ben", "--reason", "seen the goods")["state"] == "APPROVED"
    assert "nothing to decide" in mistake("reject", number, "--by", "ben", "--reason", "no")


def test_when_the_shopper_asked_can_be_said(till: Till) -> None:
    trip = till.captured()
    till.set_store(refund_window_days=1)
    late = ["request", trip, "--amount", "1", "--reason", "OTHER", "--by", "ana"]
    assert "takes requests for 1 days" in mistake(*late)
    assert shown(*late, "--asked-at", NEXT_DAY.isoformat())["state"] == "APPROVED"
    assert "--asked-at" in mistake(*late, "--asked-at", "yesterday")


def test_a_parked_refund_is_asked_for_once_more_by_the_same_key(till: Till, amazon: ScriptedAmazon) -> None:
    amazon.script = replies(refund=refused(400, "BadRequestException"))
    trip = till.captured()
    made = till.ask(trip, "5")
    till.give_back()
    refund = str(made.parts[0].refund_id)
    done = run("retry", refund, "--by", "ben", "--reason", "the store is allow-listed now")
    assert done.exit_code == 0, done.exception
    assert till.parts(trip) == [("CAPTURE", "5.00", "DUE")]
    assert till.now(made).parts[0].refund_request_key == made.parts[0].refund_request_key
    assert "only a parked one" in mistake("retry", refund, "--by", "ben", "--reason", "again")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["request", "T", "--reason", "OTHER", "--by", "ana"], "one of --amount, --line or --all"),
        (["request", "T", "--amount", "1", "--all", "--reason", "OTHER", "--by", "ana"], "one of --amount"),
        (["request", "T", "--amount", "one", "--reason", "OTHER", "--by", "ana"], "'one' is not a number"),
        (["request", "T", "--amount", "NaN", "--reason", "OTHER", "--by", "ana"], "is not a number"),
        (["request", "T", "--line", "x", "--reason", "OTHER", "--by", "ana"], "--line x: write the line's number"),
        (["request", "T", "--amount", "1", "--reason", "BORED", "--by", "ana"], "'BORED' is not a reason"),
        (["request", "T", "--amount", "1", "--reason", "OTHER", "--by", " "], "who asks is blank"),
        (["request", "T", "--amount", "1", "--reason", "OTHER", "--by", "ana", "--goods-returned"], "needs --line"),
        (["request", "nowhere", "--all", "--reason", "OTHER", "--by", "ana"], "'nowhere' has no charge"),
        (["show", "999999"], "no refund request 999999"),
        (["approve", "999999", "--reason", "fine"], "no refund request 999999"),
        (["retry", "999999", "--reason", "fine"], "no refund 999999"),
        (["approve", "1", "--reason", "  "], "--reason says nothing"),
        (["reject", "1", "--reason", ""], "--reason says nothing"),
        (["retry", "1", "--reason", "\t"], "--reason says nothing"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(till: Till, arguments: list[str], told: str) -> None:
    trip = till.sold(("1", "12.30"))
    line = mistake(*[trip if word == "T" else word for word in arguments])
    assert told in line
    assert "\n" not in line
    assert till.rows("select * from refund_request where shopping_trip_id = :t", t=trip) == []


def test_a_mistake_ends_the_program_with_two(till: Till, database: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    from backroom.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["refunds", "show", "999999"])
    assert ended.value.code == 2
    assert "there is no refund request 999999" in capsys.readouterr().err
