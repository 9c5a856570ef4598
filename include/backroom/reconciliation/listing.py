"""Reports, months and breaks as a person looks for them, and where a report's files are."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.db.keyset import Order, Page, page
from backroom.errors import BackroomError
from backroom.reconciliation.breaks import LISTED, Filter, values_of
from backroom.reconciliation.report_files import ENDINGS

_RUNS: Final = """
    select r.run_id, r.store_id, r.business_date, r.revision, r.as_of, r.complete, r.trips, r.matched, r.expected,
           r.breaks_open, r.html_path, r.xlsx_path
    from reconciliation_run r
    where not exists (
        select from reconciliation_run newer
        where newer.store_id = r.store_id and newer.business_date = r.business_date and newer.revision > r.revision)
      and (cast(:store_id as text) is null or r.store_id = :store_id)
      and (cast(:first_day as date) is null or r.business_date >= :first_day)
      and (cast(:last_day as date) is null or r.business_date <= :last_day)
"""
_NEWEST: Final = Order({"business_date": "date", "run_id": "bigint"}, descending=True)
_MONTHS: Final = """
    select m.store_id, m.month, m.days, m.trips, m.breaks_open, m.expected, c.closed_at, c.closed_by
    from (
        select store_id, date_trunc('month', business_date)::date as month, count(*) as days, sum(trips) as trips,
               sum(breaks_open) as breaks_open, sum(expected) as expected
        from (
            select distinct on (store_id, business_date) store_id, business_date, trips, breaks_open, expected
            from reconciliation_run
            where cast(:store_id as text) is null or store_id = :store_id
            order by store_id, business_date, revision desc) newest
        group by 1, 2) m
    left join closed_month c using (store_id, month)
"""
_NEWEST_MONTH: Final = Order({"month": "date", "store_id": "text"}, descending=True)
_NEWEST_BREAK: Final = Order({"business_date": "date", "break_id": "bigint"}, descending=True)
_TRIP: Final = text("""
    select store_id, business_date, shopping_trip_id, outcome, note, entry_method, currency, purchase_total,
           charge_state, charge_captured, order_total, order_captured, ledger_captured
    from reconciliation_trip where shopping_trip_id = :trip order by business_date
""")


def runs(
    connection: Connection,
    *,
    store_id: str | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
    after: str = "",
    size: int = 50,
) -> Page:
    """The newest run of each store's day, the newest day first."""
    values = {"store_id": store_id, "first_day": first_day, "last_day": last_day}
    return page(connection, _RUNS, values, _NEWEST, after=after, size=size)


def months(connection: Connection, *, store_id: str | None = None, after: str = "", size: int = 50) -> Page:
    """Each store's months with a reconciled day, the newest first, and by whom and when each was closed."""
    return page(connection, _MONTHS, {"store_id": store_id}, _NEWEST_MONTH, after=after, size=size)


def breaks(connection: Connection, which: Filter, *, now: datetime, after: str = "", size: int = 50) -> Page:
    """The breaks that the filter lets through, those of the newest day first; `now` (UTC) is what ages count to."""
    return page(connection, LISTED, values_of(which, now), _NEWEST_BREAK, after=after, size=size)


def file_of_run(connection: Connection, run_id: int, name: str, *, folder: Path) -> Path:
    """The file of the run's report that has this name. Raises BackroomError where it is not in the reports' folder."""
    found = connection.execute(
        text("select html_path from reconciliation_run where run_id = :run"), {"run": run_id}
    ).scalar_one_or_none()
    if found is None:
        raise BackroomError(f"there is no report of run {run_id}; the list of reports shows those there are")
    page = Path(found).resolve()
    known = name in {f"{page.stem}.{ending}" for ending in ENDINGS}
    path = page.with_name(name) if known else page
    if not known or not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise BackroomError(
            f"{name!r} of the report of run {run_id} is not in the reports' folder of this machine; "
            "`backroom reconcile day` writes it again"
        )
    return path


def trip(connection: Connection, shopping_trip_id: str) -> list[dict[str, Any]]:
    """How the trip's sides were matched, by day."""
    return [dict(row) for row in connection.execute(_TRIP, {"trip": shopping_trip_id}).mappings()]
