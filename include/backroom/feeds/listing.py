"""Rows in quarantine, files that failed, and the windows that each store's days lack, as a person looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from backroom.clock import business_date
from backroom.db.keyset import Order, Page, page
from backroom.feeds.completeness import Coverage, coverage, first_day
from backroom.stores.registry import Store, all_stores

_QUARANTINE: Final = """
    select q.file_id, q.line, q.column_name, q.reason, q.raw, q.state, f.key, f.store_id, f.window_end,
           f.retry_asked_at
    from feed_quarantine q join feed_file f using (file_id)
    where (cast(:state as text) is null or q.state = :state)
      and (cast(:store_id as text) is null or f.store_id = :store_id)
      and (cast(:file_id as bigint) is null or q.file_id = :file_id)
"""
_FILES: Final = """
    select file_id, key, state, store_id, window_end, announcements, announced_at, rows_read, rows_applied, rows_stale,
           rows_quarantined, reason
    from feed_file
    where (cast(:store_id as text) is null or store_id = :store_id)
      and (cast(:state as text) is null or state = :state)
"""
_RELEASED: Final = text("""
    select distinct r.store_id, r.business_date from day_release r
    join unnest(cast(:stores as text[]), cast(:days as date[])) asked (store_id, business_date)
        using (store_id, business_date)
""")
_NEWEST_ROW: Final = Order({"file_id": "bigint", "line": "bigint"}, descending=True)
_NEWEST_FILE: Final = Order({"announced_at": "timestamptz", "file_id": "bigint"}, descending=True)


@dataclass(frozen=True)
class StoreGaps:
    """A store that gets files, and its latest business days that are over, the latest first; none before its first."""

    store: Store
    days: tuple[Coverage, ...]

    @property
    def missing(self) -> int:
        """How many windows of these days are not there."""
        return sum(len(day.missing) for day in self.days)


def quarantine(
    connection: Connection,
    *,
    state: str | None = "WAITING",
    store_id: str | None = None,
    file_id: int | None = None,
    after: str = "",
    size: int = 50,
) -> Page:
    """Rows that could not be taken in, those of the newest file first."""
    values = {"state": state, "store_id": store_id, "file_id": file_id}
    return page(connection, _QUARANTINE, values, _NEWEST_ROW, after=after, size=size)


def files(
    connection: Connection, *, store_id: str | None = None, state: str | None = None, after: str = "", size: int = 50
) -> Page:
    """The ledger of files, the newest first."""
    values = {"store_id": store_id, "state": state}
    return page(connection, _FILES, values, _NEWEST_FILE, after=after, size=size)


def released(connection: Connection, *, gaps: Sequence[StoreGaps]) -> set[tuple[str, date]]:
    """Which of these (store, business day) were released already."""
    asked = [(day.store_id, day.business_date) for each in gaps for day in each.days]
    rows = connection.execute(_RELEASED, {"stores": [store for store, _ in asked], "days": [day for _, day in asked]})
    return {(row.store_id, row.business_date) for row in rows}


def gaps(
    connection: Connection,
    *,
    now: datetime,
    days: int = 3,
    store_id: str | None = None,
    last_day: date | None = None,
) -> list[StoreGaps]:
    """Which windows the latest `days` business days of each store lack (or those up to `last_day`).

    Only active stores that get files. A day is asked about once it is over.
    """
    found = []
    for store in all_stores(connection):
        if "FILES" not in store.feeds or not store.active or store_id not in (None, store.store_id):
            continue
        last = last_day or business_date(now, store.time_zone) - timedelta(days=1)
        first = first_day(connection, store)
        asked = [day for back in range(days) if (day := last - timedelta(days=back)) >= first]
        found.append(StoreGaps(store, tuple(coverage(connection, store=store, day=day) for day in asked)))
    return found
