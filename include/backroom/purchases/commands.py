"""backroom prices: load, sync, show, sources, settle-carts."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from backroom import command_line
from backroom.clock import parse_instant, system_clock
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.purchases import bad_carts, price_book, price_sources, price_sync, price_views
from backroom.settings import settings

app = typer.Typer(help="The price book: shelf prices, promotions, taxes.", no_args_is_help=True)

AS_JSON = typer.Option(False, "--json", help="for machines")
NOW = typer.Option("", "--now", help="business time, ISO 8601 with its zone; the present by default")


@app.command()
def load(
    folder: Annotated[Path, typer.Option(help="holds prices.csv, promotions.csv and taxes.csv")],
    as_json: bool = AS_JSON,
) -> None:
    """Replace the price book of the stores that the files name, the past included. All three files or nothing.

    It stands until the price source changes (`sync`).
    """
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


@app.command()
def sync(
    source: str = typer.Option("", "--source", help="folder or s3://bucket/prefix; BACKROOM_PRICE_SOURCE by default"),
    force: bool = typer.Option(False, "--force", help="also where many products would lose their price"),
    now: str = NOW,
    as_json: bool = AS_JSON,
) -> None:
    """Load what has changed at the price source and the points of sale. Exits 1 where something is not loaded."""
    moment = command_line.moment(now)
    check_reachable(engine())
    results = price_sync.sync_all(engine(), settings(), source=source, now=moment, force=force)
    if as_json:
        typer.echo(json.dumps([result.__dict__ for result in results]))
    else:
        for result in results:
            rows = f" {result.rows} rows" if result.state == "LOADED" else ""
            typer.echo(f"{result.source}: {result.state}{rows}{': ' if result.reason else ''}{result.reason}")
    missing = {"MISSING"} if source else set()  # a source that was named must be there
    raise typer.Exit(1 if any(result.state in price_sources.STOPPED | missing for result in results) else 0)


@app.command()
def show(
    sku: str,
    store: str = typer.Option(..., "--store", help="the store"),
    at: str = typer.Option("", "--at", help="as of then, ISO 8601 with its zone; the present by default"),
    as_json: bool = AS_JSON,
) -> None:
    """Show a product's price, promotions and tax at a store, and when they change."""
    moment = _instant(at)
    check_reachable(engine())
    with engine().connect() as connection:
        found = price_views.price_of(connection, store_id=store, item_sku=sku, at=moment)
    if as_json:
        typer.echo(json.dumps(found, default=_text))
        return
    for line in _lines(found):
        Console(highlight=False, soft_wrap=True).print(line, markup=False)


@app.command()
def sources(as_json: bool = AS_JSON) -> None:
    """Show what was loaded from where, when, and when it was last looked at."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = price_views.sources(connection)
    if as_json:
        typer.echo(json.dumps(rows, default=_text))
        return
    table = Table("source", "rows", "loaded at", "looked at", "content")
    for row in rows:
        content = row["content_hash"][:12] or "to be read anew"
        table.add_row(row["source"], str(row["rows"]), _text(row["loaded_at"]), _text(row["checked_at"]), content)
    Console().print(table)


@app.command(name="settle-carts")
def settle_carts(
    now: Annotated[datetime | None, typer.Option("--now", parser=parse_instant, help="business time, ISO 8601")] = None,
    as_json: bool = AS_JSON,
) -> None:
    """Act on what people decided about carts that could not be priced. Exits 1 where one still can't."""
    check_reachable(engine())
    with engine().begin() as connection:
        done = bad_carts.apply_decisions(connection, now=now or system_clock())
    if as_json:
        typer.echo(json.dumps(done))
    else:
        typer.echo(", ".join(f"{number} {what.replace('_', ' ')}" for what, number in done.items()))
    raise typer.Exit(1 if done["still_bad"] else 0)


def _lines(found: dict[str, Any]) -> list[str]:
    per = "" if found["per"] in (None, "unit") else f" per {found['per']}"
    price = f"{found['price']} {found['currency']}{per} since {_text(found['price_since'])}"
    lines = [
        f"{found['item_sku']} at {found['store_id']}: {found['item_name'] or 'not in the catalog'}",
        f"price: {price if found['price'] else 'none'}{_change(found['price_changes_at'], found['next_price'])}",
    ]
    for offer in found["promotions"]:
        value = _off(offer, found["currency"])
        until = f" until {_text(offer['valid_to'])}" if offer["valid_to"] else ""
        lines.append(
            f"promotion: {offer['promotion_id']} {offer['kind']} {value}{until} {offer['description']}".rstrip()
        )
    rate = f"{found['tax_rate']} {found['tax_jurisdiction']}{', in the price' if found['tax_included'] else ''}"
    lines.append(
        f"tax {found['product_tax_code'] or '(no code)'}: {rate if found['tax_rate'] else 'none'}"
        f"{_change(found['tax_changes_at'], found['next_tax_rate'])}"
    )
    return lines


def _off(offer: dict[str, Any], currency: str) -> str:
    return f"{offer['percentage']} off" if offer["percentage"] else f"{offer['amount']} {currency} off"


def _change(at: datetime | None, following: str | None) -> str:
    return "" if at is None else f"; from {_text(at)}: {following or 'none'}"


def _instant(at: str) -> datetime:
    try:
        return parse_instant(at) if at else system_clock()
    except ValueError as error:
        raise BackroomError(f"--at: {error}") from error


def _text(value: Any) -> str:
    return (
        f"{value.isoformat(timespec='seconds').replace('+00:00', 'Z')}" if isinstance(value, datetime) else str(value)
    )
