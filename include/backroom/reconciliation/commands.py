"""backroom reconcile: day, breaks, report."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from backroom.clock import parse_instant, system_clock
from backroom.db.engine import check_reachable, engine, transaction
from backroom.errors import BackroomError
from backroom.reconciliation import report
from backroom.reconciliation.runs import reconcile_day, released_as_complete
from backroom.settings import settings

app = typer.Typer(help="Purchases, charges, Amazon's orders and the ledger, held together.", no_args_is_help=True)

STORE = typer.Option(..., "--store", help="the store's id")
DATE = typer.Option(..., "--date", help="the store's business day, YYYY-MM-DD")
JSON = typer.Option(False, "--json", help="for machines")
NOW = typer.Option("", "--now", help="business time, ISO 8601 with its zone; the present where left out")


@app.command()
def day(
    store: str = STORE,
    date_: str = DATE,
    complete: bool | None = typer.Option(
        None, "--complete/--incomplete", help="are the day's files all in? Left out: as the day's release says"
    ),
    now: str = NOW,
    as_json: bool = JSON,
) -> None:
    """Reconcile a store's day and write its report. Exits 1 where breaks are open. Safe to run again."""
    check_reachable(engine())
    business_date, moment = _date(date_), _moment(now)
    with transaction() as connection:
        if complete is None:
            complete = released_as_complete(connection, store_id=store, business_date=business_date)
        summary = reconcile_day(connection, store_id=store, business_date=business_date, complete=complete, now=moment)
        written = report.write(connection, run_id=summary.run_id, folder=settings().reports_folder)
    if as_json:
        typer.echo(json.dumps(summary.as_json() | {"html": str(written.html), "xlsx": str(written.xlsx)}))
    else:
        table = Table("store", "day", "revision", "trips", "matched", "waiting", "breaks open", "opened", "closed")
        table.add_row(
            store,
            str(business_date),
            *(
                f"{number:,}"
                for number in (
                    summary.revision, summary.trips, summary.matched, summary.expected, summary.breaks_open,
                    summary.breaks_opened, summary.breaks_closed,
                )
            ),
        )  # fmt: skip
        Console().print(table)
        Console(soft_wrap=True).print(f"report: {written.html}")
    raise typer.Exit(1 if summary.breaks_open else 0)


@app.command()
def breaks(
    store: str = typer.Option("", "--store", help="of this store only"),
    date_: str = typer.Option("", "--date", help="of this business day only"),
    only_open: bool = typer.Option(False, "--open", help="without those that later data has closed"),
    as_json: bool = JSON,
) -> None:
    """List the breaks, the newest day first. Exits 1 where any of them is open."""
    check_reachable(engine())
    with transaction() as connection:
        found = _breaks(connection, store=store or None, day=_date(date_) if date_ else None, only_open=only_open)
    if as_json:
        typer.echo(json.dumps(found, default=str))
    else:
        table = Table("day", "store", "trip", "line", "kind", "ours", "theirs", "difference", "state")
        for row in found:
            table.add_row(
                str(row["business_date"]),
                row["store_id"],
                row["shopping_trip_id"],
                str(row["line_number"] or ""),
                row["kind"],
                row["ours"],
                row["theirs"],
                "" if row["difference"] is None else f"{row['difference']} {row['currency']}",
                "open" if row["closed_at"] is None else "closed",
            )
        Console().print(table)
    raise typer.Exit(1 if any(row["closed_at"] is None for row in found) else 0)


@app.command(name="report")
def write_report(date_: str = DATE, now: str = NOW, as_json: bool = JSON) -> None:
    """Write the report over all stores that were reconciled for that day, and say where it is."""
    check_reachable(engine())
    with transaction() as connection:
        written = report.write_company(
            connection, business_date=_date(date_), folder=settings().reports_folder, now=_moment(now)
        )
    if as_json:
        typer.echo(json.dumps({"html": str(written.html), "xlsx": str(written.xlsx)}))
    else:
        _say_where(written.html, written.xlsx)


def _say_where(*paths: Path) -> None:
    for path in paths:
        Console(soft_wrap=True, highlight=False).print(str(path))


def _breaks(connection: Connection, *, store: str | None, day: date | None, only_open: bool) -> list[dict[str, Any]]:
    rows = connection.execute(
        text("""
            select break_id, business_date, store_id, shopping_trip_id, line_number, kind, ours, theirs, difference,
                   currency, explanation, opened_at, last_seen_at, closed_at, times_opened
            from reconciliation_break
            where (cast(:store as text) is null or store_id = :store)
              and (cast(:day as date) is null or business_date = :day)
              and (closed_at is null or not :only_open)
            order by business_date desc, store_id, shopping_trip_id, line_number, kind
        """),
        {"store": store, "day": day, "only_open": only_open},
    )
    return [dict(row) for row in rows.mappings()]


def _date(given: str) -> date:
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        raise BackroomError(f"--date: {given!r} is not a day; write 2026-11-23") from error


def _moment(given: str) -> datetime:
    try:
        return parse_instant(given) if given else system_clock()
    except ValueError as error:
        raise BackroomError(f"--now: {error}") from error
