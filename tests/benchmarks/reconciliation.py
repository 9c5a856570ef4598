"""How fast a store's day is reconciled and reported: `python -m tests.benchmarks.reconciliation`.

A day of half as many trips of four lines each, then the whole one, then that again with nothing new. Both days stand
in the tables before either is timed, each of a store of its own, so that the two differ in the day alone: a database
that reads a whole table where a day is a large part of it would else have read three times as much for the whole day
as for the half, which says nothing of a day's cost. The reference of the same run is the barest thing that compares
the two sides: one join of their lines, counted. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import typer
from rich.console import Console
from sqlalchemy import Engine, text

from backroom.db import engine as database_engine
from backroom.db import migrate
from backroom.db.embedded import EmbeddedPostgres, free_port
from backroom.db.engine import make_engine
from backroom.reconciliation import report
from backroom.reconciliation.runs import RunSummary, reconcile_day
from backroom.settings import settings
from tests.benchmarks import retailer_day
from tests.benchmarks.goals import Goal, show

STORE, HALF = "BENCH-1", "BENCH-2"
DAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 5, 14, tzinfo=UTC)
LINES = 4
WHOLE_DAY = 250_000  # trips, for which the limits in seconds hold
REFERENCE = """
    select count(*) from purchase_line l
    join purchase p on p.shopping_trip_id = l.shopping_trip_id and p.store_id = :store
    join amazon_order o on o.store_id = p.store_id and o.shopping_trip_id = p.shopping_trip_id
    join amazon_order_line a on a.store_id = o.store_id and a.order_id = o.order_id and a.line_number = l.line_number
    where (l.total, l.tax_amount) = (a.price + a.tax, a.tax)
"""


def measure(*, trips: int, console: Console) -> tuple[list[Goal], float]:
    """Runs everything; the goals, and the seconds of the reference. Raises RuntimeError for a wrong outcome."""
    share = trips / WHOLE_DAY
    with _database() as (engine, folder), console.status("filling half a day and a whole one") as status:
        retailer_day.fill(engine, store=HALF, day=DAY + timedelta(days=1), trips=trips // 2, lines=LINES)
        retailer_day.fill(engine, store=STORE, day=DAY, trips=trips, lines=LINES)
        status.update("the reference")
        reference = _timed(lambda: _reference(engine))
        status.update("reconciling and reporting half a day")
        half = _timed(lambda: _day(engine, HALF, trips // 2, folder))
        status.update("reconciling and reporting the day")
        whole = _timed(lambda: _day(engine, STORE, trips, folder))
        status.update("again, with nothing new")
        again = _timed(lambda: _day(engine, STORE, trips, folder, nothing_new=True))
    lines = trips * LINES
    return [
        Goal(f"{trips:,} trips, {lines:,} lines reconciled and reported", whole, max(60 * share, 15), False, "s"),
        Goal(f"twice the data: that ÷ a day of {trips // 2:,} trips", whole / half, 2.2, False, "×"),
        Goal("again, with nothing new", again, max(10 * share, 5), False, "s"),
    ], reference


def _day(engine: Engine, store: str, trips: int, folder: Path, *, nothing_new: bool = False) -> None:
    day = DAY if store == STORE else DAY + timedelta(days=1)
    with engine.begin() as connection:
        done = reconcile_day(connection, store_id=store, business_date=day, complete=True, now=NOW)
        if report.written_before(connection, done.run_id) is None:
            report.write(connection, run_id=done.run_id, folder=folder)
    _check(done, trips, nothing_new)


def _check(done: RunSummary, trips: int, nothing_new: bool) -> None:
    bent = trips // 200 + (1 if trips % 200 >= 7 else 0)
    if (done.trips, done.breaks_open, done.expected, done.unchanged) != (trips, bent, 0, nothing_new):
        raise RuntimeError(f"{trips} trips with {bent} breaks came out as {done}")


def _reference(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"set local work_mem = '{settings().reconciliation_work_mem_mb}MB'"))
        connection.execute(text(REFERENCE), {"store": STORE}).scalar_one()


def _timed(what: object) -> float:
    started = time.perf_counter()
    what()  # type: ignore[operator]
    return time.perf_counter() - started


@contextmanager
def _database() -> Iterator[tuple[Engine, Path]]:
    """A migrated database with fsync on, as in production, and a home of its own."""
    with tempfile.TemporaryDirectory(prefix="backroom-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres", free_port())
        postgres.start()
        kept = {name: os.environ.get(name) for name in ("BACKROOM_DATABASE_URL", "BACKROOM_HOME")}
        try:
            url = postgres.url("postgres")
            os.environ["BACKROOM_DATABASE_URL"] = url.render_as_string(hide_password=False)
            os.environ["BACKROOM_HOME"] = folder
            _forget()
            engine = make_engine(url)
            migrate.upgrade(engine)
            yield engine, Path(folder) / "reports"
            engine.dispose()
        finally:
            for name, value in kept.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            _forget()
            postgres.stop()


def _forget() -> None:
    settings.cache_clear()
    database_engine.engine.cache_clear()


def main(trips: int = WHOLE_DAY) -> None:
    """Measures and prints; `trips` of the smaller day."""
    console = Console()
    goals, reference = measure(trips=trips, console=console)
    sys.exit(
        show(
            console,
            "reconciliation",
            goals,
            f"one join of both sides' {trips * LINES:,} lines, counted, in this run: {reference:.2f} s; "
            f"the day took {goals[0].value / reference:.1f} × that",
        )
    )


if __name__ == "__main__":
    typer.run(main)
