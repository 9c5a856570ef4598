"""The report of any range of days, of one store or of all, written anew when somebody asks for it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, text

from backroom.errors import BackroomError
from backroom.reconciliation import closed_files, months, pages, periods
from backroom.reconciliation.pages import StoreDay

if TYPE_CHECKING:
    from backroom.reconciliation.report import Written

COMPANY: Final = closed_files.COMPANY
MOST_DAYS: Final = 366
_RECONCILED: Final = text("""
    select exists (select from reconciliation_run
                   where store_id = :store_id and business_date between :first and :last)
""")


def write(connection: Connection, *, store_id: str | None, first: date, last: date, folder: Path) -> Written:
    """These days (both included) into `folder`, which nothing else need keep; None is all stores but test stores.

    A month that was closed is the files that were kept at its close. Raises BackroomError for a range that is empty,
    longer than a year, or of which no day was reconciled.
    """
    from backroom.reconciliation import report  # loads what draws, for a second: only who asks for a report waits

    _check(first, last)
    is_month = first.day == 1 and last == periods.last_of_month(first)
    if is_month and (store_id or months.company_closed(connection, month=first)):
        target, stem = folder / f"{first}_{last}", store_id or COMPANY
        if (kept := closed_files.take_out(connection, stem=stem, month=first, folder=target)) is not None:
            return kept
    chosen = chosen_stores(connection, store_id=store_id, first=first, last=last)
    days = [_of(connection, one, first, last) for one in chosen]
    return report.write_period(
        connection, days, stem=store_id or COMPANY, folder=folder, title=days[0].name if store_id else "All stores",
        as_of=max(day.as_of for day in days),
    )  # fmt: skip


def chosen_stores(connection: Connection, *, store_id: str | None, first: date, last: date) -> list[str]:
    """The stores of that report. Raises BackroomError for a bad range, and where no day of it was reconciled."""
    _check(first, last)
    given = {"store_id": store_id, "first": first, "last": last}
    known = periods.stores(connection, first=first, last=last) if store_id is None else [store_id]
    if not known or (store_id is not None and not connection.execute(_RECONCILED, given).scalar_one()):
        raise BackroomError(
            f"{store_id or 'no store'} was {'not ' if store_id else ''}reconciled from {first} to {last}; "
            "`backroom reconcile day` first"
        )
    return known


def _check(first: date, last: date) -> None:
    if last < first:
        raise BackroomError(f"the period ends on {last}, before it begins on {first}")
    if (last - first).days >= MOST_DAYS:
        raise BackroomError(f"a report is about {MOST_DAYS} days at most")


def _of(connection: Connection, store_id: str, first: date, last: date) -> StoreDay:
    if first == last:
        runs = pages.newest_runs(connection, business_date=first, store_id=store_id)
        if not runs:
            raise BackroomError(f"{store_id} was not reconciled for {first}; `backroom reconcile day` first")
        return pages.of_run(connection, runs[0])
    if first.day == 1 and last == periods.last_of_month(first):
        return months.of_month(connection, store_id=store_id, month=first)
    return periods.of_store(connection, store_id=store_id, first=first, last=last)
