"""backroom debts: what shoppers owe."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from backroom.command_line import moment, needed
from backroom.db.engine import check_reachable, engine, transaction
from backroom.debts import payoff, write_off
from backroom.debts.aging import BUCKETS, age_debts
from backroom.debts.debtors import debtors
from backroom.debts.offenders import offenders
from backroom.debts.payoff import CASH, TERMINAL
from backroom.debts.statements import CAUSES, statement
from backroom.errors import BackroomError
from backroom.settings import settings

app = typer.Typer(help="What was not paid.", no_args_is_help=True)

AS_JSON = typer.Option(False, "--json", help="for machines")
REASON = typer.Option(..., "--reason", help="why; kept in the audit trail", callback=needed)
BY = typer.Option("", "--by", help="who does it; the login name if left out")
NOW = typer.Option("", "--now", help="business time, ISO 8601 with its zone")

_LIST = text(
    """
    select shopping_trip_id, store_id, shopper_id, shopper_identity, cause, currency, amount, paid, reduced,
           written_off, returned, outstanding, state, opened_at, age_days, bucket
    from debt
    where (cast(:store_id as text) is null or store_id = :store_id) and (:all or state = 'OPEN') and amount > 0
    order by opened_at, shopping_trip_id
    """
)
_ONE = text("select * from debt where shopping_trip_id = :trip")
_EVENTS = text("select * from debt_event where shopping_trip_id = :trip order by event_id")
_PAYOFFS = text("select * from payoff where shopping_trip_id = :trip order by payoff_id")
_REPORTS = text(
    """
    select report_id, shopping_trip_id, store_id, total, settled, currency, state, rejections, attempts, status_time,
           next_attempt_at, finished_at
    from payment_status_report
    where (cast(:trip as text) is null or shopping_trip_id = :trip)
      and (cast(:store_id as text) is null or store_id = :store_id) and (:all or state in ('DUE', 'PARKED'))
    order by report_id desc limit :limit
    """
)


@app.command(name="list")
def list_debts(
    store: str | None = typer.Option(None, "--store", help="of one store only"),
    every: bool = typer.Option(False, "--all", help="also those that are paid or written off"),
    as_json: bool = AS_JSON,
) -> None:
    """List debts, the oldest first."""
    rows = _rows(_LIST, store_id=store, all=every)
    if as_json:
        _print_json(rows)
        return
    table = Table("trip", "store", "owed by", "cause", "outstanding", "of", "", "state", "opened", "days", "bucket")
    for row in rows:
        table.add_row(
            row["shopping_trip_id"], row["store_id"], row["shopper_id"] or row["shopper_identity"] or "", row["cause"],
            f"{row['outstanding']:.2f}", f"{row['amount']:.2f}", row["currency"], row["state"], _day(row["opened_at"]),
            "" if row["age_days"] is None else str(row["age_days"]), row["bucket"] or "not aged yet",
        )  # fmt: skip
    Console().print(table)


@app.command()
def show(trip: str, as_json: bool = AS_JSON) -> None:
    """Show a trip's debt: what has come for it, every payoff, and what Amazon was told."""
    found = _rows(_ONE, trip=trip)
    events, payoffs = _rows(_EVENTS, trip=trip), _rows(_PAYOFFS, trip=trip)
    reports = _rows(_REPORTS, trip=trip, store_id=None, all=True, limit=50)
    if not found and not events:
        raise BackroomError(f"trip {trip!r} has no debt; `backroom debts list --all` shows those that have")
    if as_json:
        whole = {"debt": found[0] if found else None, "events": events, "payoffs": payoffs, "reports": reports}
        typer.echo(json.dumps(_plain(whole), indent=2))
        return
    console = Console()
    if found:
        one = found[0]
        console.print(
            f"{trip} in {one['store_id']}: {one['state']}, {one['outstanding']:.2f} of {one['amount']:.2f} "
            f"{one['currency']} outstanding; {CAUSES[one['cause']]} ({one['cause']})",
            markup=False,
        )
    else:
        console.print(f"{trip}: its debt was withdrawn", markup=False)
    heard = Table("event", "amount", "", "happened", "by", "from")
    for row in events:
        heard.add_row(
            row["kind"], f"{row['amount']:.2f}", row["currency"], _instant(row["happened_at"]), row["actor"],
            row["source"],
        )  # fmt: skip
    tried = Table("payoff", "amount", "", "by", "state", "asked", "settled", "looked up")
    for row in payoffs:
        tried.add_row(
            str(row["payoff_id"]), f"{row['amount']:.2f}", row["currency"], row["method"], row["state"],
            _instant(row["intended_at"]), _instant(row["settled_at"]), str(row["attempts"]),
        )  # fmt: skip
    console.print(heard, tried)
    if reports:
        console.print(_table_of_reports(reports))


@app.command(name="statement")
def show_statement(who: str, as_json: bool = AS_JSON, now: str = NOW) -> None:
    """A shopper's (or a card's token's) statement: each trip, why it was not paid, what came since, what is owed."""
    check_reachable(engine())
    with engine().connect() as connection:
        made = statement(connection, who, now=moment(now))
    if as_json:
        totals = {currency: {**vars(total), "owed": total.owed} for currency, total in made.totals.items()}
        lines = [dict(line) for line in made.lines]
        whole = {"who": who, "made_at": made.made_at, "trips": lines, "totals": totals}
        typer.echo(json.dumps(_plain(whole), indent=2))
        return
    table = Table("trip", "store", "on", "why", "not paid", "paid since", "refunded", "given up", "outstanding", "")
    for line in made.lines:
        table.add_row(
            line["shopping_trip_id"], line["store"], _day(line["shopped_at"]), CAUSES[line["cause"]],
            f"{line['amount']:.2f}", f"{line['paid'] - line['returned']:.2f}", f"{line['reduced']:.2f}",
            f"{line['written_off']:.2f}" + (" (forgiven)" if line["forgiven_at"] else ""),
            f"{line['outstanding']:.2f}", line["currency"],
        )  # fmt: skip
    console = Console()
    console.print(f"{who}, as of {_day(made.made_at)}", markup=False)
    console.print(table)
    for currency, total in made.totals.items():
        console.print(f"owed in all: {total.owed:.2f} {currency}, of which {total.written_off:.2f} was given up")


@app.command(name="debtors")
def list_debtors(
    store: str | None = typer.Option(None, "--store", help="of one store only"),
    bucket: str | None = typer.Option(None, "--bucket", help="0-30, 31-60, 61-90 or 90+: of the oldest open debt"),
    as_json: bool = AS_JSON,
) -> None:
    """List who owes, by how old their oldest open debt is."""
    if bucket is not None and bucket not in (names := [one.name for one in BUCKETS]):
        raise BackroomError(f"--bucket {bucket}: there are {', '.join(names)}")
    check_reachable(engine())
    with engine().connect() as connection:
        rows = [dict(row) for row in debtors(connection, store_id=store, bucket=bucket)]
    if as_json:
        _print_json(rows)
        return
    table = Table("owed by", "debts", "outstanding", "", "oldest", "days", "bucket")
    for row in rows:
        table.add_row(
            row["owed_by"], str(row["debts"]), f"{row['outstanding']:.2f}", row["currency"], _day(row["oldest_at"]),
            "" if row["age_days"] is None else str(row["age_days"]), row["bucket"] or "not aged yet",
        )  # fmt: skip
    Console().print(table)


@app.command(name="offenders")
def list_offenders(
    at_least: int | None = typer.Option(None, "--at-least", min=1, help="debts; the gate's setting if left out"),
    as_json: bool = AS_JSON,
) -> None:
    """List who has left trips unpaid again and again, the worst first."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = [
            dict(row)
            for row in offenders(connection, at_least=at_least or settings().authorization_repeat_offender_debts)
        ]
    if as_json:
        _print_json(rows)
        return
    table = Table("owed by", "debts", "open", "in all", "outstanding", "given up", "", "first", "last")
    for row in rows:
        table.add_row(
            row["owed_by"], str(row["debts"]), str(row["open"]), f"{row['left_unpaid']:.2f}",
            f"{row['outstanding']:.2f}", f"{row['written_off']:.2f}", row["currency"], _day(row["first_at"]),
            _day(row["last_at"]),
        )  # fmt: skip
    Console().print(table)


@app.command()
def pay(
    trip: str,
    method: str = typer.Option(..., "--method", help="cash or terminal (taken at the till), or the processor's name"),
    reason: str = REASON,
    by: str = BY,
    now: str = NOW,
    as_json: bool = AS_JSON,
) -> None:
    """Pay off a trip: money that was taken at the till, or the shopper's card through the store's processor."""
    check_reachable(engine())
    who, chosen = by or getpass.getuser(), method.upper()
    at = moment(now)
    asked: dict[str, Any] = {"shopping_trip_id": trip, "method": chosen, "asked_by": who, "reason": reason, "now": at}
    if chosen in (CASH, TERMINAL):
        done = payoff.pay(engine(), None, instrument={}, **asked)
    else:
        from backroom.debts.processors import through  # a processor's client is slow to load

        port, instrument = through(engine(), chosen, shopping_trip_id=trip, now=at)
        done = payoff.pay(engine(), port, instrument=instrument, **asked)
    if as_json:
        typer.echo(json.dumps({"payoff": done.payoff_id, "state": done.state, "amount": str(done.amount)}))
    else:
        Console().print(f"payoff {done.payoff_id} of {trip}: {done.amount} {done.state}", markup=False)
    raise typer.Exit(0 if done.state == "PAID" else 1)


@app.command(name="write-off")
def write_off_debt(trip: str, reason: str = REASON, by: str = BY, now: str = NOW) -> None:
    """Give up what is outstanding on a trip, in the books. Entry stays denied: see `forgive`."""
    check_reachable(engine())
    with transaction() as connection:
        given_up = write_off.write_off(
            connection, shopping_trip_id=trip, by=by or getpass.getuser(), reason=reason, now=moment(now)
        )
    Console().print(f"{trip}: {given_up:.2f} written off; entry stays denied until it is forgiven", markup=False)


@app.command()
def forgive(trip: str, reason: str = REASON, by: str = BY, now: str = NOW) -> None:
    """Let the debtor of a debt that was written off enter again."""
    check_reachable(engine())
    with transaction() as connection:
        write_off.forgive(connection, shopping_trip_id=trip, by=by or getpass.getuser(), reason=reason, now=moment(now))
    Console().print(f"{trip}: forgiven; it denies entry no longer", markup=False)


@app.command()
def reports(
    store: str | None = typer.Option(None, "--store", help="of one store only"),
    trip: str | None = typer.Option(None, "--trip", help="of one trip only"),
    every: bool = typer.Option(False, "--all", help="also those that Amazon has accepted"),
    limit: int = typer.Option(100, "--limit", min=1, help="at most so many"),
    as_json: bool = AS_JSON,
) -> None:
    """List what Amazon is to be told of trips' payments, the newest first."""
    rows = _rows(_REPORTS, trip=trip, store_id=store, all=every, limit=limit)
    if as_json:
        _print_json(rows)
        return
    Console().print(_table_of_reports(rows))


@app.command()
def age(now: str = NOW) -> None:
    """Age every open debt, as the daily pipeline does."""
    check_reachable(engine())
    with engine().begin() as connection:
        summary = age_debts(connection, now=moment(now))
    table = Table("store", "bucket", "debts", "outstanding", "")
    for row in summary:
        table.add_row(row.store_id, row.bucket, str(row.debts), f"{row.outstanding:.2f}", row.currency)
    Console().print(table)


def _table_of_reports(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table("report", "trip", "total", "settled", "", "state", "calls", "rejected", "as of", "next")
    for row in rows:
        table.add_row(
            str(row["report_id"]), row["shopping_trip_id"], f"{row['total']:.2f}", f"{row['settled']:.2f}",
            row["currency"], row["state"], str(row["attempts"]), str(row["rejections"]), _instant(row["status_time"]),
            _instant(row["next_attempt_at"]),
        )  # fmt: skip
    return table


def _rows(query: Any, **values: Any) -> list[dict[str, Any]]:
    check_reachable(engine())
    with engine().connect() as connection:
        return [dict(row) for row in connection.execute(query, values).mappings()]


def _print_json(rows: list[dict[str, Any]]) -> None:
    typer.echo(json.dumps(_plain(rows), indent=2))


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _instant(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


def _plain(value: Any) -> Any:
    """As JSON has it; amounts are exact text."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if hasattr(value, "isoformat") else value
