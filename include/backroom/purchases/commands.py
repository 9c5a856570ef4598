"""backroom prices: load, settle-carts."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from backroom.clock import parse_instant, system_clock
from backroom.db.engine import check_reachable, engine
from backroom.purchases import bad_carts, price_book

app = typer.Typer(help="The price book: shelf prices, promotions, taxes.", no_args_is_help=True)


@app.command()
def load(
    folder: Annotated[Path, typer.Option(help="holds prices.csv, promotions.csv and taxes.csv")],
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Replace the price book of the stores that the files name. All three files or nothing."""
    check_reachable(engine())
    with engine().begin() as connection:
        loaded = {
            "prices": price_book.load_prices(connection, folder / "prices.csv"),
            "promotions": price_book.load_promotions(connection, folder / "promotions.csv"),
            "tax_rates": price_book.load_taxes(connection, folder / "taxes.csv"),
        }
    if as_json:
        typer.echo(json.dumps(loaded))
    else:
        typer.echo(", ".join(f"{number} {what.replace('_', ' ')}" for what, number in loaded.items()) + " loaded")


@app.command(name="settle-carts")
def settle_carts(
    now: Annotated[datetime | None, typer.Option("--now", parser=parse_instant, help="business time, ISO 8601")] = None,
) -> None:
    """Act on what people decided about carts that could not be priced. Exits 1 where one still can't."""
    check_reachable(engine())
    with engine().begin() as connection:
        done = bad_carts.apply_decisions(connection, now=now or system_clock())
    typer.echo(", ".join(f"{number} {what.replace('_', ' ')}" for what, number in done.items()))
    raise typer.Exit(1 if done["still_bad"] else 0)
