"""backroom reconcile: day, report, month, payouts, score; and breaks (break_commands.py)."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from backroom.command_line import moment, needed
from backroom.db.engine import check_reachable, engine, transaction
from backroom.errors import BackroomError
from backroom.reconciliation import (
    break_commands,
    closing,
    company_month,
    delivery,
    on_demand,
    payout_files,
    report,
    scoring,
)
from backroom.reconciliation.days import released_as_complete
from backroom.reconciliation.periods import last_of_month
from backroom.reconciliation.runs import reconcile_day
from backroom.reconciliation.scoring import Named
from backroom.settings import settings

app = typer.Typer(help="Purchases, charges, Amazon's orders and the ledger, held together.", no_args_is_help=True)

STORE = typer.Option(..., "--store", help="the store's id")
DATE = typer.Option(..., "--date", help="the store's business day, YYYY-MM-DD")
MONTH = typer.Option(..., "--month", help="the month, YYYY-MM")
JSON = typer.Option(False, "--json", help="for machines")
DELIVER = typer.Option(
    None, "--deliver/--no-deliver", help="store and announce it; left out, where the settings name a place for reports"
)
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
    business_date, at = _date(date_), moment(now)
    with transaction() as connection:
        if complete is None:
            complete = released_as_complete(connection, store_id=store, business_date=business_date)
        summary = reconcile_day(connection, store_id=store, business_date=business_date, complete=complete, now=at)
        html, xlsx = report.written_before(connection, summary.run_id) or (None, None)
        if html is None:
            written = report.write(connection, run_id=summary.run_id, folder=settings().reports_folder)
            html, xlsx = written.html, written.xlsx
    if as_json:
        typer.echo(json.dumps(summary.as_json() | {"html": str(html), "xlsx": str(xlsx)}))
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
        if not complete:
            Console(soft_wrap=True).print(
                "the day's files are not all in (`backroom feeds gaps`): judged as incomplete"
            )
        if summary.unchanged:
            Console().print("nothing was new: the run and its report stand")
        Console(soft_wrap=True).print(f"report: {html}")
    raise typer.Exit(1 if summary.breaks_open else 0)


break_commands.add_to(app)


@app.command(name="report")
def write_report(
    date_: str = typer.Option("", "--date", help="of this business day"),
    first: str = typer.Option("", "--from", help="of a period: its first day"),
    last: str = typer.Option("", "--to", help="of a period: its last day"),
    store: str = typer.Option("", "--store", help="of one store; left out, of all"),
    deliver: bool | None = DELIVER,
    now: str = NOW,
    as_json: bool = JSON,
) -> None:
    """Write the report of a day over all stores, or of any period; a month that is closed as it was closed.

    It is stored and announced where BACKROOM_REPORTS_BUCKET and BACKROOM_REPORTS_RECIPIENTS say so.
    """
    check_reachable(engine())
    folder = settings().reports_folder
    if bool(date_) == bool(first or last):
        raise BackroomError("name a day with --date, or a period with --from and --to")
    with transaction() as connection:
        if date_ and not store:
            written = report.write_company(connection, business_date=_date(date_), folder=folder, now=moment(now))
        else:
            written = on_demand.write(
                connection,
                store_id=store or None,
                first=_date(date_) if date_ else _date(first, "--from"),
                last=_date(date_) if date_ else _date(last, "--to"),
                folder=folder,
            )
    _deliver(written.html, deliver, now=moment(now))
    _say_where(written.all, as_json=as_json, html=written.html, xlsx=written.xlsx)


@app.command(name="close-month")
def close_month(
    store: str = typer.Option("", "--store", help="the store's id"),
    all_stores: bool = typer.Option(False, "--all-stores", help="every store that is open: all of them or none"),
    month: str = MONTH,
    reason: str = typer.Option(..., "--reason", help="why now; kept in the audit trail", callback=needed),
    by: str = typer.Option("", "--by", help="who closes it; the login name if left out"),
    with_breaks: bool = typer.Option(False, "--with-breaks", help="also while breaks are open"),
    now: str = NOW,
    as_json: bool = JSON,
) -> None:
    """Close a month of a store, or of all: it stays as it is, what comes later is posted to the next. For good."""
    check_reachable(engine())
    if bool(store) == all_stores:
        raise BackroomError("name one store with --store, or say --all-stores")
    first, who, at = _month(month), by or getpass.getuser(), moment(now)
    with transaction() as connection:
        if all_stores:
            closing.close_company(connection, month=first, by=who, reason=reason, now=at, with_breaks=with_breaks)
        else:
            closing.close_store(
                connection, store_id=store, month=first, by=who, reason=reason, now=at, with_breaks=with_breaks
            )
    _say_month(first, store_id=store or None, as_json=as_json)


@app.command(name="months")
def list_stores(
    month: str = MONTH,
    with_breaks: bool = typer.Option(False, "--with-breaks", help="open breaks are not in the way"),
    now: str = NOW,
    as_json: bool = JSON,
) -> None:
    """For each store: is the month closed, and what is in the way. Exits 1 unless it is closed at all of them."""
    check_reachable(engine())
    with transaction() as connection:
        found = company_month.standing(connection, month=_month(month), now=moment(now), with_breaks=with_breaks)
    if as_json:
        typer.echo(json.dumps([asdict(one) | {"state": one.state} for one in found], default=str))
    else:
        table = Table("store", "month", "closed", "in the way")
        for one in found:
            closed = f"{one.closed.closed_at:%Y-%m-%d} by {one.closed.closed_by}" if one.closed else ""
            table.add_row(one.store_id, one.state, closed, "\n".join(one.in_the_way))
        Console().print(table)
    raise typer.Exit(0 if all(one.closed for one in found) else 1)


@app.command(name="month")
def write_month(
    store: str = typer.Option("", "--store", help="the store's id; left out, all"),
    month: str = MONTH,
    deliver: bool | None = DELIVER,
    now: str = NOW,
    as_json: bool = JSON,
) -> None:
    """Write a month's report, of one store or of all: as it was closed, or as it stands while it is open.

    It is stored and announced as other reports are.
    """
    check_reachable(engine())
    page = _say_month(_month(month), store_id=store or None, as_json=as_json)
    _deliver(page, deliver, now=moment(now))


def _deliver(page: Path, wanted: bool | None, *, now: datetime) -> None:
    """None: where the settings say so. Raises BackroomError where it is wanted and they don't."""
    if wanted is False:
        return
    delivered = delivery.deliver(engine(), delivery.clients(), page=page, now=now) if delivery.is_wanted() else None
    if wanted and delivered is None:
        raise BackroomError("--deliver: set BACKROOM_REPORTS_BUCKET, or BACKROOM_REPORTS_RECIPIENTS")


def _say_month(first: date, *, store_id: str | None, as_json: bool) -> Path:
    with transaction() as connection:
        written = on_demand.write(
            connection, store_id=store_id, first=first, last=last_of_month(first), folder=settings().reports_folder
        )
    _say_where(written.all, as_json=as_json, html=written.html, xlsx=written.xlsx)
    return written.html


@app.command()
def payouts(
    file: Path = typer.Option(..., "--file", help="CSV of what was paid out"),
    processor: str = typer.Option(..., "--processor", help="STRIPE or SANDBOX"),
    now: str = NOW,
) -> None:
    """Take in a processor's payouts. The same file again changes nothing."""
    check_reachable(engine())
    with transaction() as connection:
        new, known = payout_files.take_in(connection, file, processor=processor.upper(), now=moment(now))
    Console().print(f"{new} rows taken in, {known} known before")


@app.command()
def score(
    truth: Path = typer.Option(..., "--truth", help="JSON lines of kind, trip, line, store, day, amount"),
    as_json: bool = JSON,
) -> None:
    """Hold the breaks against a list of what was planted. Exits 1 where anything was missed, misnamed or invented."""
    check_reachable(engine())
    planted = scoring.read_truth(truth)
    if not planted:
        raise BackroomError(f"{truth} lists nothing")
    with transaction() as connection:
        found = scoring.found(
            connection,
            stores={one.store_id for one in planted},
            first=min(one.day for one in planted),
            last=max(one.day for one in planted),
        )
    judged = scoring.score(planted, found)
    if as_json:
        typer.echo(json.dumps(_score_as_json(judged), default=str))
    else:
        _show_score(judged, planted=len(planted))
    raise typer.Exit(0 if judged.is_perfect else 1)


def _score_as_json(judged: scoring.Score) -> dict[str, object]:
    return {
        "found": [vars(one) for one in judged.found],
        "misnamed": [{"planted": vars(one), "found": vars(other)} for one, other in judged.misnamed],
        "missed": [vars(one) for one in judged.missed],
        "invented": [vars(one) for one in judged.invented],
    }


def _show_score(judged: scoring.Score, *, planted: int) -> None:
    console = Console()
    table = Table("found", "misnamed", "missed", "invented", "planted")
    counts = (judged.found, judged.misnamed, judged.missed, judged.invented)
    table.add_row(*(str(len(one)) for one in counts), str(planted))
    console.print(table)
    if judged.is_perfect:
        return
    details = Table("verdict", "day", "store", "trip", "line", "planted", "found")
    for one, other in judged.misnamed:
        details.add_row("misnamed", *_place(one), _named(one), f"{_named(other)}, line {other.line_number}")
    for one in judged.missed:
        details.add_row("missed", *_place(one), _named(one), "")
    for one in judged.invented:
        details.add_row("invented", *_place(one), "", _named(one))
    console.print(details)


def _place(one: Named) -> tuple[str, str, str, str]:
    return str(one.day), one.store_id, one.shopping_trip_id, str(one.line_number or "")


def _named(one: Named) -> str:
    amount: Decimal | None = one.amount
    return one.kind if amount is None else f"{one.kind} {amount.normalize():f}"


def _say_where(paths: tuple[Path, ...], *, as_json: bool, html: Path, xlsx: Path) -> None:
    if as_json:
        typer.echo(json.dumps({"html": str(html), "xlsx": str(xlsx), "files": [str(path) for path in paths]}))
        return
    for path in paths:
        Console(soft_wrap=True, highlight=False).print(str(path))


def _date(given: str, option: str = "--date") -> date:
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        raise BackroomError(f"{option}: {given!r} is not a day; write 2026-11-23") from error


def _month(given: str) -> date:
    try:
        return datetime.strptime(given, "%Y-%m").date()  # noqa: DTZ007 - a month of the store's calendar
    except ValueError as error:
        raise BackroomError(f"--month: {given!r} is not a month; write 2026-11") from error
