"""What people type wrong is told in one line that says what to write."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from backroom import cli


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["carts", "list", "--store", "NOPE"], "there is no store 'NOPE'"),
        (["carts", "unbilled", "--store", "NOPE"], "there is no store 'NOPE'"),
        (["catalog", "skus", "--store", "NOPE"], "there is no store 'NOPE'"),
        (["stock", "show", "A", "--store", "NOPE"], "there is no store 'NOPE'"),
        (["stock", "show", "NEVER-MOVED"], "nothing of 'NEVER-MOVED' has moved yet"),
        (["prices", "show", "A", "--store", "S", "--at", "noon"], "'noon' is not an instant; write 2026-"),
        (["carts", "list", "--now", "2026-03-01T17:00:00"], "has no time zone; write 2026-"),
        (["shoppers", "flag", "ana", "--reason", "  "], "--reason says nothing"),
        (["carts", "resolve", "T", "--drop", "1", "--reason", ""], "--reason says nothing"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    database: Engine, capsys: pytest.CaptureFixture[str], command: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    assert ended.value.code == 2
    told = capsys.readouterr().err.strip()
    assert complaint in told
    assert "\n" not in told
