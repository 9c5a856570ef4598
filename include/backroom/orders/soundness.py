"""Whether a store's day may be released: what must never be wrong in it, asked of the data as it stands.

A trip in two orders is no reason to hold a day: reconciliation names it, which it can't before the day is released.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, text

_LOST_ROWS = text(
    "select f.key from feed_file f join feed_file_day d using (file_id) where d.store_id = :store"
    " and d.business_date = :day and f.rows_read <> f.rows_applied + f.rows_stale + f.rows_quarantined"
    " order by 1 limit 5"
)


def unsound(connection: Connection, *, store_id: str, business_date: date) -> list[str]:
    """What is wrong with the day, each with up to five ids; nothing where it may be released."""
    asked = {"store": store_id, "day": business_date}
    found = []
    if files := connection.execute(_LOST_ROWS, asked).scalars().all():
        found.append(f"files with rows that are not accounted for: {', '.join(files)}")
    return found
