"""backroom ledger: the books."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.table import Table

from backroom.clock import parse_instant, system_clock
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.ledger.book import post_new
from backroom.ledger.verification import balances, verify

app = typer.Typer(help="The books: double entry.", no_args_is_help=True)


@app.command(name="verify")
def verify_books(as_json: bool = typer.Option(False, "--json", help="for machines")) -> None:
    """Check that the books balance and agree with the charges and debts. Exits 1 where they do not."""
    check_reachable(engine())
    with engine().connect() as connection:
        found = verify(connection)
    if as_json:
        rows = [
            {"subject": one.subject, "what": one.what, "expected": f"{one.expected:f}", "found": f"{one.found:f}"}
            for one in found
        ]
        typer.echo(json.dumps({"discrepancies": rows}, indent=2))
    elif not found:
        Console().print("the books balance, and agree with every charge and debt")
    else:
        table = Table("where", "what", "expected", "found")
        for one in found:
            table.add_row(one.subject, one.what, f"{one.expected:f}", f"{one.found:f}")
        Console().print(table)
    raise typer.Exit(1 if found else 0)


@app.command(name="balances")
def show_balances(
    store: str | None = typer.Option(None, "--store", help="of one store only"),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Show each account's balance: debits positive, credits negative."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = balances(connection, store_id=store)
    if as_json:
        typer.echo(json.dumps([{**row, "amount": f"{row['amount']:f}"} for row in rows], indent=2))
        return
    table = Table("store", "account", "of", "balance", "")
    for row in rows:
        table.add_row(row["store_id"], row["account"], row["detail"], f"{row['amount']:,.2f}", row["currency"])
    Console().print(table)


@app.command()
def post(now: str | None = typer.Option(None, "--now", help="business time, ISO 8601 with its zone")) -> None:
    """Book what is new of the charges, as the pipeline does."""
    try:
        moment = parse_instant(now) if now else system_clock()
    except ValueError as error:
        raise BackroomError(f"--now: {error}") from error
    check_reachable(engine())
    with engine().begin() as connection:
        Console().print(f"{post_new(connection, now=moment)} transactions booked")
