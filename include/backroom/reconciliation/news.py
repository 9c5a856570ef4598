"""Days whose figures are no longer those of the books: something was booked about their trips since they were judged.

The ledger is only added to, and every movement of money is booked in it; so a day whose postings are those that its
newest run froze has had no money moved since. A trip that came after the run is news too, and so is a break that a
person decided. What the catalog or the age of a debt does to a report is not: it moves no money.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.money import round_amount

_FROZEN: Final = text("""
    select distinct on (business_date) business_date, figures -> 'ledger' as ledger,
           figures #>> '{store,currency}' as currency
    from reconciliation_run
    where store_id = :store_id and business_date between :first and :last
    order by business_date, revision desc
""")
_NOW: Final = text("""
    select r.business_date, p.account, p.detail, coalesce(sum(p.amount) filter (where p.amount > 0), 0) as debit,
           -coalesce(sum(p.amount) filter (where p.amount < 0), 0) as credit
    from reconciliation_trip r
    join ledger_transaction t on t.store_id = r.store_id and t.shopping_trip_id = r.shopping_trip_id
    join ledger_posting p using (transaction_id)
    where r.store_id = :store_id and r.business_date between :first and :last
    group by 1, 2, 3
""")
# A run that did not count them is left alone.
_POSTED_SINCE: Final = text("""
    select r.business_date from (
        select distinct on (business_date) business_date,
               cast(figures #>> '{posted,transactions}' as bigint) as transactions
        from reconciliation_run
        where store_id = :store_id and business_date between :first and :last
        order by business_date, revision desc) r
    left join (
        select business_date, count(*) as transactions from ledger_transaction
        where store_id = :store_id and business_date between :first and :last group by 1) n using (business_date)
    where r.transactions <> coalesce(n.transactions, 0)
    order by 1
""")
_NOT_JUDGED: Final = text("""
    select distinct p.business_date from purchase p
    where p.store_id = :store_id and p.business_date between :first and :last and not exists (
        select from reconciliation_trip r
        where r.store_id = p.store_id and r.business_date = p.business_date
          and r.shopping_trip_id = p.shopping_trip_id)
""")


# As a run counts them; a decision is no booking, and how its trip stands is said by the run after it.
_DECIDED_SINCE: Final = text("""
    select r.business_date from (
        select distinct on (business_date) business_date, breaks_open from reconciliation_run
        where store_id = :store_id and business_date between :first and :last
        order by business_date, revision desc) r
    left join (
        select business_date, count(*) as breaks from reconciliation_break
        where store_id = :store_id and business_date between :first and :last and closed_at is null group by 1) b
        using (business_date)
    where r.breaks_open <> coalesce(b.breaks, 0)
    order by 1
""")


def decided_days(connection: Connection, *, store_id: str, first: date, last: date) -> list[date]:
    """The store's reconciled days of whose breaks a person has decided one since: their run still counts it as open."""
    given = {"store_id": store_id, "first": first, "last": last}
    return list(connection.execute(_DECIDED_SINCE, given).scalars())


def posted_days(connection: Connection, *, store_id: str, first: date, last: date) -> list[date]:
    """The store's reconciled days of whose date something was posted since, whatever trip it is about.

    Their reports tell what was posted on them. A month's report reads that anew, and is closed all the same.
    """
    given = {"store_id": store_id, "first": first, "last": last}
    return list(connection.execute(_POSTED_SINCE, given).scalars())


def days(connection: Connection, *, store_id: str, first: date, last: date) -> list[date]:
    """The store's reconciled days, `first` and `last` included, to be reconciled again before anyone relies on them."""
    given = {"store_id": store_id, "first": first, "last": last}
    runs = {run.business_date: run for run in connection.execute(_FROZEN, given)}
    now: dict[date, list[Any]] = defaultdict(list)
    for row in connection.execute(_NOW, given):
        now[row.business_date].append(row)
    otherwise = set(connection.execute(_NOT_JUDGED, given).scalars())
    otherwise.update(decided_days(connection, store_id=store_id, first=first, last=last))
    return sorted(
        day
        for day, run in runs.items()
        if day in otherwise
        or {(row["account"], row["detail"], row["debit"], row["credit"]) for row in run.ledger or ()}
        != {
            (
                row.account,
                row.detail,
                str(round_amount(row.debit, run.currency)),
                str(round_amount(row.credit, run.currency)),
            )
            for row in now[day]
        }
    )
