"""backroom feeds: files, gaps, quarantine list, events; and `ingest` and `drain`, as the pipelines do it."""

from __future__ import annotations

import json
from datetime import date, timedelta

import typer
from rich.console import Console
from rich.table import Table

from backroom import command_line
from backroom.clock import business_date
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.feeds import completeness, events, intraday
from backroom.feeds.aws import aws
from backroom.stores.registry import all_stores

app = typer.Typer(help="Amazon's intra-day files and events.", no_args_is_help=True)
quarantine = typer.Typer(help="Rows that could not be taken in.", no_args_is_help=True)
app.add_typer(quarantine, name="quarantine")

STORE = typer.Option("", "--store", help="one store alone")
LIMIT = typer.Option(50, "--limit", min=1, help="show at most so many, the newest first")
AS_JSON = typer.Option(False, "--json", help="for machines")
NOW = typer.Option("", "--now", help="business time, ISO 8601 with its zone; the present by default")


@app.command()
def files(
    store: str = STORE,
    state: str = typer.Option("", "--state", help="COPIED, INGESTED, SAME_CONTENT, SUPERSEDED, FAILED, ANNOUNCED"),
    limit: int = LIMIT,
    as_json: bool = AS_JSON,
) -> None:
    """Show the ledger of files."""
    command_line.show_query(
        "select file_id, key, state, window_end, announcements, rows_read, rows_applied, rows_stale, rows_quarantined,"
        " reason from feed_file where (:store = '' or store_id = :store) and (:state = '' or state = :state)"
        " order by announced_at desc, file_id desc limit :limit",
        {"store": store, "state": state.upper(), "limit": limit},
        as_json=as_json,
    )


@app.command()
def gaps(
    store: str = STORE,
    day: str = typer.Option("", "--date", help="business day, 2026-03-01; yesterday by default"),
    now: str = NOW,
    as_json: bool = AS_JSON,
) -> None:
    """Show which 15-minute windows a store's day lacks. Exits 1 where any is missing."""
    moment = command_line.moment(now)
    check_reachable(engine())
    found = []
    with engine().connect() as connection:
        stores = [each for each in all_stores(connection) if store in ("", each.store_id) and "FILES" in each.feeds]
        if store and not stores:
            raise BackroomError(f"{store!r} is not a store that gets files; see `backroom stores list`")
        for each in stores:
            asked = _day(day) if day else business_date(moment, each.time_zone) - timedelta(days=1)
            found.append(completeness.coverage(connection, store=each, day=asked))
    if as_json:
        typer.echo(json.dumps([one.__dict__ for one in found], default=str))
    else:
        table = Table("store", "business day", "windows", "missing", "ends of the missing ones (UTC)")
        for one in found:
            shown = ", ".join(f"{end:%d %H:%M}" for end in one.missing[:12])
            more = " …" if len(one.missing) > 12 else ""
            table.add_row(one.store_id, str(one.business_date), str(one.needed), str(len(one.missing)), shown + more)
        Console().print(table)
    raise typer.Exit(1 if any(one.missing for one in found) else 0)


@quarantine.command(name="list")
def list_quarantine(store: str = STORE, limit: int = LIMIT, as_json: bool = AS_JSON) -> None:
    """Show rows in quarantine: file, line, reason, and the row as it came."""
    command_line.show_query(
        "select q.file_id, f.key, q.line, q.column_name, q.reason, q.raw from feed_quarantine q"
        " join feed_file f using (file_id) where q.state = 'WAITING' and (:store = '' or f.store_id = :store)"
        " order by q.file_id desc, q.line limit :limit",
        {"store": store, "limit": limit},
        as_json=as_json,
    )


@app.command(name="events")
def list_events(as_json: bool = AS_JSON) -> None:
    """Count the events by kind."""
    command_line.show_query(
        "select detail_type, subtype, known, count(*) as events, max(happened_at) as latest from feed_event"
        " group by 1, 2, 3 order by 1, 2",
        {},
        as_json=as_json,
    )


@app.command()
def ingest(now: str = NOW) -> None:
    """Copy what is announced and take in all that waits. Exits 1 where a file failed."""
    moment = command_line.moment(now)
    check_reachable(engine())
    intraday.collect(engine(), aws(), now=moment)
    with engine().connect() as connection:
        waiting = intraday.waiting(connection)
    results = intraday.ingest_all(engine(), aws(), file_ids=waiting, now=moment)
    bad = [result for result in results if result.state == "FAILED"]
    rows = sum(result.rows_applied for result in results)
    typer.echo(f"{len(results)} files taken in, {rows} rows applied, {len(bad)} files failed")
    raise typer.Exit(1 if bad else 0)


@app.command()
def drain(now: str = NOW) -> None:
    """Take in all that waits in the events queue."""
    check_reachable(engine())
    counts = events.drain(engine(), aws(), now=command_line.moment(now))
    typer.echo(
        f"{counts.new} new events, {counts.known_already} known already, {counts.unknown} not understood,"
        f" {counts.malformed} no events"
    )


def _day(text_: str) -> date:
    try:
        return date.fromisoformat(text_)
    except ValueError as error:
        raise BackroomError(f"--date: {text_!r} is not a day; write 2026-03-01") from error
