"""backroom reconcile breaks, break, assign, note, force-match, write-off: breaks as work."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection

from backroom.command_line import moment, needed
from backroom.db.engine import check_reachable, engine, transaction
from backroom.errors import BackroomError
from backroom.reconciliation import breaks
from backroom.reconciliation.breaks import Filter
from backroom.reconciliation.verdict import Kind

JSON = typer.Option(False, "--json", help="for machines")
REASON = typer.Option(..., "--reason", help="why; kept in the audit trail", callback=needed)
BY = typer.Option("", "--by", help="who does it; the login name if left out")
NOW = typer.Option("", "--now", help="business time, ISO 8601 with its zone; the present where left out")
NUMBER = typer.Argument(help="the break's number, as `backroom reconcile breaks` shows it")


def add_to(app: typer.Typer) -> None:
    """Adds these commands to `backroom reconcile`."""
    app.command(name="breaks")(list_breaks)
    app.command(name="break")(show_break)
    for name, command in (
        ("assign", assign), ("note", note), ("force-match", force_match), ("write-off", write_off),
    ):  # fmt: skip
        app.command(name=name)(command)


def list_breaks(
    store: str = typer.Option("", "--store", help="of this store only"),
    date_: str = typer.Option("", "--date", help="of this business day only"),
    only_open: bool = typer.Option(False, "--open", help="without those that are closed"),
    kind: list[str] = typer.Option([], "--kind", help="of this kind only; may be given several times"),
    owner: str | None = typer.Option(None, "--owner", help="this person's only; an empty name: nobody's"),
    older_than: int | None = typer.Option(None, "--older-than", min=0, help="opened at least so many days ago"),
    trip: str = typer.Option("", "--trip", help="of this trip only"),
    now: str = NOW,
    as_json: bool = JSON,
) -> None:
    """List the breaks, the newest day first. Exits 1 where any of them is open."""
    if unknown := {one.upper() for one in kind} - set(Kind):
        known = ", ".join(sorted(Kind))
        raise BackroomError(f"no kind of break is called {', '.join(sorted(unknown))}; there are {known}")
    check_reachable(engine())
    day = _date(date_) if date_ else None
    which = Filter(
        state="OPEN" if only_open else None,
        store_id=store or None,
        kinds=[one.upper() for one in kind],
        first_day=day,
        last_day=day,
        owner=owner,
        shopping_trip_id=trip or None,
        older_than_days=older_than,
    )
    with transaction() as connection:
        found = breaks.listed(connection, which, now=moment(now))
    if as_json:
        typer.echo(json.dumps(found, default=str))
    else:
        table = Table("break", "day", "store", "trip", "line", "kind", "ours", "theirs", "difference", "age", "state")
        for row in found:
            table.add_row(
                str(row["break_id"]),
                str(row["business_date"]),
                row["store_id"],
                row["shopping_trip_id"],
                str(row["line_number"] or ""),
                row["kind"],
                row["ours"],
                row["theirs"],
                "" if row["difference"] is None else f"{row['difference'].normalize():f} {row['currency']}",
                f"{row['age_days']} d",
                f"open, {row['owner']}" if row["state"] == "OPEN" and row["owner"] else row["state"].lower(),
            )
        Console().print(table)
    raise typer.Exit(1 if any(row["state"] == "OPEN" for row in found) else 0)


def show_break(number: int = NUMBER, now: str = NOW, as_json: bool = JSON) -> None:
    """Show one break and all that has happened to it."""
    check_reachable(engine())
    with transaction() as connection:
        found = breaks.one(connection, number, now=moment(now))
        told = breaks.history(connection, number)
    if as_json:
        typer.echo(json.dumps(found | {"history": told}, default=str))
        return
    console = Console()
    console.print(
        f"break {number}: {found['kind']} of trip {found['shopping_trip_id']}, {found['state'].lower()}, "
        f"owned by {found['owner'] or 'nobody'}\n{found['explanation']}"
    )
    table = Table("when", "who", "what", "ours", "theirs", "why")
    for row in told:
        table.add_row(
            f"{row['at']:%Y-%m-%d %H:%M}", row["actor"], row["kind"], row["ours"], row["theirs"], row["reason"]
        )
    console.print(table)


def assign(
    number: int = NUMBER,
    to: str = typer.Option(..., "--to", help="who is to look into it; an empty name gives it back"),
    reason: str = REASON,
    by: str = BY,
    now: str = NOW,
) -> None:
    """Make a break somebody's work."""
    _decide(
        lambda connection, who, at: breaks.assign(connection, number, owner=to, by=who, reason=reason, now=at), by, now
    )
    Console().print(f"break {number} is {to or 'nobody'}'s")


def note(number: int = NUMBER, reason: str = REASON, by: str = BY, now: str = NOW) -> None:
    """Add to a break's history what was found out."""
    _decide(lambda connection, who, at: breaks.note(connection, number, by=who, reason=reason, now=at), by, now)
    Console().print(f"noted with break {number}")


def force_match(number: int = NUMBER, reason: str = REASON, by: str = BY, now: str = NOW) -> None:
    """Say that the two sides of a break are the same thing after all. Moves no money."""
    _decide(lambda connection, who, at: breaks.force_match(connection, number, by=who, reason=reason, now=at), by, now)
    Console().print(f"break {number} is matched by your word")


def write_off(number: int = NUMBER, reason: str = REASON, by: str = BY, now: str = NOW) -> None:
    """Give the difference of a break up. What of it stands in the books is booked as a write-off with the next run."""
    given_up = _decide(
        lambda connection, who, at: breaks.write_off(connection, number, by=who, reason=reason, now=at), by, now
    )
    Console().print(f"break {number} is written off{'' if given_up is None else f', {given_up.normalize():f}'}")


def _decide(what: Callable[[Connection, str, datetime], Any], by: str, now: str) -> Any:
    check_reachable(engine())
    with transaction() as connection:
        return what(connection, by or getpass.getuser(), moment(now))


def _date(given: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        raise BackroomError(f"--date: {given!r} is not a day; write 2026-11-23") from error
