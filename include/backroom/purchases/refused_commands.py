"""backroom carts refused: list, show, retry, dismiss, collect."""

from __future__ import annotations

import getpass
import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table

from backroom.clock import system_clock
from backroom.command_line import moment, needed
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.purchases import refused_carts
from backroom.purchases.kept_bodies import to_show
from backroom.purchases.refused_spool import collect_spool
from backroom.purchases.unauthenticated import not_kept
from backroom.settings import settings

app = typer.Typer(help="Carts that the connector turned away.", no_args_is_help=True)

AS_JSON = typer.Option("--json", help="for machines")
NOW = typer.Option("--now", help="business time, ISO 8601; the present if left out")
BY = typer.Option("--by", help="who decides; the login name if left out")


@app.command(name="list")
def list_refused(
    settled_too: Annotated[bool, typer.Option("--all", help="settled ones, too")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many")] = 100,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """List the refused carts that wait for a person, the oldest first."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = refused_carts.refused_carts(connection, settled_too=settled_too, limit=limit)
        strangers = not_kept(connection, since=system_clock() - timedelta(days=7))
    if as_json:
        typer.echo(json.dumps([dict(row) for row in rows], default=str, indent=2))
        return
    table = Table("id", "received", "status", "reason", "trip", "bytes", "outcome")
    for row in rows:
        table.add_row(
            str(row["refused_id"]), f"{row['received_at']:%Y-%m-%d %H:%M}", str(row["status"]), row["reason"],
            row["shopping_trip_id"] or "", str(row["bytes"]), row["outcome"] or "",
        )  # fmt: skip
    Console().print(table)
    if strangers:
        typer.echo(f"{strangers} more carts were answered 403 within 7 days and only counted")


@app.command()
def show(refused_id: int, as_json: Annotated[bool, AS_JSON] = False) -> None:
    """Show a refused cart with its body as it came (card numbers are never kept)."""
    check_reachable(engine())
    with engine().connect() as connection:
        row = dict(refused_carts.refused_one(connection, refused_id))
    body = to_show(bytes(row.pop("body")))
    if as_json:
        typer.echo(json.dumps({**row, "body": body}, default=str, indent=2))
        return
    typer.echo(f"refused cart {refused_id} of {row['received_at']:%Y-%m-%d %H:%M} UTC, trip {row['shopping_trip_id']}")
    typer.echo(f"{row['status']}: {row['reason']}")
    if row["outcome"]:
        typer.echo(f"{row['outcome']} by {row['settled_by']} at {row['settled_at']:%Y-%m-%d %H:%M} UTC")
    typer.echo(body)


@app.command()
def retry(
    refused_id: int,
    not_authenticated: Annotated[
        str, typer.Option("--not-authenticated", help="for one answered 403: how you know that it is Amazon's")
    ] = "",
    by: Annotated[str, BY] = "",
    now: Annotated[str, NOW] = "",
) -> None:
    """Take a refused cart by today's rules, as the connector would. Exits 1 where it is refused again."""
    at = moment(now)
    check_reachable(engine())
    with engine().begin() as connection:
        done = refused_carts.retry(
            connection,
            refused_id,
            by=by or getpass.getuser(),
            now=at,
            new_id=lambda: str(uuid4()),
            vouched=not_authenticated,
        )
    if done.outcome == "REFUSED":
        typer.echo(f"refused cart {refused_id} is still refused: {done.reason}")
        raise typer.Exit(1)
    typer.echo(f"refused cart {refused_id}: {done.outcome}, trip {done.shopping_trip_id} ({done.reason})")


@app.command()
def dismiss(
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the audit trail", callback=needed)],
    refused_id: Annotated[int | None, typer.Argument(help="one refused cart", show_default=False)] = None,
    not_authenticated: Annotated[
        bool, typer.Option("--not-authenticated", help="all that wait with 403; their bodies are deleted")
    ] = False,
    by: Annotated[str, BY] = "",
    now: Annotated[str, NOW] = "",
) -> None:
    """Nothing is to be done about a refused cart, or about all whose callers did not prove who they are."""
    at, by = moment(now), by or getpass.getuser()
    if (refused_id is None) != not_authenticated:
        raise BackroomError("name one refused cart, or all of strangers with --not-authenticated")
    check_reachable(engine())
    with engine().begin() as connection:
        if refused_id is None:
            dismissed = refused_carts.dismiss_unauthenticated(connection, by=by, reason=reason, now=at)
            typer.echo(f"{dismissed} refused carts: DISMISSED")
            return
        refused_carts.dismiss(connection, refused_id, by=by, reason=reason, now=at)
    typer.echo(f"refused cart {refused_id}: DISMISSED")


@app.command()
def collect(
    folder: Annotated[Path | None, typer.Option(help="where they wait; the setting's folder if left out")] = None,
    now: Annotated[str, NOW] = "",
) -> None:
    """Take in what the connector put aside on this machine while the database was away."""
    at = moment(now)
    if folder is not None and not folder.is_dir():
        raise BackroomError(f"there is no folder {folder}; the connector's is BACKROOM_REFUSED_SPOOL")
    check_reachable(engine())
    taken = collect_spool(engine(), folder or settings().refused_spool_folder, now=at)
    typer.echo(f"{taken} refused carts taken in")
