"""What a report shows of one store's day, read from the run that judged it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from backroom.errors import BackroomError

Row = dict[str, Any]


@dataclass(frozen=True)
class StoreDay:
    """One store's day as the newest run over it left it. Amounts in `figures` are exact text."""

    run_id: int
    store_id: str
    business_date: date
    as_of: datetime
    complete: bool
    trips: int
    matched: int
    expected: int
    breaks_open: int
    figures: Row
    breaks: list[Row]
    waiting: list[Row]

    @property
    def name(self) -> str:
        """The store's name."""
        return str(self.figures["store"]["name"])

    @property
    def currency(self) -> str:
        """ISO 4217."""
        return str(self.figures["store"]["currency"])

    @property
    def trips_broken(self) -> int:
        """Trips with at least one open break."""
        return self.trips - self.matched - self.expected

    @property
    def untied(self) -> list[Row]:
        """Checks that do not tie."""
        return [check for check in self.figures["checks"] if not check["ties"]]


BREAKS = """
    select shopping_trip_id, line_number, kind, ours, theirs, difference, explanation, opened_at, times_opened
    from reconciliation_break
    where store_id = :store_id and business_date = :day and closed_at is null
    order by kind, shopping_trip_id, line_number
"""
WAITING = """
    select t.shopping_trip_id, coalesce(t.charge_state, p.state) as state, t.purchase_total, t.order_total,
           t.note
    from reconciliation_trip t
    left join purchase p on p.shopping_trip_id = t.shopping_trip_id and p.store_id = t.store_id
    where t.store_id = :store_id and t.business_date = :day and t.outcome = 'EXPECTED'
    order by t.shopping_trip_id
"""


def of_run(connection: Connection, run_id: int) -> StoreDay:
    """That run's day. Raises BackroomError where the run is unknown or a newer one has judged the day again."""
    run = connection.execute(
        text("""
            select run_id, store_id, business_date, as_of, complete, trips, matched, expected, breaks_open, figures
            from reconciliation_run where run_id = :run_id
        """),
        {"run_id": run_id},
    ).one_or_none()
    if run is None:
        raise BackroomError(f"there is no reconciliation run {run_id}; `backroom reconcile day` makes one")
    newest = newest_runs(connection, business_date=run.business_date, store_id=run.store_id)[0]
    if newest != run_id:
        raise BackroomError(
            f"run {run_id} of {run.store_id} on {run.business_date} has been superseded; report run {newest} instead"
        )
    return StoreDay(
        **run._asdict(),
        breaks=_rows(connection, BREAKS, store_id=run.store_id, day=run.business_date),
        waiting=_rows(connection, WAITING, store_id=run.store_id, day=run.business_date),
    )


def newest_runs(connection: Connection, *, business_date: date, store_id: str | None = None) -> list[int]:
    """The newest run of each store (or of one) for that day, in the stores' order; test stores only when named."""
    rows = connection.execute(
        text("""
            select distinct on (r.store_id) r.run_id, r.store_id
            from reconciliation_run r join store s using (store_id)
            where r.business_date = :day
              and (r.store_id = cast(:store_id as text) or (cast(:store_id as text) is null and not s.test))
            order by r.store_id, r.revision desc
        """),
        {"day": business_date, "store_id": store_id},
    )
    return [row.run_id for row in rows]


def current(connection: Connection, run_id: int) -> int:
    """The newest run over the day that this run judged: itself, or the one that has superseded it."""
    return int(
        connection.execute(
            text("""
                select max(newer.run_id) from reconciliation_run r
                join reconciliation_run newer using (store_id, business_date) where r.run_id = :run_id
            """),
            {"run_id": run_id},
        ).scalar_one()
    )


def trip_rows(connection: Connection, *, store_id: str, business_date: date) -> Iterator[Row]:
    """Every trip of a store's day with its amounts, by the end of the trip; streamed."""
    result = connection.execute(
        text("""
            select t.shopping_trip_id, t.entry_method, p.trip_ended_at at time zone s.time_zone as ended_local,
                   t.outcome, coalesce(t.charge_state, p.state) as state,
                   p.list_total - p.tax_included_total as list_total, p.promotion_total, p.tax_total,
                   t.purchase_total, t.charge_captured, d.amount as debt, t.order_total, t.order_captured,
                   t.ledger_captured, t.note
            from reconciliation_trip t
            join store s using (store_id)
            left join purchase p on p.shopping_trip_id = t.shopping_trip_id and p.store_id = t.store_id
            left join debt d on d.shopping_trip_id = t.shopping_trip_id and d.store_id = t.store_id
            where t.store_id = :store_id and t.business_date = :day
            order by ended_local nulls last, t.shopping_trip_id
        """),
        {"store_id": store_id, "day": business_date},
        execution_options={"stream_results": True, "yield_per": 2_000},
    )
    for row in result.mappings():
        yield dict(row)


def _rows(connection: Connection, query: str, **parameters: Any) -> list[Row]:
    return [dict(row) for row in connection.execute(text(query), parameters).mappings()]
