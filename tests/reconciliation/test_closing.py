"""The books stay open while a month's reports are drawn; they are kept where they still show its figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from backroom.ledger.book import POSTING_LOCK
from backroom.reconciliation import closed_files, closing, company_month, months, on_demand, periods, report
from backroom.reconciliation.closed_files import COMPANY, Drawn, FiguresMoved
from backroom.reconciliation.months import CloseRefused
from tests.reconciliation.conftest import DAY, Books, open_store

MARCH, LAST = date(2026, 3, 1), date(2026, 3, 31)
APRIL = datetime(2026, 4, 2, 9, tzinfo=UTC)
SAID: dict[str, Any] = {"month": DAY, "by": "fay", "reason": "all seen", "now": APRIL}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which reports were drawn so far, by their stems."""
    stems: list[str] = []
    write = report.write_period

    def counted(connection: Connection, days: Any, *, stem: str, **more: Any) -> report.Written:
        stems.append(stem)
        return write(connection, days, stem=stem, **more)

    monkeypatch.setattr(report, "write_period", counted)
    return stems


@pytest.fixture
def shops(database: Engine) -> Iterator[list[Books]]:
    """Two stores of a company of their own, each with a reconciled trip: committed, and taken away in the end."""
    with database.begin() as connection:
        made = [Books(connection, store_id) for store_id in ("EAST", "WEST")]
        for books in made:
            open_store(books)
            books.trip()
            books.reconcile()
    yield made
    with database.begin() as connection:
        connection.execute(text("set local session_replication_role = replica"))  # closed months are not to be deleted
        tables = connection.execute(
            text("select tablename from pg_tables where schemaname = 'public' and tablename <> 'alembic_version'")
        ).scalars()
        connection.execute(text(f"truncate {', '.join(tables)} cascade"))


@contextmanager
def _booking(database: Engine, close: Callable[[Connection], object]) -> Iterator[tuple[Connection, Future[object]]]:
    """Somebody books, and commits at the end; meanwhile that close, in a thread, has come to wait for it."""

    def closes() -> object:
        with database.begin() as connection:
            return close(connection)

    with ThreadPoolExecutor(1) as pool, database.begin() as booking:
        booking.execute(POSTING_LOCK)
        closed = pool.submit(closes)
        _until_it_waits(database, closed)
        yield booking, closed
        booking.commit()
        closed.result(timeout=60)


def _until_it_waits(database: Engine, closed: Future[object]) -> None:
    waits = text("select count(*) from pg_locks where locktype = 'advisory' and not granted")
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if closed.done():
            closed.result()
            raise AssertionError("the month was closed while somebody booked")
        with database.connect() as connection:
            if connection.execute(waits).scalar_one():
                return
        time.sleep(0.05)
    raise AssertionError("the close does not come to wait for who books")


def _another_trip(books: Books, connection: Connection) -> None:
    books.connection = connection
    books.trip()
    books.reconcile(now=APRIL)


def _kept(database: Engine, store_id: str | None, folder: Path) -> dict[str, str]:
    """The figures of the kept report of March, by part and name."""
    with database.connect() as connection:
        assert months.closed_month(connection, store_id=store_id or "EAST", month=MARCH) is not None
        written = on_demand.write(connection, store_id=store_id, first=MARCH, last=LAST, folder=folder)
    rows = next(path for path in written.all if path.name.endswith(".figures.csv")).read_text().splitlines()
    found = [row.split(",") for row in rows[1:]]
    return {f"{row[0]} {row[4]} {row[6]}": row[7] for row in found}


def test_the_reports_of_a_month_are_drawn_while_somebody_books(
    database: Engine, shops: list[Books], drawn: list[str], tmp_path: Path
) -> None:
    def close(connection: Connection) -> object:
        return closing.close_company(connection, **SAID)

    with _booking(database, close):
        assert drawn == ["EAST", "WEST", COMPANY]
    assert drawn == ["EAST", "WEST", COMPANY]
    assert _kept(database, "EAST", tmp_path)["EAST sales trips"] == "1"
    assert _kept(database, None, tmp_path)["WEST sales trips"] == "1"
    assert drawn == ["EAST", "WEST", COMPANY]  # what was kept is what is read


def test_what_comes_while_they_are_drawn_is_in_the_month_and_in_its_files(
    database: Engine, shops: list[Books], drawn: list[str], tmp_path: Path
) -> None:
    east, _ = shops

    def close(connection: Connection) -> object:
        return closing.close_store(connection, store_id="EAST", **SAID)

    with _booking(database, close) as (booking, _):
        assert drawn == ["EAST"]
        _another_trip(east, booking)
    assert drawn == ["EAST", "EAST"]
    assert _kept(database, "EAST", tmp_path)["EAST sales trips"] == "2"


def test_after_so_many_tries_they_are_drawn_while_nobody_can_book(
    database: Engine, shops: list[Books], drawn: list[str], tmp_path: Path
) -> None:
    east, _ = shops

    def close(connection: Connection) -> object:
        return closing.close_company(connection, tries=1, **SAID)

    with _booking(database, close) as (booking, _):
        _another_trip(east, booking)
    assert drawn == ["EAST", "WEST", COMPANY] * 2
    assert _kept(database, None, tmp_path)["EAST sales trips"] == "2"


def test_a_close_that_is_refused_keeps_nobody_from_booking_and_draws_nothing(
    database: Engine, shops: list[Books], drawn: list[str]
) -> None:
    east, _ = shops
    with database.begin() as connection:
        east.connection = connection
        east.change("amazon_order", east.trips[0], captured=9)
        east.reconcile(now=APRIL)
    with database.begin() as booking:
        booking.execute(POSTING_LOCK)
        for close in (
            lambda connection: closing.close_store(connection, store_id="EAST", **SAID),
            lambda connection: closing.close_company(connection, **SAID),
        ):
            with database.begin() as connection, pytest.raises(CloseRefused, match="1 breaks are open"):
                close(connection)
    assert drawn == []


def test_a_close_whose_end_does_not_come_has_closed_nothing_and_is_made_anew(
    database: Engine, shops: list[Books], tmp_path: Path
) -> None:
    with database.connect() as connection:
        closing.close_company(connection, **SAID)
        connection.rollback()  # as when the process is killed before the commit
        assert connection.execute(text("select count(*) from closed_month")).scalar_one() == 0
        assert connection.execute(text("select count(*) from closed_month_file")).scalar_one() == 0
    with database.begin() as connection:
        assert closing.close_company(connection, **SAID) == ["EAST", "WEST"]
    assert _kept(database, None, tmp_path)["EAST sales trips"] == "1"


def test_the_last_store_to_close_draws_the_companys_report_with_those_that_were_closed_before(
    database: Engine, shops: list[Books], drawn: list[str], tmp_path: Path
) -> None:
    for store_id in ("WEST", "EAST"):
        with database.begin() as connection:
            closing.close_store(connection, store_id=store_id, **SAID)
    assert drawn == ["WEST", "EAST", COMPANY]
    assert _kept(database, None, tmp_path)["WEST sales trips"] == "1"


def test_drawn_files_are_what_would_be_drawn_at_the_close(database: Engine, shops: list[Books]) -> None:
    kept = text("select report, name, content from closed_month_file order by 1, 2")

    def files(close: Callable[[Connection], object]) -> list[tuple[str, str, bytes]]:
        with database.connect() as connection:
            close(connection)
            found = [tuple(row) for row in connection.execute(kept)]
            connection.rollback()
        return found

    before = files(lambda connection: closing.close_company(connection, **SAID))
    assert len(before) == 12
    assert before == files(lambda connection: company_month.close(connection, **SAID))


def test_files_that_show_other_figures_or_were_drawn_before_another_run_are_not_kept(
    books: Books, tmp_path: Path
) -> None:
    books.trip()
    books.reconcile()
    other = Books(books.connection, "OPEN")  # so that the company's month stays open
    open_store(other)
    other.trip()

    def close(drawn: dict[str, Drawn]) -> None:
        with books.connection.begin_nested():
            months.close(books.connection, store_id=books.store_id, drawn=drawn, **SAID)

    def draw() -> dict[str, Drawn]:
        period = periods.of_store(books.connection, store_id=books.store_id, first=MARCH, last=LAST)
        days = [replace(period, closed=True)]
        return {
            books.store_id: closed_files.draw(
                books.connection, days, stem=books.store_id, title="Shop", folder=tmp_path
            )
        }

    with pytest.raises(FiguresMoved):
        close({})
    before = draw()
    books.trip()
    books.reconcile(now=APRIL)
    with pytest.raises(FiguresMoved):
        close(before)
    before = draw()
    books.connection.execute(  # a run that found the same figures, and may have noted something else of a trip
        text("""
            insert into reconciliation_run (store_id, business_date, revision, as_of, complete, trips, matched,
                                            expected, breaks_open, figures)
            select store_id, business_date, revision + 1, as_of, complete, trips, matched, expected, breaks_open,
                   figures
            from reconciliation_run where store_id = :store order by revision desc limit 1
        """),
        {"store": books.store_id},
    )
    with pytest.raises(FiguresMoved):
        close(before)
    assert months.closed_month(books.connection, store_id=books.store_id, month=MARCH) is None
    close(draw())
    assert months.closed_month(books.connection, store_id=books.store_id, month=MARCH) is not None
