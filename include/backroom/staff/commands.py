"""backroom staff: who may sign in to the console."""

from __future__ import annotations

import getpass
import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from backroom.command_line import moment, needed
from backroom.db.engine import check_reachable, engine, transaction
from backroom.staff import members

app = typer.Typer(help="Who may sign in to the console.", no_args_is_help=True)

NAME = typer.Argument(help="such as ana.lopez; the actor in the audit trail")
ROLES = typer.Argument(help="finance, operations, support: one or more")
REASON = typer.Option("--reason", help="why; kept in the audit trail", callback=needed)
BY = typer.Option("--by", help="who does it; the login name if left out")
NOW = typer.Option("--now", help="business time, ISO 8601 with its zone")


@app.command()
def add(
    name: Annotated[str, NAME],
    roles: Annotated[list[str], ROLES],
    reason: Annotated[str, REASON] = "a new member of staff",
    by: Annotated[str, BY] = "",
    now: Annotated[str, NOW] = "",
) -> None:
    """Let a person sign in. The password comes from the prompt, or as one line from standard input."""
    at, password = moment(now), _password()
    check_reachable(engine())
    with transaction() as connection:
        kept = members.add(connection, name, roles, password, by=by or getpass.getuser(), reason=reason, now=at)
    typer.echo(f"{kept} may sign in, as {' and '.join(sorted(set(roles)))}")


@app.command()
def role(
    name: Annotated[str, NAME],
    roles: Annotated[list[str], ROLES],
    reason: Annotated[str, REASON],
    by: Annotated[str, BY] = "",
    now: Annotated[str, NOW] = "",
) -> None:
    """Say anew what a person may do; it holds from the next click on."""
    at = moment(now)
    check_reachable(engine())
    with transaction() as connection:
        members.set_roles(connection, name, roles, by=by or getpass.getuser(), reason=reason, now=at)
    typer.echo(f"{name.strip().lower()} is {' and '.join(sorted(set(roles)))} now")


@app.command()
def password(
    name: Annotated[str, NAME],
    reason: Annotated[str, REASON],
    by: Annotated[str, BY] = "",
    now: Annotated[str, NOW] = "",
) -> None:
    """Set a new password, from the prompt or standard input. Ends the person's sessions."""
    at, given = moment(now), _password()
    check_reachable(engine())
    with transaction() as connection:
        members.set_password(connection, name, given, by=by or getpass.getuser(), reason=reason, now=at)
    typer.echo(f"{name.strip().lower()} has a new password; every session has ended")


@app.command()
def disable(
    name: Annotated[str, NAME],
    reason: Annotated[str, REASON],
    by: Annotated[str, BY] = "",
    now: Annotated[str, NOW] = "",
) -> None:
    """End a person's access at once."""
    at = moment(now)
    check_reachable(engine())
    with transaction() as connection:
        members.disable(connection, name, by=by or getpass.getuser(), reason=reason, now=at)
    typer.echo(f"{name.strip().lower()} can't sign in any more; every session has ended")


@app.command()
def enable(
    name: Annotated[str, NAME],
    reason: Annotated[str, REASON],
    by: Annotated[str, BY] = "",
    now: Annotated[str, NOW] = "",
) -> None:
    """Let a person sign in again."""
    at = moment(now)
    check_reachable(engine())
    with transaction() as connection:
        members.enable(connection, name, by=by or getpass.getuser(), reason=reason, now=at)
    typer.echo(f"{name.strip().lower()} may sign in again")


@app.command(name="list")
def list_staff(as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False) -> None:
    """List everyone."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = members.everyone(connection)
    if as_json:
        typer.echo(json.dumps([dict(row) for row in rows], default=str, indent=2))
        return
    table = Table("name", "roles", "since", "password of", "disabled")
    for row in rows:
        table.add_row(
            row["name"], ", ".join(row["roles"]), f"{row['added_at']:%Y-%m-%d}", f"{row['password_set_at']:%Y-%m-%d}",
            f"{row['disabled_at']:%Y-%m-%d}" if row["disabled_at"] else "",
        )  # fmt: skip
    Console().print(table)


def _password() -> str:
    """Never an argument: those are seen in the list of processes and in the shell's history."""
    if sys.stdin.isatty():
        return str(typer.prompt("password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
