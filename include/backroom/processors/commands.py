"""backroom processors: shoppers' instruments, the gate's holds, every call about a trip."""

from __future__ import annotations

import getpass
import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from backroom.command_line import moment, needed, show_query
from backroom.db.engine import check_reachable, engine
from backroom.processors import instruments

app = typer.Typer(help="Stores with their own payment processor.", no_args_is_help=True)
instrument_app = typer.Typer(help="What shoppers pay with: tokens, never card numbers.", no_args_is_help=True)
app.add_typer(instrument_app, name="instruments")

Reason = Annotated[str, typer.Option("--reason", help="why; kept in the audit", callback=needed)]
By = Annotated[str, typer.Option("--by", help="who; unset: who is logged in")]
Now = Annotated[str, typer.Option("--now", help="business time, ISO 8601; unset: the present")]
AsJson = Annotated[bool, typer.Option("--json", help="for machines")]


@instrument_app.command()
def add(
    shopper: Annotated[str, typer.Option("--shopper", help="the shopper's id")],
    processor: Annotated[str, typer.Option("--processor", help="stripe or sandbox")],
    customer: Annotated[str, typer.Option("--customer", help="the processor's token for the customer, cus_…")],
    method: Annotated[str, typer.Option("--method", help="its token for the payment method, pm_…")],
    brand: Annotated[str, typer.Option("--brand", help="the card network: visa, mastercard, …")],
    last_four: Annotated[str, typer.Option("--last-four", help="the card's last four digits")],
    reason: Reason,
    by: By = "",
    now: Now = "",
) -> None:
    """Make it what the shopper pays with at that processor; an earlier one is used no more."""
    check_reachable(engine())
    with engine().begin() as connection:
        number = instruments.add(
            connection,
            shopper_id=shopper,
            processor=processor,
            customer_token=customer,
            method_token=method,
            brand=brand,
            last_four=last_four,
            actor=by or getpass.getuser(),
            reason=reason,
            now=moment(now),
        )
    typer.echo(f"instrument {number}: {shopper} pays with it")


@instrument_app.command(name="list")
def list_instruments(
    shopper: Annotated[str | None, typer.Option("--shopper", help="of one shopper only")] = None,
    as_json: AsJson = False,
) -> None:
    """List instruments, the newest first: brand and last four digits."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = instruments.listed(connection, shopper_id=shopper)
    if as_json:
        typer.echo(json.dumps([dict(row) for row in rows], indent=2, default=str))
        return
    table = Table("no.", "shopper", "processor", "brand", "last four", "active", "since")
    for row in rows:
        table.add_row(
            str(row["instrument_id"]), row["shopper_id"], row["processor"], row["brand"], row["last_four"],
            "yes" if row["active"] else "no", f"{row['created_at']:%Y-%m-%d %H:%M}",
        )  # fmt: skip
    Console().print(table)


@instrument_app.command()
def deactivate(
    instrument: Annotated[int, typer.Argument(help="its number, as `list` shows it")],
    reason: Reason,
    by: By = "",
    now: Now = "",
) -> None:
    """Ask nothing new of an instrument; what it holds stays."""
    check_reachable(engine())
    with engine().begin() as connection:
        instruments.deactivate(connection, instrument, actor=by or getpass.getuser(), reason=reason, now=moment(now))
    typer.echo(f"instrument {instrument}: deactivated")


@app.command()
def preauthorizations(
    store: Annotated[str | None, typer.Option("--store", help="of one store only")] = None,
    state: Annotated[str | None, typer.Option("--state", help="in one state only, such as PARKED")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the gate's holds, the newest first."""
    show_query(_HOLDS, {"store": store, "state": state, "limit": limit}, as_json=as_json)


@app.command()
def calls(trip: Annotated[str, typer.Argument(help="the trip's id")], as_json: AsJson = False) -> None:
    """Show every call to the processor about a trip: its gate events, charge, refunds and payoffs."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = [dict(row) for row in connection.execute(text(_CALLS), {"trip": trip}).mappings()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, default=str))
        return
    table = Table("no.", "call", "about", "amount", "intended", "outcome", "it said", "seconds")
    for row in rows:
        table.add_row(
            str(row["call_id"]), row["operation"], row["subject"], _amount(row),
            f"{row['intended_at']:%Y-%m-%d %H:%M:%S}", row["outcome"] or "no outcome", _said(row["answer"] or {}),
            f"{row['latency_seconds']:.3f}" if row["latency_seconds"] is not None else "",
        )  # fmt: skip
    Console().print(table)


def _amount(row: dict[str, Any]) -> str:
    return f"{row['amount']:.2f} {row['currency']}" if row["amount"] is not None else ""


def _said(answer: dict[str, Any]) -> str:
    told = [str(answer[name]) for name in ("state", "problem", "message") if answer.get(name)]
    return " ".join(told)


_HOLDS = """
    select auth_event_id, store_id, shopper_id, processor, state, amount, currency, shopping_trip_id, attempts,
           intended_at, next_attempt_at
    from preauthorization
    where (cast(:store as text) is null or store_id = :store)
      and (cast(:state as text) is null or state = upper(:state))
    order by intended_at desc, auth_event_id limit :limit
"""
_CALLS = """
    select k.call_id, k.operation, k.subject, k.amount, k.currency, k.intended_at, k.outcome, k.answer,
           k.latency_seconds, k.reference, k.processor
    from processor_call k
    where k.subject = :trip
       or k.subject in (select auth_event_id from preauthorization where shopping_trip_id = :trip)
       or k.subject in (select 'payoff' || chr(58) || payoff_id from payoff where shopping_trip_id = :trip)
       or k.subject in (select 'refund' || chr(58) || refund_id from refund where shopping_trip_id = :trip)
    order by k.call_id
"""
