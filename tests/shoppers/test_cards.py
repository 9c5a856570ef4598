"""Cards that staff flag or trust, by Amazon's token."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from backroom.errors import BackroomError
from backroom.shoppers.commands import app


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def listed() -> dict[str, str]:
    return {row["shopper_identity"]: row["standing"] for row in json.loads(run("cards", "--json"))}


def test_a_card_is_flagged_trusted_and_forgotten(database: Engine) -> None:
    run("flag-card", "token-1", "--reason", "stolen", "--now", "2026-03-22T17:00:00Z")
    run("trust-card", "token-2", "--reason", "a regular")
    assert listed() == {"token-1": "FLAGGED", "token-2": "TRUSTED"}
    run("trust-card", "token-1", "--reason", "given back")
    assert listed()["token-1"] == "TRUSTED"
    run("untrust-card", "token-1", "--reason", "enough")
    run("flag-card", "token-2", "--reason", "after all")
    run("unflag-card", "token-2", "--reason", "a mistake")
    assert listed() == {}
    with database.connect() as connection:
        actions = connection.execute(
            text("select action || ' ' || subject || ': ' || reason from audit_entry order by entry_id")
        ).scalars()
        assert list(actions) == [
            "card.flag token-1: stolen",
            "card.trust token-2: a regular",
            "card.trust token-1: given back",
            "card.untrust token-1: enough",
            "card.flag token-2: after all",
            "card.unflag token-2: a mistake",
        ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("unflag-card", "nobody", "--reason", "x"), "is not flagged"),
        (("untrust-card", "nobody", "--reason", "x"), "is not trusted"),
        (("flag-card", "4111 1111 1111 1111", "--reason", "x"), "name the card by its token"),
        (("flag-card", "", "--reason", "x"), "1 to 255 characters"),
        (("flag-card", "x" * 256, "--reason", "x"), "1 to 255 characters"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(database: Engine, arguments: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(BackroomError, match=complaint):
        run(*arguments)
