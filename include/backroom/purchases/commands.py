"""backroom prices: load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from backroom.db.engine import check_reachable, engine
from backroom.purchases import price_book

app = typer.Typer(help="The price book: shelf prices, promotions, taxes.", no_args_is_help=True)


@app.callback()
def _prices() -> None:
    """The price book: shelf prices, promotions, taxes."""


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
