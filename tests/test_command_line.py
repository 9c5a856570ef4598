"""What commands print: a table where it fits, otherwise a line for each value, and nothing cut short."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from backroom import command_line
from backroom.cli import main

WIDE = "select " + ", ".join(f"'{'x' * 30}{n}' as heading_of_column_{n}" for n in range(6))


@pytest.fixture(autouse=True)
def _here(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "engine", lambda: database)
    monkeypatch.setenv("COLUMNS", "80")


def test_what_fits_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    command_line.show_query("select 'S-1' as store_id, 'a [b] c' as name, null as note", {}, as_json=False)
    heading, *_ = [line for line in capsys.readouterr().out.splitlines() if "store id" in line]
    assert "name" in heading


def test_text_in_brackets_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    command_line.show_query("select 'a [bold] c' as name", {}, as_json=False)
    assert "a [bold] c" in capsys.readouterr().out


def test_what_is_too_wide_is_a_line_for_each_value_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    command_line.show_query(WIDE, {}, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    for number in range(6):
        assert any(line.split() == [*f"heading of column {number}".split(), "x" * 30 + str(number)] for line in lines)


def test_no_rows_are_an_empty_table_however_wide(capsys: pytest.CaptureFixture[str]) -> None:
    command_line.show_query(f"{WIDE} limit 0", {}, as_json=False)
    assert "heading" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["stores", "load"], "missing argument 'file'; `backroom stores load --help` shows how it is used"),
        (["catalog", "sync", "--stoer", "S-1"], "no such option: --stoer"),
        (["catalog", "status", "--limit", "many"], "invalid value for '--limit'"),
        (["nonsense"], "no such command 'nonsense'"),
    ],
)
def test_a_wrong_way_to_ask_is_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"backroom: {says}")


def test_a_group_alone_shows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["stores"])
    out, err = capsys.readouterr()
    assert (ended.value.code, err) == (2, "")
    assert "scan-pattern" in out
