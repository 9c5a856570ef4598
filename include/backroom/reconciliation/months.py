"""Closing a month of a store: its figures are kept as they are, and the ledger takes nothing more for it.

What comes later for one of its days is posted on the first day of the next open month, and says where it belongs
(`ledger_transaction.belongs_to`); the database does that, whoever books. Nothing can open a month again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from backroom.audit import trail
from backroom.clock import business_day_bounds
from backroom.errors import BackroomError
from backroom.ledger.book import POSTING_LOCK
from backroom.reconciliation import closed_files, news, periods
from backroom.reconciliation.closed_files import Drawn
from backroom.reconciliation.ledger_checks import SHELF_PRICES
from backroom.reconciliation.outside_figures import TOLD_BY_BREAKS
from backroom.reconciliation.pages import StoreDay
from backroom.reconciliation.periods import last_of_month

ALL_STORES: Final = "All stores"  # the title of the company's report


class CloseRefused(BackroomError):
    """The month can't be closed yet, or is closed already."""


@dataclass(frozen=True)
class Closed:
    """A month that is closed."""

    store_id: str
    month: date
    closed_at: datetime
    closed_by: str
    reason: str


def close(
    connection: Connection,
    *,
    store_id: str,
    month: date,
    by: str,
    reason: str,
    now: datetime,
    with_breaks: bool = False,
    drawn: Mapping[str, Drawn] | None = None,
) -> StoreDay:
    """Closes the month of any of whose days `month` is one; returns it as it was closed. Audited.

    Nothing is booked from here to the end of the caller's transaction. The files of its report are kept with it: those
    `drawn` before (closing.py), or, for None, drawn here.

    Raises CloseRefused as `checked`, and FiguresMoved where what was drawn is not what the month is closed with.
    """
    lock(connection, [store_id], month)
    period = checked(connection, store_id=store_id, month=month, reason=reason, now=now, with_breaks=with_breaks)
    keep(connection, period, by=by, reason=reason, now=now, drawn=drawn)
    return period


def lock(connection: Connection, store_ids: Iterable[str], month: date) -> None:
    """Until the end of the caller's transaction nothing is booked, and nobody else closes that month of these stores.

    What is being booked ends first: it can't know yet that the month closes, and would be missing from its figures.
    """
    connection.execute(POSTING_LOCK)
    for store_id in sorted(store_ids):
        connection.execute(
            text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"),
            {"key": f"month {store_id} {month.replace(day=1)}"},
        )


def checked(
    connection: Connection, *, store_id: str, month: date, reason: str, now: datetime, with_breaks: bool = False
) -> StoreDay:
    """The month as it would be closed; it stays so only where it is locked.

    Raises CloseRefused while the month is not over, a day with trips or orders is not reconciled or has had money
    moved or trips come since, trips wait, something waits to be booked, a figure does not tie, an earlier month is
    open, or, unless `with_breaks`, breaks are open; also where it is closed, or the reason says nothing.
    """
    if not reason.strip():
        raise CloseRefused("the reason says nothing; write why, it is kept with the month")
    first, last = month.replace(day=1), last_of_month(month)
    if (closed := closed_month(connection, store_id=store_id, month=first)) is not None:
        raise CloseRefused(
            f"{first:%B %Y} of {store_id} was closed on {closed.closed_at:%Y-%m-%d} by {closed.closed_by}"
        )
    period = periods.of_store(connection, store_id=store_id, first=first, last=last)
    if reasons := not_yet(connection, period, now=now, with_breaks=with_breaks):
        raise CloseRefused(f"{first:%B %Y} of {store_id} can't be closed: {'; '.join(reasons)}")
    return period


def keep(
    connection: Connection, period: StoreDay, *, by: str, reason: str, now: datetime, drawn: Mapping[str, Drawn] | None
) -> None:
    """Closes a month that is locked and `checked`. Raises FiguresMoved as `close`."""
    store_id, first = period.store_id, period.business_date
    connection.execute(
        text(
            "insert into closed_month (store_id, month, closed_at, closed_by, reason, figures)"
            " values (:store_id, :month, :now, :by, :reason, cast(:figures as jsonb))"
        ),
        {
            "store_id": store_id,
            "month": first,
            "now": now,
            "by": by,
            "reason": reason.strip(),
            "figures": json.dumps(periods.as_kept(period)),
        },
    )
    trail.record(
        connection,
        at=now,
        actor=by,
        action="month.close",
        subject=f"{store_id} {first:%Y-%m}",
        reason=reason,
        details={"breaks_open": period.breaks_open, "trips": period.trips},
    )
    reports = [([replace(period, closed=True)], store_id, period.name)]
    if not period.figures["store"]["test"] and company_closed(connection, month=first):
        stores = periods.stores(connection, first=first, last=period.last_date)
        days = [of_month(connection, store_id=one, month=first) for one in stores]
        reports.append((days, closed_files.COMPANY, ALL_STORES))
    for days, stem, title in reports:
        closed_files.keep(connection, days, stem=stem, title=title, now=now, drawn=drawn)


def company_closed(connection: Connection, *, month: date, with_these: Collection[str] = ()) -> bool:
    """Whether the month, by its first day, is closed at every store that traded in it, but for test stores.

    `with_these`: once it is closed at these stores, too.
    """
    traded = periods.trading_stores(connection, first=month, last=last_of_month(month))
    closed = connection.execute(text("select store_id from closed_month where month = :month"), {"month": month})
    return set(traded) <= {*closed.scalars(), *with_these}


def closed_month(connection: Connection, *, store_id: str, month: date) -> Closed | None:
    """That month, if it is closed."""
    row = connection.execute(
        text(
            "select store_id, month, closed_at, closed_by, reason from closed_month"
            " where store_id = :store_id and month = :month"
        ),
        {"store_id": store_id, "month": month.replace(day=1)},
    ).one_or_none()
    return None if row is None else Closed(**row._asdict())


def of_month(connection: Connection, *, store_id: str, month: date) -> StoreDay:
    """The month as it was closed, or as it stands while it is open. Raises BackroomError where it has no run."""
    first, last = month.replace(day=1), last_of_month(month)
    kept = connection.execute(
        text("select figures from closed_month where store_id = :store_id and month = :month"),
        {"store_id": store_id, "month": first},
    ).scalar_one_or_none()
    if kept is None:
        return periods.of_store(connection, store_id=store_id, first=first, last=last)
    return periods.from_kept(connection, kept, store_id=store_id, first=first, last=last)


def not_yet(connection: Connection, period: StoreDay, *, now: datetime, with_breaks: bool) -> list[str]:
    """What stands in the way of closing the month, in words; `now` in UTC. Nothing: it may be closed."""
    found = []
    store_id, first, last = period.store_id, period.business_date, period.last_date
    zone = str(period.figures["store"]["time_zone"])
    if now < business_day_bounds(last, zone)[1]:
        found.append("it is not over")
    if missing := periods.missing_days(connection, store_id=store_id, first=first, last=last):
        found.append(f"not reconciled: {', '.join(map(str, missing))}")
    if stale := news.days(connection, store_id=store_id, first=first, last=last):
        found.append(
            f"changed since they were reconciled: {', '.join(map(str, stale))}"
            f" (the next run of the reconciliation takes that in, or now"
            f" `backroom reconcile day --store {store_id} --date {stale[0]}`, and so on)"
        )
    if not period.complete:
        found.append("not all of its days' files are in")
    if period.expected:
        found.append(f"{period.expected} trips still wait")
    if (breaks := _open_breaks(connection, store_id, first, last)) and not with_breaks:
        found.append(f"{breaks} breaks are open (mend or decide them, or close with them)")
    # what Amazon and a processor tell otherwise is told trip by trip, by breaks
    off = [check["what"] for check in period.untied if check["against"] not in {*TOLD_BY_BREAKS, SHELF_PRICES}]
    if off:  # with or without breaks: a month that does not tie has to be mended
        found.append(f"these do not tie: {', '.join(off)}")
    if waiting := _to_book(connection, store_id, last + timedelta(days=1)):
        found.append(f"{waiting} charges and events wait to be booked: `backroom ledger post`")
    if _earlier_open(connection, store_id, first):
        found.append("an earlier month is open")
    return found


def _open_breaks(connection: Connection, store_id: str, first: date, last: date) -> int:
    """As they stand, whatever the newest runs counted."""
    return int(
        connection.execute(
            text(
                "select count(*) from reconciliation_break"
                " where store_id = :store_id and business_date between :first and :last and closed_at is null"
            ),
            {"store_id": store_id, "first": first, "last": last},
        ).scalar_one()
    )


def _to_book(connection: Connection, store_id: str, before: date) -> int:
    return int(
        connection.execute(
            text("""
                select (select count(*) from charge c join purchase p using (shopping_trip_id)
                        where c.to_book and c.store_id = :store_id and p.business_date < :before)
                     + (select count(*) from debt_event e join purchase p using (shopping_trip_id)
                        where e.to_book and p.store_id = :store_id and p.business_date < :before)
                     + (select count(*) from refund_event e join purchase p using (shopping_trip_id)
                        where e.to_book and p.store_id = :store_id and p.business_date < :before)
                     + (select count(*) from reconciliation_break_event e join reconciliation_break b using (break_id)
                        where e.to_book and b.store_id = :store_id and b.business_date < :before)
            """),
            {"store_id": store_id, "before": before},
        ).scalar_one()
    )


def _earlier_open(connection: Connection, store_id: str, first: date) -> bool:
    return bool(
        connection.execute(
            text("""
                select exists (
                    select from (
                        select business_date from reconciliation_run
                        where store_id = :store_id and business_date < :first
                        union all
                        select business_date from purchase where store_id = :store_id and business_date < :first
                        union all
                        select business_date from amazon_order where store_id = :store_id and business_date < :first
                    ) day
                    where date_trunc('month', business_date) not in (
                        select month from closed_month where store_id = :store_id))
            """),
            {"store_id": store_id, "first": first},
        ).scalar_one()
    )
