"""Whoever decides says why: no command takes a blank `--reason`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.testing import CliRunner

from backroom.cli import COMMANDS, build_app
from backroom.errors import BackroomError

OF_AMAZONS = {("refunds", "request")}  # its reason is one of Amazon's words, and checked as that
ONE_OF_FEW = {"--queue": "intraday"}
FEWEST = 35


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


def arguments(command: Any) -> list[str]:
    """Something for all that the command must be given, and a blank reason."""
    given = ["--reason", "  "]
    for parameter in command.params:
        if parameter.required and "--reason" not in parameter.opts:
            value = ONE_OF_FEW.get(parameter.opts[0], "1")
            given += [value] if parameter.param_type_name == "argument" else [parameter.opts[0], value]
    return given


def test_every_command_with_a_reason_refuses_a_blank_one_before_anything_is_done() -> None:
    app = build_app(list(COMMANDS))
    asked = 0
    for path, command in commands(typer.main.get_command(app)):
        if path in OF_AMAZONS or not any("--reason" in parameter.opts for parameter in command.params):
            continue
        asked += 1
        done = CliRunner().invoke(app, [*path, *arguments(command)])
        assert isinstance(done.exception, BackroomError), (path, done.output)
        assert "--reason says nothing" in str(done.exception), path
    assert asked >= FEWEST
