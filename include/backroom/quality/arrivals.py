"""A quick look at what a run's files brought: plain SQL, since loading Great Expectations alone takes seconds.

The full suites run daily over everything; here only what must be known before a day is released.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from backroom.quality.suites import SAMPLE, Result, keep

SUITE = "arrivals"
# (name, severity, meaning, SQL of one row: checked, unexpected, sample)
_CHECKS = (
    (
        "rows_are_accounted_for",
        "critical",
        "Each row that was read was applied, older than ours, or put in quarantine.",
        "select count(*), count(*) filter (where bad), array_agg(key) filter (where bad) from (select key,"
        " rows_read <> rows_applied + rows_stale + rows_quarantined as bad from feed_file"
        " where file_id = any(:files)) f",
    ),
    (
        "a_trip_is_one_order",
        "warning",
        "No trip that came in is in two orders; where one is, reconciliation names it.",
        "select count(*), count(*) filter (where orders > 1), array_agg(trip) filter (where orders > 1) from (select"
        " o.shopping_trip_id as trip, count(distinct (o.store_id, o.order_id)) as orders from amazon_order o where"
        " o.shopping_trip_id in (select t.shopping_trip_id from amazon_order t join amazon_order_line l using"
        " (store_id, order_id) where l.file_id = any(:files)) group by 1) t",
    ),
    (
        "files_are_readable",
        "warning",
        "Every file could be taken in.",
        "select count(*), count(*) filter (where state = 'FAILED'), array_agg(key) filter (where state = 'FAILED')"
        " from feed_file where file_id = any(:files)",
    ),
    (
        "few_rows_in_quarantine",
        "warning",
        "At most one row in twenty is in quarantine.",
        "select sum(rows_read), case when sum(rows_quarantined) * 20 > sum(rows_read) then sum(rows_quarantined)"
        " else 0 end, array_agg(key) filter (where rows_quarantined > 0) from feed_file where file_id = any(:files)",
    ),
    (
        "orders_are_whole",
        "info",
        "The lines of each order add up to its total; where not, lines are still to come.",
        "select count(*), count(*) filter (where incomplete), array_agg(order_id) filter (where incomplete) from ("
        "select distinct o.order_id, o.store_id, o.incomplete from amazon_order o join amazon_order_line l using"
        " (store_id, order_id) where l.file_id = any(:files)) o",
    ),
)


def check(connection: Connection, *, file_ids: Sequence[int], run: str, now: datetime) -> list[Result]:
    """Check what these files brought and keep the results under `run`; nothing where there are no files."""
    results = []
    for name, severity, meaning, query in _CHECKS if file_ids else ():
        checked, unexpected, sample = connection.execute(text(query), {"files": list(file_ids)}).one()
        bad = int(unexpected or 0)
        kept = list(sample or [])[:SAMPLE] if bad else []
        results.append(Result("orders", SUITE, name, None, severity, not bad, int(checked or 0), bad, kept, meaning))
    keep(connection, results, run, now)
    return results
