"""backroom review: filters, overdue cases, decisions, machines' output."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.errors import BackroomError
from backroom.reviews.commands import app
from tests.reviews.test_cases import ask


@pytest.fixture(autouse=True)
def _none(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("delete from review_case"))


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def subjects(*arguments: str) -> list[str]:
    return [case["subject"] for case in run("list", *arguments)]


def due(engine: Engine, case_id: int | None, at: str, store: str = "STORE-001") -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "update review_case set due_at = :at, store_id = :store, when_overdue = 'it stays unbilled'"
                " where case_id = :id"
            ),
            {"id": case_id, "at": at, "store": store},
        )


def test_cases_are_found_by_store_kind_room_and_by_what_is_overdue(database: Engine) -> None:
    due(database, ask(database, "late"), "2026-11-23T18:00:00Z")
    due(database, ask(database, "later"), "2026-11-23T20:00:00Z", store="STORE-002")
    ask(database, "whenever", kind="UNKNOWN_CAPTURE")
    assert subjects() == ["late", "later", "whenever"]
    assert subjects("--limit", "1") == ["late"]
    assert subjects("--store", "STORE-002") == ["later"]
    assert subjects("--kind", "UNKNOWN_CAPTURE") == ["whenever"]
    assert subjects("--asked-by", "charges") == []
    assert subjects("--overdue", "--now", "2026-11-23T19:00:00Z") == ["late"]
    shown = CliRunner().invoke(app, ["list", "--now", "2026-11-23T19:00:00Z"], env={"COLUMNS": "200"}).output
    assert shown.count("overdue") == 1


def test_what_was_decided_can_be_read_again_with_who_and_why(database: Engine) -> None:
    case_id = ask(database, "trip-1")
    decided = run(
        "decide", str(case_id), "drop", "--by", "ana", "--reason", "a sticker", "--now", "2026-11-23T19:00:00Z"
    )
    assert (decided["decision"], decided["decided_by"], decided["decision_reason"]) == ("drop", "ana", "a sticker")
    assert subjects() == []
    (again,) = run("list", "--decided")
    assert again == decided
    shown = CliRunner().invoke(app, ["show", str(case_id)]).output
    assert "decided: drop by ana at 2026-11-23 19:00 UTC" in shown.replace("\n", " ")


def test_a_case_says_until_when_and_what_then(database: Engine) -> None:
    case_id = ask(database, "trip-1")
    due(database, case_id, "2026-11-23T18:00:00Z")
    shown = CliRunner().invoke(app, ["show", str(case_id)]).output
    assert "until 2026-11-23 18:00 UTC; then: it stays unbilled" in shown.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["decide", "{case}", "burn", "--reason", "x"], "offers drop, keep"),
        (["decide", "{case}", "drop", "--reason", "  "], "--reason says nothing"),
        (["decide", "999999", "drop", "--reason", "x"], "no case 999999"),
        (["decide", "{case}", "drop", "--reason", "x", "--now", "yesterday"], "--now"),
        (["list", "--decided", "--overdue"], "--decided goes with"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(database: Engine, arguments: list[str], message: str) -> None:
    case_id = ask(database, "trip-1")
    result = CliRunner().invoke(app, [argument.format(case=case_id) for argument in arguments])
    assert isinstance(result.exception, BackroomError)
    assert message in str(result.exception)
    assert len(str(result.exception).splitlines()) == 1
