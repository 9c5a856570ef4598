"""backroom debts: what shoppers owe."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from backroom.clock import parse_instant, system_clock
from backroom.db.engine import check_reachable, engine
from backroom.debts.aging import age_debts
from backroom.errors import BackroomError

app = typer.Typer(help="What was not paid.", no_args_is_help=True)

_LIST = text(
    """
    select shopping_trip_id, store_id, cause, currency, amount, paid, amount - paid as outstanding, state, opened_at,
           age_days, bucket
    from debt
    where (cast(:store_id as text) is null or store_id = :store_id) and (:all or state = 'OPEN')
    order by opened_at, shopping_trip_id
    """
)


@app.command(name="list")
def list_debts(
    store: str | None = typer.Option(None, "--store", help="of one store only"),
    every: bool = typer.Option(False, "--all", help="also those that are paid or written off"),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """List debts, the oldest first."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = connection.execute(_LIST, {"store_id": store, "all": every}).mappings().all()
    if as_json:
        typer.echo(json.dumps([dict(row) for row in rows], default=_as_text, indent=2))
        return
    table = Table("trip", "store", "cause", "outstanding", "of", "", "state", "opened", "days", "bucket")
    for row in rows:
        table.add_row(
            row["shopping_trip_id"], row["store_id"], row["cause"], f"{row['outstanding']:.2f}", f"{row['amount']:.2f}",
            row["currency"], row["state"], f"{row['opened_at']:%Y-%m-%d}",
            "" if row["age_days"] is None else str(row["age_days"]), row["bucket"] or "not aged yet",
        )  # fmt: skip
    Console().print(table)


@app.command()
def age(now: str | None = typer.Option(None, "--now", help="business time, ISO 8601 with its zone")) -> None:
    """Age every open debt, as the daily pipeline does."""
    try:
        moment = parse_instant(now) if now else system_clock()
    except ValueError as error:
        raise BackroomError(f"--now: {error}") from error
    check_reachable(engine())
    with engine().begin() as connection:
        summary = age_debts(connection, now=moment)
    table = Table("store", "bucket", "debts", "outstanding", "")
    for row in summary:
        table.add_row(row.store_id, row.bucket, str(row.debts), f"{row.outstanding:.2f}", row.currency)
    Console().print(table)


def _as_text(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
