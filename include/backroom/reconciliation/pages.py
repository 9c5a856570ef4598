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
    until: date | None = None  # the last day of a period; None: it is a day
    closed: bool = False  # it is a month as it was closed
    trial_balance: tuple[Row, ...] = ()  # of a period: each account before, moved in, after
    late_changes: tuple[Row, ...] = ()  # posted in the period for days of months that were closed
    by_day: tuple[Row, ...] = ()  # of a period: each day's headline figures

    @property
    def last_date(self) -> date:
        """The last day that it is about."""
        return self.until or self.business_date

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
        breaks=open_breaks(connection, run.store_id, run.business_date),
        waiting=waiting_trips(connection, run.store_id, run.business_date),
    )


def open_breaks(connection: Connection, store_id: str, day: date) -> list[Row]:
    """The day's breaks that are open."""
    return _rows(connection, BREAKS, store_id=store_id, day=day)


def waiting_trips(connection: Connection, store_id: str, day: date) -> list[Row]:
    """The day's trips that still wait for something that is not late."""
    return _rows(connection, WAITING, store_id=store_id, day=day)


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


_TRIPS = """
    select t.shopping_trip_id, t.entry_method, p.trip_ended_at at time zone s.time_zone as ended_local,
           t.outcome, coalesce(t.charge_state, p.state) as state,
           p.list_total - p.tax_included_total as list_total, p.promotion_total, p.tax_total,
           t.purchase_total, t.charge_captured, d.amount as debt, t.order_total, t.order_captured,
           t.ledger_captured, t.note
    from reconciliation_trip t
    join store s using (store_id)
    left join purchase p on p.shopping_trip_id = t.shopping_trip_id and p.store_id = t.store_id
    left join debt d on d.shopping_trip_id = t.shopping_trip_id and d.store_id = t.store_id
    where t.store_id = :store_id and t.business_date between :first and :last
"""
_LINES = """
    select l.shopping_trip_id, l.line_number, coalesce(l.item_sku, l.item_id) as item_sku, l.quantity, l.unit,
           l.list_price, l.promotion_amount, l.total - l.tax_amount as net, l.tax_amount, l.total,
           a.price as order_net, a.tax as order_tax
    from reconciliation_trip t
    join purchase_line l using (shopping_trip_id)
    left join (select o.shopping_trip_id, max(o.order_id) as order_id from amazon_order o
               where o.store_id = :store_id group by 1 having count(*) = 1) o using (shopping_trip_id)
    left join amazon_order_line a on a.store_id = t.store_id and a.order_id = o.order_id
          and a.line_number = l.line_number and not a.dropped
    where t.store_id = :store_id and t.business_date between :first and :last
"""


def trip_rows(connection: Connection, day: StoreDay, *, unsettled: bool = False) -> Iterator[Row]:
    """The trips with their amounts, by the end of the trip; streamed. `unsettled`: only those that do not match."""
    return _streamed(connection, day, _TRIPS, unsettled, "ended_local nulls last, t.shopping_trip_id")


def line_rows(connection: Connection, day: StoreDay, *, unsettled: bool = False) -> Iterator[Row]:
    """The trips' lines beside Amazon's, by trip; streamed. `unsettled`: only of trips that do not match."""
    return _streamed(connection, day, _LINES, unsettled, "l.shopping_trip_id, l.line_number")


def rest(connection: Connection, day: StoreDay, *, lines: bool) -> Row:
    """The sums over what `unsettled` leaves out: how many, and each amount."""
    query, names = (
        (_LINES, ("promotion_amount", "net", "tax_amount", "total", "order_net", "order_tax"))
        if lines
        else (
            _TRIPS,
            (
                "list_total", "promotion_total", "tax_total", "purchase_total", "charge_captured", "debt",
                "order_total", "order_captured", "ledger_captured",
            ),
        )
    )  # fmt: skip
    sums = ", ".join(f"coalesce(sum({name}), 0) as {name}" for name in names)
    row = connection.execute(
        text(f"select count(*) as rows, {sums} from ({query} and t.outcome = 'MATCHED') settled"),  # noqa: S608
        _of(day),
    ).mappings()
    return dict(row.one())


def _streamed(connection: Connection, day: StoreDay, query: str, unsettled: bool, order: str) -> Iterator[Row]:
    only = "and t.outcome <> 'MATCHED'" if unsettled else ""
    result = connection.execute(
        text(f"{query} {only} order by {order}"),
        _of(day),
        execution_options={"stream_results": True, "yield_per": 2_000},
    )
    for row in result.mappings():
        yield dict(row)


def _of(day: StoreDay) -> Row:
    return {"store_id": day.store_id, "first": day.business_date, "last": day.last_date}


def _rows(connection: Connection, query: str, **parameters: Any) -> list[Row]:
    return [dict(row) for row in connection.execute(text(query), parameters).mappings()]
