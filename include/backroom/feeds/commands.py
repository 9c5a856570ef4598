"""backroom feeds: what came, what is missing, what was set aside; taking in again; and by hand what pipelines do."""

from __future__ import annotations

import getpass
import json
from datetime import date, datetime, timedelta
from enum import StrEnum

import typer
from rich.console import Console
from rich.table import Table

from backroom import command_line
from backroom.audit import trail
from backroom.clock import business_date
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.feeds import agreement, completeness, events, intraday, replay, watching
from backroom.feeds import dead_letters as letters
from backroom.feeds.aws import aws
from backroom.orders import landing
from backroom.settings import settings
from backroom.stores.registry import all_stores, get_store

app = typer.Typer(help="Amazon's intra-day files and events.", no_args_is_help=True)
quarantine = typer.Typer(help="Rows that could not be taken in.", no_args_is_help=True)
dead_letters = typer.Typer(help="Messages that were given up.", no_args_is_help=True)
app.add_typer(quarantine, name="quarantine")
app.add_typer(dead_letters, name="dead-letters")


class Feed(StrEnum):
    """Which queue."""

    INTRADAY = "intraday"
    EVENTS = "events"


_FILE_STATES = ("ANNOUNCED", "COPIED", "INGESTED", "SAME_CONTENT", "SUPERSEDED", "FAILED")
QUEUE = typer.Option(..., "--queue", help="intraday or events")
REASON = typer.Option("", "--reason", help="why; kept in the audit trail")

STORE = typer.Option("", "--store", help="one store alone")
LIMIT = typer.Option(50, "--limit", min=1, help="show at most so many, the newest first")
AS_JSON = typer.Option(False, "--json", help="for machines")
NOW = typer.Option("", "--now", help="business time, ISO 8601 with its zone; the present by default")


@app.command()
def files(
    store: str = STORE,
    state: str = typer.Option("", "--state", help=", ".join(_FILE_STATES)),
    limit: int = LIMIT,
    as_json: bool = AS_JSON,
) -> None:
    """Show the ledger of files."""
    if state and state.upper() not in _FILE_STATES:
        raise BackroomError(f"--state: one of {', '.join(_FILE_STATES)} (it is {state!r})")
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
    """Show which 15-minute windows a store's day lacks. Exits 1 where any is missing.

    A store's days before its first file, event or trip lack none.
    """
    moment = command_line.moment(now)
    check_reachable(engine())
    found, before = [], {}
    with engine().connect() as connection:
        stores = [each for each in all_stores(connection) if store in ("", each.store_id) and "FILES" in each.feeds]
        if store and not stores:
            raise BackroomError(f"{store!r} is not a store that gets files; see `backroom stores list`")
        for each in stores:
            asked = _day(day) if day else business_date(moment, each.time_zone) - timedelta(days=1)
            first = completeness.first_day(connection, each)
            if asked < first:
                before[each.store_id] = first
                found.append(completeness.Coverage(each.store_id, asked, 0, ()))
            else:
                found.append(completeness.coverage(connection, store=each, day=asked))
    if as_json:
        typer.echo(json.dumps([one.__dict__ for one in found], default=str))
    else:
        table = Table("store", "business day", "windows", "missing", "ends of the missing ones (UTC)")
        for one in found:
            first_of = before.get(one.store_id)
            shown = f"none yet: its first day is {first_of}" if first_of else ", ".join(map(_span, one.spans))
            table.add_row(one.store_id, str(one.business_date), str(one.needed), str(len(one.missing)), shown)
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


@quarantine.command(name="retry")
def retry_quarantine(
    store: str = STORE,
    file: int = typer.Option(0, "--file", help="this file alone, by its id"),
    reason: str = REASON,
    now: str = NOW,
) -> None:
    """Take the files with rows in quarantine, and failed ones, from our copies again: after a store was added, say.

    What breaks no rule any more goes in, by the same versions as ever. Exits 1 where rows or files still wait.
    """
    why, moment = command_line.needed(reason), command_line.moment(now)
    check_reachable(engine())
    with engine().begin() as connection:
        asked = replay.retryable(connection, store_id=store, file_id=file or None)
        subject = f"file {file}" if file else store or "all stores"
        trail.record(
            connection, at=moment, actor=getpass.getuser(), action="feeds.quarantine.retry", subject=subject,
            reason=why, details={"files": len(asked)},
        )  # fmt: skip
    results = replay.retry(engine(), aws(), file_ids=asked, now=moment)
    rows, waiting = sum(one.rows_applied for one in results), sum(one.rows_quarantined for one in results)
    failed = sum(one.state == "FAILED" for one in results)
    typer.echo(f"{len(results)} files taken again, {rows} rows applied, {waiting} rows wait on, {failed} files failed")
    raise typer.Exit(1 if waiting or failed else 0)


@app.command(name="replay")
def replay_day(
    store: str = typer.Option(..., "--store", help="whose day"),
    day: str = typer.Option(..., "--date", help="business day, 2026-03-01"),
    reason: str = REASON,
    now: str = NOW,
    as_json: bool = AS_JSON,
) -> None:
    """Rebuild a store's day of orders from our copies. Exits 1 where rows came out otherwise than they were."""
    why, moment, asked = command_line.needed(reason), command_line.moment(now), _day(day)
    check_reachable(engine())
    result = replay.replay_day(engine(), aws(), store_id=store, business_date=asked)
    with engine().begin() as connection:
        trail.record(
            connection, at=moment, actor=getpass.getuser(), action="feeds.replay", subject=f"{store}|{asked}",
            reason=why, details=result.__dict__,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(result.__dict__))
    else:
        came_out = "all as before" if result.same else "not as before: the day will be released as a correction"
        typer.echo(f"{result.files} files replayed: {result.orders} orders, {result.lines} lines, {came_out}")
    raise typer.Exit(0 if result.same else 1)


@app.command()
def compare(
    store: str = typer.Option(..., "--store", help="a store that sends files and events"),
    day: str = typer.Option(..., "--date", help="business day, 2026-03-01"),
    as_json: bool = AS_JSON,
) -> None:
    """Show the trips of which files and events tell differently. Exits 1 where there are any."""
    asked = _day(day)
    check_reachable(engine())
    with engine().connect() as connection:
        of = get_store(connection, store)
        if of is None or set(of.feeds) != {"FILES", "EVENTS"}:
            raise BackroomError(
                f"{store!r} is not a store that sends both files and events; see `backroom stores list`"
            )
        rows = agreement.disagreements(connection, store_id=store, business_date=asked, zone=of.time_zone)
    if as_json:
        typer.echo(json.dumps([dict(row._mapping) for row in rows], default=str))
    else:
        table = Table("trip", "total: file", "event", "captured: file", "event", "differs in")
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row))
        Console().print(table)
    raise typer.Exit(1 if rows else 0)


@app.command()
def unclaimed(now: str = NOW, as_json: bool = AS_JSON) -> None:
    """Show Amazon's trips of the last three days of which we have no purchase."""
    moment = command_line.moment(now)
    command_line.show_query(
        watching.UNCLAIMED + " order by 3, 1, 2", {"from": moment - timedelta(days=3), "until": moment}, as_json=as_json
    )


@dead_letters.command(name="list")
def list_dead_letters(queue: Feed = QUEUE, limit: int = LIMIT, as_json: bool = AS_JSON) -> None:
    """Show messages that were given up, and why."""
    found = letters.look(aws(), _queue(queue), limit=limit)
    if as_json:
        typer.echo(json.dumps([letter.__dict__ for letter in found]))
        return
    table = Table("message", "reason", "body")
    for letter in found:
        table.add_row(letter.message_id, letter.reason or "too many tries", letter.body[:200])
    Console().print(table)


@dead_letters.command(name="replay")
def replay_dead_letters(queue: Feed = QUEUE, reason: str = REASON, now: str = NOW) -> None:
    """Put them back into their queue; the pipeline takes them at its next run."""
    why, moment = command_line.needed(reason), command_line.moment(now)
    check_reachable(engine())
    moved = letters.replay(aws(), _queue(queue))
    with engine().begin() as connection:
        trail.record(
            connection, at=moment, actor=getpass.getuser(), action="feeds.dead_letters.replay", subject=queue.value,
            reason=why, details={"messages": moved},
        )  # fmt: skip
    typer.echo(f"{moved} messages put back into {_queue(queue)}")


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
    results = intraday.take_in(engine(), aws(), now=moment)
    bad = [result for result in results if result.state == "FAILED"]
    rows = sum(result.rows_applied for result in results)
    typer.echo(f"{len(results)} files taken in, {rows} rows applied, {len(bad)} files failed")
    raise typer.Exit(1 if bad else 0)


@app.command()
def land() -> None:
    """Write the days that have changed to our bucket as Parquet."""
    check_reachable(engine())
    config = settings()
    landed = landing.land_changed_days(engine(), aws().s3, bucket=config.feeds_bucket, prefix=config.orders_prefix)
    typer.echo(f"{len(landed)} days written, {sum(one.rows for one in landed)} order lines")


@app.command()
def drain(now: str = NOW) -> None:
    """Take in all that waits in the events queue."""
    check_reachable(engine())
    counts = events.drain(engine(), aws(), now=command_line.moment(now))
    typer.echo(
        f"{counts.new} new events, {counts.known_already} known already, {counts.unknown} not understood,"
        f" {counts.malformed} no events"
    )


def _span(ends: tuple[datetime, datetime]) -> str:
    first, last = ends
    if first == last:
        return f"{first:%d %H:%M}"
    return f"{first:%d %H:%M}–{last:%H:%M}" if first.date() == last.date() else f"{first:%d %H:%M}–{last:%d %H:%M}"


def _queue(feed: Feed) -> str:
    return settings().intraday_queue if feed is Feed.INTRADAY else settings().events_queue


def _day(text_: str) -> date:
    try:
        return date.fromisoformat(text_)
    except ValueError as error:
        raise BackroomError(f"--date: {text_!r} is not a day; write 2026-03-01") from error
