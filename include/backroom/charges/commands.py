"""backroom charges: where the money of each trip stands; and one turn of the work on it by hand."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from backroom import command_line
from backroom.charges import by_hand
from backroom.charges.attempts import of_trip
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.stores.registry import require_store

app = typer.Typer(help="Charges: adjust, capture, cancel.", no_args_is_help=True)

_LIST = text(
    """
    select shopping_trip_id, store_id, state, currency, total, authorized, capture_initiated, captured, attempts,
           next_attempt_at, expires_at
    from charge
    where (cast(:store_id as text) is null or store_id = :store_id)
      and (cast(:state as text) is null or state = :state)
    order by created_at, shopping_trip_id limit :limit
    """
)
_ONE = text("select * from charge where shopping_trip_id = :trip")
_EVENTS = text("select * from charge_event where shopping_trip_id = :trip order by event_id")


@app.command(name="list")
def list_charges(
    store: str | None = typer.Option(None, "--store", help="of one store only"),
    state: str | None = typer.Option(None, "--state", help="in one state only, such as PARKED"),
    limit: int = typer.Option(100, "--limit", min=1, help="at most so many"),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """List charges, the oldest first."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = connection.execute(_LIST, {"store_id": store, "state": state, "limit": limit}).mappings().all()
    if as_json:
        typer.echo(json.dumps([_plain(dict(row)) for row in rows], indent=2))
        return
    table = Table("trip", "store", "state", "total", "authorized", "begun", "captured", "", "calls", "next")
    for row in rows:
        table.add_row(
            row["shopping_trip_id"], row["store_id"], row["state"], f"{row['total']:.2f}", f"{row['authorized']:.2f}",
            f"{row['capture_initiated']:.2f}", f"{row['captured']:.2f}", row["currency"], str(row["attempts"]),
            f"{row['next_attempt_at']:%Y-%m-%d %H:%M}" if row["next_attempt_at"] else "",
        )  # fmt: skip
    Console().print(table)


@app.command()
def show(trip: str, as_json: bool = typer.Option(False, "--json", help="for machines")) -> None:
    """Show a trip's charge: every event and every call to Amazon."""
    check_reachable(engine())
    with engine().connect() as connection:
        charge = connection.execute(_ONE, {"trip": trip}).mappings().one_or_none()
        if charge is None:
            raise BackroomError(f"trip {trip!r} has no charge; `backroom charges list` shows those that have")
        events = [dict(row) for row in connection.execute(_EVENTS, {"trip": trip}).mappings()]
        attempts = of_trip(connection, trip)
    if as_json:
        whole = {"charge": dict(charge), "events": events, "attempts": attempts}
        typer.echo(json.dumps(_plain(whole), indent=2))
        return
    console = Console()
    console.print(f"{trip} in {charge['store_id']}: {charge['state']}, total {charge['total']:f} {charge['currency']}")
    heard = Table("event", "amount", "happened", "heard", "from")
    for row in events:
        amount = "" if row["amount"] is None else f"{row['amount']:f}"
        heard.add_row(row["kind"], amount, _instant(row["happened_at"]), _instant(row["heard_at"]), row["source"])
    called = Table("call", "no.", "intended", "outcome", "HTTP", "seconds")
    for row in attempts:
        called.add_row(
            row["operation"], str(row["number"]), _instant(row["intended_at"]), row["outcome"] or "no outcome",
            str(row["http_status"] or ""), f"{row['latency_seconds']:.3f}" if row["latency_seconds"] else "",
        )  # fmt: skip
    console.print(heard, called)


@app.command()
def turn(
    store: str | None = typer.Option(None, "--store", help="call for one store only"),
    now: str = typer.Option("", "--now", help="business time, ISO 8601 with its zone; the present by default"),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Work on all that is due, once, as the DAG charge_lifecycle does: evidence, calls that MOVE MONEY, the books."""
    moment = command_line.moment(now)
    check_reachable(engine())
    with engine().connect() as connection:
        require_store(connection, store)
    with Console(stderr=True).status("the charges that are due"):
        worked = {name: done.as_json() for name, done in by_hand.work(engine(), store_id=store, now=moment)}
        booked = by_hand.book(engine(), now=moment)
    if as_json:
        typer.echo(json.dumps({"stores": worked, "booked": booked}))
        return
    table = Table("store", "trips", "calls", "now", "held until")
    for name, done in worked.items():
        said = [", ".join(f"{count} {what}" for what, count in done[part].items()) for part in ("calls", "states")]
        table.add_row(name, str(done["trips"]), *said, done["held_until"] or "")
    if worked:
        Console().print(table)
    typer.echo(f"{len(worked)} stores had charges due; {booked} transactions booked")


def _instant(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else format(value, "f")
