"""backroom stores: load, list, scan-pattern."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from backroom.db.engine import check_reachable, engine
from backroom.entry.scan_code import portal_pattern
from backroom.errors import BackroomError
from backroom.settings import settings
from backroom.stores import registry

app = typer.Typer(help="The stores that the retailer runs.", no_args_is_help=True)


@app.command()
def load(file: Path) -> None:
    """Add or update the stores of a stores.json. All of it or nothing."""
    check_reachable(engine())
    with engine().begin() as connection:
        count = registry.load_stores(connection, file)
    typer.echo(f"{count} stores loaded from {file}")


@app.command(name="list")
def list_stores(as_json: bool = typer.Option(False, "--json", help="for machines")) -> None:
    """Show every store and how it works."""
    check_reachable(engine())
    with engine().connect() as connection:
        stores = registry.all_stores(connection)
    if as_json:
        typer.echo(json.dumps([asdict(store) for store in stores], default=str))
        return
    table = Table(Column("store", no_wrap=True), "name", "zone", "currency", "risk", "pre-authorization", "feeds", "")
    for store in stores:
        table.add_row(
            store.store_id,
            store.name,
            store.time_zone,
            store.currency,
            store.risk_strategy,
            f"{store.preauthorization_amount:f}",
            ", ".join(store.feeds),
            " ".join(word for word, shown in (("closed", not store.active), ("test", store.test)) if shown),
        )
    Console().print(table)


@app.command(name="scan-pattern")
def scan_pattern(
    store: Annotated[str | None, typer.Option(help="one of our stores; all have the same pattern")] = None,
) -> None:
    """Print the regular expression that Amazon's merchant portal asks for: what it refuses never reaches us."""
    if store is not None:
        check_reachable(engine())
        with engine().connect() as connection:
            if registry.get_store(connection, store) is None:
                raise BackroomError(f"there is no store {store!r}; `backroom stores list` shows them")
    typer.echo(portal_pattern(settings().scan_code_prefix))
