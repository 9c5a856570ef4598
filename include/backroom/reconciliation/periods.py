"""Any span of days of a store, as a report: the figures of its days added up, and the ledger by the day of posting."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.errors import BackroomError
from backroom.money import round_amount
from backroom.reconciliation import happened, ledger_checks, merging, pages
from backroom.reconciliation.pages import StoreDay

Row = dict[str, Any]

# of a break, as its report shows it
_TYPED: Final[dict[str, Callable[[str], Any]]] = {"difference": Decimal, "opened_at": datetime.fromisoformat}
_RUNS: Final = text("""
    select distinct on (business_date) run_id, business_date, as_of, complete, trips, matched, expected, breaks_open,
           figures
    from reconciliation_run
    where store_id = :store_id and business_date between :first and :last
    order by business_date, revision desc
""")
_TRIAL_BALANCE: Final = text(f"""
    select p.account, p.detail, coalesce(sum(p.amount) filter (where t.business_date < :first), 0) as before,
           coalesce(sum(p.amount) filter (where t.business_date >= :first and p.amount > 0), 0) as debit,
           -coalesce(sum(p.amount) filter (where t.business_date >= :first and p.amount < 0), 0) as credit,
           sum(p.amount) as after,
           coalesce(sum(p.amount) filter (where t.business_date >= :first and {happened.BY_REFUNDS}), 0) as by_refunds
    from ledger_transaction t join ledger_posting p using (transaction_id)
    where t.store_id = :store_id and t.business_date <= :last
    group by 1, 2 order by 1, 2
""")  # noqa: S608 - constants of the code
# What was posted in the period about days of months that were closed already, by the reference of what it books.
_LATE_CHANGES: Final = text("""
    select t.belongs_to, t.shopping_trip_id, t.kind, t.source as reference, p.account, p.amount
    from ledger_transaction t join ledger_posting p using (transaction_id)
    where t.store_id = :store_id and t.business_date between :first and :last and t.belongs_to is not null
    order by t.belongs_to, t.transaction_id, p.posting_number
""")
_TRADING: Final = text("""
    select s.store_id from store s
    where not s.test and (
        exists (select from reconciliation_run r where r.store_id = s.store_id
                and r.business_date between :first and :last)
        or exists (select from purchase p where p.store_id = s.store_id and p.business_date between :first and :last)
        or exists (select from amazon_order o where o.store_id = s.store_id
                   and o.business_date between :first and :last))
    order by 1
""")
_STORES: Final = text("""
    select distinct r.store_id from reconciliation_run r join store s using (store_id)
    where r.business_date between :first and :last and not s.test order by 1
""")


def stores(connection: Connection, *, first: date, last: date) -> list[str]:
    """The stores, but for test stores, that were reconciled for any of these days."""
    return list(connection.execute(_STORES, {"first": first, "last": last}).scalars())


def trading_stores(connection: Connection, *, first: date, last: date) -> list[str]:
    """The stores, but for test stores, that were reconciled or had purchases or orders in these days."""
    return list(connection.execute(_TRADING, {"first": first, "last": last}).scalars())


def of_store(connection: Connection, *, store_id: str, first: date, last: date) -> StoreDay:
    """These days of a store, `first` and `last` included. Raises BackroomError where none of them was reconciled.

    Days without a run are left out: `missing_days` names them.
    """
    if last < first:
        raise BackroomError(f"the period ends on {last}, before it begins on {first}")
    given = {"store_id": store_id, "first": first, "last": last}
    runs = connection.execute(_RUNS, given).all()
    if not runs:
        raise BackroomError(f"no day of {store_id} from {first} to {last} was reconciled; `backroom reconcile day`")
    figures = merging.merged([run.figures for run in runs])
    currency = str(figures["store"]["currency"])
    trial_balance = _rows(connection, _TRIAL_BALANCE, given, currency)
    in_it = happened.of_period(
        connection, store_id=store_id, first=first, last=last, zone=str(figures["store"]["time_zone"]),
        currency=currency, trial_balance=trial_balance,
    )  # fmt: skip
    figures["sections"] |= in_it.sections
    if not figures["store"]["test"]:
        figures["checks"] += ledger_checks.of_what_happened(in_it, currency)
    return StoreDay(
        run_id=runs[-1].run_id,
        store_id=store_id,
        business_date=first,
        as_of=max(run.as_of for run in runs),
        complete=all(run.complete for run in runs),
        trips=sum(run.trips for run in runs),
        matched=sum(run.matched for run in runs),
        expected=sum(run.expected for run in runs),
        breaks_open=sum(run.breaks_open for run in runs),
        figures=figures,
        breaks=[row for run in runs for row in pages.open_breaks(connection, store_id, run.business_date)],
        waiting=[row for run in runs for row in pages.waiting_trips(connection, store_id, run.business_date)],
        until=last,
        trial_balance=trial_balance,
        late_changes=_rows(connection, _LATE_CHANGES, given, currency),
        by_day=tuple(_headline(run.business_date, run.figures) for run in runs),
    )


def last_of_month(day: date) -> date:
    """The last day of that day's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])


def missing_days(connection: Connection, *, store_id: str, first: date, last: date) -> list[date]:
    """The store's days with trips, or with orders of Amazon's, that nobody has reconciled."""
    found = connection.execute(
        text("""
            select business_date from (
                select business_date from purchase
                where store_id = :store_id and business_date between :first and :last
                union
                select business_date from amazon_order
                where store_id = :store_id and business_date between :first and :last
            ) day
            where business_date not in (select business_date from reconciliation_run where store_id = :store_id)
            order by 1
        """),
        {"store_id": store_id, "first": first, "last": last},
    )
    return list(found.scalars())


def as_kept(day: StoreDay) -> Row:
    """What is kept of a period when its month closes, as JSON."""
    return {
        "as_of": day.as_of.isoformat(),
        **{name: getattr(day, name) for name in ("complete", "trips", "matched", "expected", "breaks_open", "figures")},
        "breaks": [{**row, **{name: str(row[name]) for name in _TYPED if row[name] is not None}} for row in day.breaks],
        "trial_balance": list(day.trial_balance),
        "late_changes": [{**row, "belongs_to": row["belongs_to"].isoformat()} for row in day.late_changes],
        "by_day": [{**row, "day": row["day"].isoformat()} for row in day.by_day],
    }


def from_kept(connection: Connection, kept: Row, *, store_id: str, first: date, last: date) -> StoreDay:
    """The period as it was kept. A month whose breaks were not kept lists those of its days that are open now."""
    return StoreDay(
        run_id=0,
        store_id=store_id,
        business_date=first,
        as_of=datetime.fromisoformat(kept["as_of"]),
        **{name: kept[name] for name in ("complete", "trips", "matched", "expected", "breaks_open", "figures")},
        breaks=_kept_breaks(connection, kept, store_id),
        waiting=[],
        until=last,
        closed=True,
        trial_balance=tuple(kept["trial_balance"]),
        late_changes=tuple(
            {**row, "belongs_to": date.fromisoformat(row["belongs_to"])} for row in kept["late_changes"]
        ),
        by_day=tuple({**row, "day": date.fromisoformat(row["day"])} for row in kept["by_day"]),
    )


def _kept_breaks(connection: Connection, kept: Row, store_id: str) -> list[Row]:
    if "breaks" in kept:
        return [
            {**row, **{name: typed(row[name]) for name, typed in _TYPED.items() if row[name] is not None}}
            for row in kept["breaks"]
        ]
    days = [date.fromisoformat(row["day"]) for row in kept["by_day"]]
    return [row for day in days for row in pages.open_breaks(connection, store_id, day)]


def _rows(connection: Connection, query: Any, given: Row, currency: str) -> tuple[Row, ...]:
    return tuple(
        {
            name: str(round_amount(value, currency)) if isinstance(value, Decimal) else value
            for name, value in row.items()
        }
        for row in connection.execute(query, given).mappings()
    )


def _headline(day: date, figures: Row) -> Row:
    money = figures["settlement"]
    rest = sum((Decimal(money[name]) for name in ("parked", "waiting", "unexplained")), Decimal(0))
    captured = Decimal(money["captured"]) + Decimal(money["initiated"])
    return {"day": day, "captured": str(captured), "debt": money["debt"], "rest": str(rest)}
