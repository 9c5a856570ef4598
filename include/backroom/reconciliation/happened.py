"""What happened on a day, or in any period, whatever day its trips are of: debts, refunds, write-offs, postings.

An event counts on the store's calendar day on which it happened; where that day's month was closed before it was
booked, on the day of its posting. So each event is in one month's report, and no later run of a day moves it. Debts are
told as they stood at the end of the last day, by what is owed now less what has happened since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.clock import business_day_bounds
from backroom.debts.aging import BUCKETS
from backroom.money import round_amount

Row = dict[str, Any]

# Postings about days of months that were closed before; and from when on what counts in the period can have happened.
_LATE: Final = """
    late as materialized (
        select t.source, t.business_date, t.happened_at from ledger_transaction t
        where t.store_id = :store_id and t.belongs_to is not null and t.business_date >= :first
    ), since as materialized (
        select least(cast(:begins as timestamptz), min(happened_at)) as at from late
    )
"""
# The amounts of each change of a debt, and of what is owed. What a refund takes off is told by the refund's own event.
_DEBT_MOVES: Final = f"""
    {_LATE}, debt_move as (
        select e.shopping_trip_id, case e.kind when 'DEBT_OPENED' then 'OPENED' else 'WITHDRAWN' end as kind, e.amount,
               case e.kind when 'DEBT_OPENED' then e.amount else -e.amount end as owed, e.happened_at,
               'charge_event' || chr(58) || e.event_id as source
        from charge_event e join charge c using (shopping_trip_id)
        where c.store_id = :store_id and e.kind in ('DEBT_OPENED', 'DEBT_WITHDRAWN')
          and e.happened_at >= (select at from since)
        union all
        select e.shopping_trip_id, e.kind, e.amount,
               case when e.kind in ('PAID', 'WRITTEN_OFF') then -e.amount
                    when e.kind in ('WRITE_OFF_UNDONE', 'PAYOFF_RETURNED') then e.amount else 0 end, e.happened_at,
               'debt_event' || chr(58) || e.event_id
        from debt_event e join debt d using (shopping_trip_id)
        where d.store_id = :store_id and e.kind <> 'REDUCED' and e.happened_at >= (select at from since)
        union all
        select e.shopping_trip_id, 'REDUCED', e.amount, -e.amount, e.happened_at,
               'refund_event' || chr(58) || e.event_id
        from refund_event e
        where e.store_id = :store_id and e.kind = 'DEBT_REDUCED' and e.happened_at >= (select at from since)
    ), debt_moved as (
        select m.*, coalesce(l.business_date, cast(m.happened_at at time zone :zone as date)) as counts_on
        from debt_move m left join late l using (source)
    )
"""  # noqa: S608 - constants of this file only
_DEBTS_MOVED: Final = text(f"""
    with {_DEBT_MOVES}
    select kind, count(*) as times, sum(amount) as amount, sum(owed) as owed
    from debt_moved where counts_on between :first and :last group by kind order by kind
""")  # noqa: S608 - constants of this file only
_BUCKET: Final = " ".join(f"when at_end.days >= {bucket.first} then '{bucket.name}'" for bucket in reversed(BUCKETS))
# Debts that were open at either end of the period; those that have been closed since still have news after it.
_DEBTS_STOOD: Final = text(f"""
    with {_DEBT_MOVES}, since_then as (
        select shopping_trip_id, sum(owed) filter (where counts_on > :last) as after,
               sum(owed) as since_before from debt_moved where counts_on >= :first group by 1
    ), at_end as (
        select d.cause, d.outstanding - coalesce(s.after, 0) as outstanding,
               d.outstanding - coalesce(s.since_before, 0) as before,
               :last - cast(d.opened_at at time zone :zone as date) as days
        from debt d left join since_then s using (shopping_trip_id)
        where d.store_id = :store_id and d.shopping_trip_id in (
            select shopping_trip_id from debt
            where store_id = :store_id and (closed_at is null or closed_at >= :begins)
            union select shopping_trip_id from since_then)
    )
    select case {_BUCKET} else '{BUCKETS[0].name}' end as bucket, cause,
           count(*) filter (where outstanding <> 0) as debts, coalesce(sum(outstanding), 0) as outstanding,
           count(*) filter (where before <> 0) as debts_before, coalesce(sum(before), 0) as before
    from at_end where outstanding <> 0 or before <> 0 group by 1, 2 order by 1, 2
""")  # noqa: S608 - constants of this file only
# A refund stands by its events so far: begun or final since it was last reversed. What changes that is what happened.
_REFUNDED: Final = text(f"""
    with {_LATE}, told as (
        select e.refund_id, e.event_id, e.kind, e.amount, e.happened_at,
               count(*) filter (where e.kind = 'REVERSED') over (partition by e.refund_id order by e.event_id) as round
        from refund_event e where e.refund_id in (
            select refund_id from refund_event
            where store_id = :store_id and happened_at >= (select at from since))
    ), stood as (
        select *, case when bool_or(kind in ('FINAL', 'DEBT_REDUCED')) over so_far then 'FINAL'
                       when bool_or(kind = 'INITIATED') over so_far then 'INITIATED' end as state
        from told window so_far as (partition by refund_id, round order by event_id)
    ), changed as (
        select *, lag(state) over (partition by refund_id order by event_id) as before from stood
    )
    select case when q.is_return then 'PAID_TWICE' else q.reason end as reason,
           split_part(r.instrument, chr(58), 1) as instrument, q.is_return,
           count(*) filter (where c.before is null and c.state is not null) as refunds,
           coalesce(sum(c.amount) filter (where c.before is null and c.state is not null), 0) as begun,
           coalesce(sum(c.amount) filter (where c.state = 'FINAL' and c.before is distinct from 'FINAL'), 0) as final,
           coalesce(sum(c.amount) filter (where c.before is not null and c.state is null), 0) as reversed
    from changed c join refund r using (refund_id) join refund_request q using (request_id)
    left join late l on l.source = 'refund_event' || chr(58) || c.event_id
    where c.before is distinct from c.state
      and coalesce(l.business_date, cast(c.happened_at at time zone :zone as date)) between :first and :last
    group by 1, 2, 3 order by 1, 2
""")  # noqa: S608 - constants of this file only
_BREAKS_GIVEN_UP: Final = text(f"""
    with {_LATE}
    select b.kind as of, case when e.given_up > 0 then 'WRITTEN_OFF' else 'WRITE_OFF_UNDONE' end as what,
           count(*) as times, sum(e.given_up) as amount
    from reconciliation_break_event e join reconciliation_break b using (break_id)
    left join late l on l.source = concat_ws(chr(58), 'break', e.break_id, e.event_id)
    where b.store_id = :store_id and e.given_up is not null and e.at >= (select at from since)
      and coalesce(l.business_date, cast(e.at at time zone :zone as date)) between :first and :last
    group by 1, 2 order by 1, 2
""")  # noqa: S608 - constants of this file only
# Of a tax account, what refunds gave back is told apart from what was sold.
BY_REFUNDS: Final = "t.kind in ('REFUND_INITIATED', 'REFUND_FINAL', 'REFUND_REVERSED', 'DEBT_REDUCED')"
_POSTED: Final = text(f"""
    select p.account, p.detail, coalesce(sum(p.amount) filter (where p.amount > 0), 0) as debit,
           -coalesce(sum(p.amount) filter (where p.amount < 0), 0) as credit, sum(p.amount) as balance,
           coalesce(sum(p.amount) filter (where {BY_REFUNDS}), 0) as by_refunds
    from ledger_transaction t join ledger_posting p using (transaction_id)
    where t.store_id = :store_id and t.business_date between :first and :last
    group by 1, 2 order by 1, 2
""")  # noqa: S608 - constants of this file only
# What the ledger holds for the debts that were open then: its whole account would be all of history, each day.
_OWED_BY_LEDGER: Final = text("""
    select coalesce(sum(p.amount), 0)
    from debt d
    join ledger_transaction t on t.shopping_trip_id = d.shopping_trip_id and t.store_id = d.store_id
    join ledger_posting p using (transaction_id)
    where d.store_id = :store_id and p.account = 'bad_debt_receivable' and t.business_date <= :last
      and d.shopping_trip_id in (
          select shopping_trip_id from debt where store_id = :store_id and (closed_at is null or closed_at >= :ends)
          union select shopping_trip_id from ledger_transaction
          where store_id = :store_id and belongs_to is not null and business_date > :last)
""")


TRANSACTIONS: Final = """
    select count(*) as transactions from ledger_transaction
    where store_id = :store_id and business_date = :business_date
"""
"""How many are of the day: the ledger is only added to, so that the same number is the same postings."""


@dataclass(frozen=True)
class Happened:
    """The report's tables of a day or a period by their section's key, and what the checks need. Amounts: exact text.

    `posted` is each account's movement, `owed_by_ledger` what its bad debt receivable holds at the end.
    """

    sections: dict[str, list[Row]]
    posted: list[Row]
    owed_by_ledger: str


def of_day(connection: Connection, *, store_id: str, business_date: date, zone: str, currency: str) -> Happened:
    """That day of the store; `zone` is the store's."""
    given = _given(store_id, business_date, business_date, zone)
    posted = _rows(connection.execute(_POSTED, _needed(_POSTED, given)).mappings(), currency)
    owed = connection.execute(_OWED_BY_LEDGER, _needed(_OWED_BY_LEDGER, given)).scalar_one()
    sections = _sections(connection, given, currency)
    shown = [{name: row[name] for name in ("account", "detail", "debit", "credit")} for row in posted]
    return Happened({**sections, "posted": shown}, posted, _shown(owed, currency))


def of_period(
    connection: Connection,
    *,
    store_id: str,
    first: date,
    last: date,
    zone: str,
    currency: str,
    trial_balance: Sequence[Row],
) -> Happened:
    """These days of the store, both included; what was posted is in the period's trial balance already."""
    posted = [{**row, "balance": str(Decimal(row["debit"]) - Decimal(row["credit"]))} for row in trial_balance]
    owed = sum((Decimal(row["after"]) for row in trial_balance if row["account"] == "bad_debt_receivable"), Decimal(0))
    sections = _sections(connection, _given(store_id, first, last, zone), currency)
    return Happened({**sections, "posted": []}, posted, _shown(owed, currency))


def _sections(connection: Connection, given: Row, currency: str) -> dict[str, list[Row]]:
    moved, stood, refunded, breaks = (
        _rows(connection.execute(query, _needed(query, given)).mappings(), currency)
        for query in (_DEBTS_MOVED, _DEBTS_STOOD, _REFUNDED, _BREAKS_GIVEN_UP)
    )
    before = {
        "kind": "BROUGHT_FORWARD",
        "times": sum(row["debts_before"] for row in stood),
        "change": _shown(sum((Decimal(row["before"]) for row in stood), Decimal(0)), currency),
    }
    return {
        "debts_open": [
            {name: row[name] for name in ("bucket", "cause", "debts", "outstanding")} for row in stood if row["debts"]
        ],
        "debts_moved": [
            *([before] if before["times"] else []),
            *(
                {"kind": row["kind"], "times": row["times"], "change": row["owed"]}
                for row in moved
                if row["kind"] != "RECOVERED"
            ),
        ],
        "payoffs": [
            {"kind": row["kind"], "times": row["times"], "amount": row["amount"]}
            for row in moved
            if row["kind"] in ("PAID", "RECOVERED", "PAYOFF_RETURNED")
        ],
        "refunds_made": refunded,
        "write_offs": [*_debts_given_up(moved), *breaks],
    }


def _debts_given_up(moved: Iterable[Row]) -> list[Row]:
    """An expense is positive; what undoes it, or came after all, negative."""
    return [
        {
            "of": "DEBT",
            "what": row["kind"],
            "times": row["times"],
            "amount": row["amount"] if row["kind"] == "WRITTEN_OFF" else _negative(row["amount"]),
        }
        for row in moved
        if row["kind"] in ("WRITTEN_OFF", "WRITE_OFF_UNDONE", "RECOVERED")
    ]


def _negative(amount: str) -> str:
    return str(-Decimal(amount)) if Decimal(amount) else amount


def _given(store_id: str, first: date, last: date, zone: str) -> Row:
    begins, ends = _bounds(first, last, zone)
    return {"store_id": store_id, "first": first, "last": last, "begins": begins, "ends": ends, "zone": zone}


def _bounds(first: date, last: date, zone: str) -> tuple[datetime, datetime]:
    return business_day_bounds(first, zone)[0], business_day_bounds(last, zone)[1]


def _needed(query: Any, given: Row) -> Row:
    return {name: value for name, value in given.items() if f":{name}" in query.text}


def _rows(rows: Iterable[Any], currency: str) -> list[Row]:
    return [
        {name: _shown(value, currency) if isinstance(value, Decimal) else value for name, value in row.items()}
        for row in rows
    ]


def _shown(amount: Decimal, currency: str) -> str:
    return str(round_amount(amount, currency))
