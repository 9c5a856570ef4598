"""backroom db: upgrade, status, psql."""

from __future__ import annotations

import json
import os

import typer
from rich.console import Console
from rich.table import Table

from backroom.db import migrate
from backroom.db.embedded import psql
from backroom.db.engine import check_reachable, database_url, engine
from backroom.db.roles import ROLES, set_password

app = typer.Typer(help="The database: schema and access.", no_args_is_help=True)


@app.command()
def upgrade() -> None:
    """Bring the schema to the newest revision. Safe to run again."""
    check_reachable(engine())
    Console().print(f"database is at revision {migrate.upgrade(engine())}")


@app.command()
def status(as_json: bool = typer.Option(False, "--json", help="for machines")) -> None:
    """Say which revision the database is at. Exits 1 where it is behind."""
    check_reachable(engine())
    current, head = migrate.status(engine())
    where = engine().url.set(password=None).render_as_string()
    if as_json:
        typer.echo(json.dumps({"database": where, "revision": current, "newest": head, "current": current == head}))
    else:
        table = Table("database", "revision", "newest", "")
        table.add_row(where, current or "empty", head, "up to date" if current == head else "run `backroom db upgrade`")
        Console().print(table)
    raise typer.Exit(0 if current == head else 1)


@app.command()
def passwords() -> None:
    """Let each role log in with the password in BACKROOM_DB_PASSWORD_CONNECTOR, …_PIPELINE and so on."""
    check_reachable(engine())
    given = 0
    for role in ROLES:
        variable = f"BACKROOM_DB_PASSWORD_{role.removeprefix('backroom_').upper()}"
        if password := os.environ.get(variable):
            set_password(engine(), role, password)
            given += 1
    Console().print(f"{given} of {len(ROLES)} roles can log in with the given passwords")


@app.command(name="psql", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def open_psql(context: typer.Context) -> None:
    """Open psql on the database; further arguments are psql's own."""
    url = database_url()
    check_reachable(engine())
    environment = {**os.environ, "PGPASSWORD": url.password or ""}
    target = url.set(drivername="postgresql", password=None).render_as_string()
    os.execve(psql(), ["psql", target, *context.args], environment)  # noqa: S606 - the point of the command
