"""What the rooms' commands have in common: the `--now` option and lists that a person or a machine reads."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from sqlalchemy import text

from backroom.clock import parse_instant, system_clock
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError

_UNBOUNDED = 10_000  # columns


def moment(now: str) -> datetime:
    """The instant of `--now` in UTC, the present where none is given. Raises BackroomError for a malformed one."""
    try:
        return parse_instant(now) if now else system_clock()
    except ValueError as error:
        raise BackroomError(f"--now: {error}") from error


def show_query(query: str, values: dict[str, Any], *, as_json: bool) -> None:
    """Prints a query's rows: a table headed by its column names, or a JSON list of objects.

    What is too wide for a table is printed row by row, a line for each value.
    """
    check_reachable(engine())
    with engine().connect() as connection:
        result = connection.execute(text(query), values)
        names, rows = list(result.keys()), result.all()
    if as_json:
        typer.echo(json.dumps([dict(row._mapping) for row in rows], default=str))
        return
    headings = [name.replace("_", " ") for name in names]
    table = Table(*headings)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console = Console()
    if Measurement.get(console, console.options.update(width=_UNBOUNDED), table).maximum <= console.width or not rows:
        console.print(table)
        return
    for row in rows:
        block = Table.grid(padding=(0, 2))
        for heading, value in zip(headings, row, strict=True):
            if value is not None:
                block.add_row(heading, _cell(value))
        console.print(block, "")


def _cell(value: object) -> str:
    return "" if value is None else escape(str(value))


def needed(value: str) -> str:
    """For options that must say something, such as --reason. Raises BackroomError where it is blank."""
    if not value.strip():
        raise BackroomError("--reason says nothing; write why, it is kept in the audit trail")
    return value
