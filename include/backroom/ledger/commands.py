"""backroom ledger: the books."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from backroom.clock import parse_instant, system_clock
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.ledger import verification
from backroom.ledger.book import post_new

app = typer.Typer(help="The books: double entry.", no_args_is_help=True)


@app.command(name="verify")
def verify_books(
    all_booked: bool = typer.Option(False, "--all-booked", help="what waits to be booked counts as a difference too"),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Recompute every balance and state from the events. Exits 1 where anything kept is not as they say."""
    check_reachable(engine())
    unchanging = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    table, found = Table("where", "what", "expected", "found"), list[dict[str, str]]()
    with engine().connect().execution_options(**unchanging) as connection:
        total, waits = verification.steps(connection), verification.waiting(connection)
        with Progress(console=Console(stderr=True), disable=as_json, transient=True) as progress:
            task = progress.add_task("charges", total=total)
            for one in verification.discrepancies(connection, lambda: progress.advance(task)):
                row = one.as_json()
                found.append(row)
                table.add_row(*row.values())
    if waits and all_booked:
        found.append({"subject": "the ledger", "what": "waits to be booked", "expected": "0", "found": str(waits)})
        table.add_row(*found[-1].values())
    if as_json:
        typer.echo(json.dumps({"discrepancies": found, "waiting_to_be_booked": waits}, indent=2))
    elif not found:
        Console().print("the books balance, and agree with every charge, debt, refund and break")
    else:
        Console().print(table)
    if waits and not as_json:
        Console(stderr=True).print(f"{waits} charges and events wait to be booked: `backroom ledger post`")
    raise typer.Exit(1 if found else 0)


@app.command(name="balances")
def show_balances(
    store: str | None = typer.Option(None, "--store", help="of one store only"),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Show each account's balance: debits positive, credits negative."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = verification.balances(connection, store_id=store)
    if as_json:
        typer.echo(json.dumps([{**row, "amount": f"{row['amount']:f}"} for row in rows], indent=2))
        return
    table = Table("store", "account", "of", "balance", "")
    for row in rows:
        table.add_row(row["store_id"], row["account"], row["detail"], f"{row['amount']:,.2f}", row["currency"])
    Console().print(table)


@app.command()
def post(now: str | None = typer.Option(None, "--now", help="business time, ISO 8601 with its zone")) -> None:
    """Book what is new of charges, debts, refunds and breaks, as the pipeline does."""
    try:
        moment = parse_instant(now) if now else system_clock()
    except ValueError as error:
        raise BackroomError(f"--now: {error}") from error
    check_reachable(engine())
    with engine().begin() as connection:
        Console().print(f"{post_new(connection, now=moment)} transactions booked")
