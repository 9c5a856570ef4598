"""Closing a month so that the books stay open while its reports are drawn.

The reports are drawn from one snapshot of the data, in a transaction of their own, before anything is locked. The
caller's transaction then keeps off whoever books, works the month out anew, and keeps the files where they show exactly
that, with the close. Where something came in between, they are drawn again. So there is no state in between: a month is
closed with its files, or it is open.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Final, TypeVar

import structlog
from sqlalchemy import Connection, Engine, text

from backroom.reconciliation import closed_files, company_month, months, periods
from backroom.reconciliation.closed_files import COMPANY, Drawn, FiguresMoved
from backroom.reconciliation.months import ALL_STORES
from backroom.reconciliation.pages import StoreDay

TRIES: Final = 3
"""How often the reports are drawn ahead, before they are drawn while nothing can be booked."""

_AS_JSON: Final = text("select cast(:figures as jsonb)")
_log = structlog.get_logger()
_T = TypeVar("_T")


def close_store(
    connection: Connection, *, store_id: str, month: date, by: str, reason: str, now: datetime,
    with_breaks: bool = False, tries: int = TRIES,
) -> StoreDay:  # fmt: skip
    """As months.close, in the caller's transaction, which has locked nothing so far and ends after this."""

    def check(seen: Connection) -> list[StoreDay]:
        return [months.checked(seen, store_id=store_id, month=month, reason=reason, now=now, with_breaks=with_breaks)]

    def close(drawn: Mapping[str, Drawn] | None) -> StoreDay:
        return months.close(
            connection, store_id=store_id, month=month, by=by, reason=reason, now=now, with_breaks=with_breaks,
            drawn=drawn,
        )  # fmt: skip

    return _close(connection, check, close, tries)


def close_company(
    connection: Connection, *, month: date, by: str, reason: str, now: datetime, with_breaks: bool = False,
    tries: int = TRIES,
) -> list[str]:  # fmt: skip
    """As company_month.close, in the caller's transaction, which has locked nothing so far and ends after this."""

    def check(seen: Connection) -> list[StoreDay]:
        return company_month.checked(seen, month=month, reason=reason, now=now, with_breaks=with_breaks)

    def close(drawn: Mapping[str, Drawn] | None) -> list[str]:
        return company_month.close(
            connection, month=month, by=by, reason=reason, now=now, with_breaks=with_breaks, drawn=drawn
        )

    return _close(connection, check, close, tries)


def _close(
    connection: Connection,
    check: Callable[[Connection], list[StoreDay]],
    close: Callable[[Mapping[str, Drawn] | None], _T],
    tries: int,
) -> _T:
    for number in range(1, tries + 1):
        with tempfile.TemporaryDirectory(prefix="backroom-close-") as folder:
            with _snapshot(connection.engine) as seen:
                drawn = _drawn(seen, check(seen), Path(folder))
            try:
                with connection.begin_nested():  # where it fails, whoever books goes on
                    return close(drawn)
            except FiguresMoved as error:
                _log.info("closing_figures_moved", report=str(error), times_drawn=number)
    return close(None)


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """All that is read by it is as it was at one moment."""
    with engine.connect() as connection:
        yield connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _drawn(connection: Connection, found: Sequence[StoreDay], folder: Path) -> dict[str, Drawn]:
    """The report of each of these months, and the company's where no other store is open then; by stem."""
    drawn = {
        period.store_id: closed_files.draw(
            connection, [replace(period, closed=True)], stem=period.store_id, title=period.name, folder=folder
        )
        for period in found
    }
    first, last = found[0].business_date, found[0].last_date
    closing = {period.store_id: period for period in found if not period.figures["store"]["test"]}
    if closing and months.company_closed(connection, month=first, with_these=closing):
        days = [
            _as_kept(connection, closing[one])
            if one in closing
            else months.of_month(connection, store_id=one, month=first)
            for one in periods.stores(connection, first=first, last=last)
        ]
        drawn[COMPANY] = closed_files.draw(connection, days, stem=COMPANY, title=ALL_STORES, folder=folder)
    return drawn


def _as_kept(connection: Connection, period: StoreDay) -> StoreDay:
    """As it is read once it is closed: PostgreSQL keeps the figures in an order of its own."""
    kept = connection.execute(_AS_JSON, {"figures": json.dumps(periods.as_kept(period))}).scalar_one()
    return periods.from_kept(
        connection, kept, store_id=period.store_id, first=period.business_date, last=period.last_date
    )
