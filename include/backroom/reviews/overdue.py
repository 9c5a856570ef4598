"""Cases that nobody has decided in time: they stay open, and whoever is on duty hears of it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from backroom.alerts import raise_alert

_OVERDUE: Final = text(
    """
    select kind, coalesce(store_id, '') as store_id, count(*) as cases, min(due_at) as first_due,
           (array_agg(case_id order by due_at, case_id))[1] as first_case,
           (array_agg(when_overdue order by due_at, case_id))[1] as when_overdue
    from review_case where decision is null and due_at <= :now
    group by 1, 2 order by first_due
    """
)


def warn_of_overdue(connection: Connection, *, now: datetime) -> int:
    """Raises one alert a day for each kind of case and store with overdue cases; returns how many cases there are.

    What else happens then is for the room that asked: the case's `when_overdue` says it in words.
    """
    overdue = 0
    for row in connection.execute(_OVERDUE, {"now": now}):
        overdue += row.cases
        raise_alert(
            connection,
            key=f"review-overdue:{row.kind}:{row.store_id}:{now.date()}",
            severity="critical",
            title=f"{row.store_id or 'no store'}: {row.cases} cases {row.kind} were not decided in time",
            what_to_do=(
                f"`backroom review list --overdue`; the first is case {row.first_case}, due "
                f"{row.first_due:%Y-%m-%d %H:%M} UTC; then: {row.when_overdue or 'the case stays open'}"
            ),
            now=now,
            store_id=row.store_id or None,
        )
    return overdue
