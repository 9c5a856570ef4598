"""Reports of closed months leave the house as those of days: each store's, and the company's once all are closed.

Closing a month needs no AWS. What is closed and was not delivered since is found by its deliveries, so that a delivery
that fails is made up for by the next run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, text

from backroom.reconciliation import delivery, on_demand
from backroom.reconciliation.delivery import Clients, Delivered
from backroom.reconciliation.periods import last_of_month

# An e-mail whose outcome is unknown is not sent again: once an alert says so, there is nothing left to do about it.
_DUE: Final = text("""
    with closed as (
        select store_id, month, closed_at from closed_month
        union all
        select null, c.month, max(c.closed_at)
        from closed_month c join store s using (store_id)
        where not s.test and not exists (
            select from reconciliation_run r join store open using (store_id)
            where not open.test and r.business_date >= c.month and r.business_date < c.month + interval '1 month'
              and not exists (select from closed_month other
                              where other.store_id = r.store_id and other.month = c.month))
        group by c.month
    ),
    named as (
        select *, to_char(month, 'YYYY-MM-DD_') || to_char(month + interval '1 month - 1 day', 'YYYY-MM-DD/')
                  || coalesce(store_id, :company) as report
        from closed
    )
    select store_id, month, closed_at from named
    where not exists (
        select from report_delivery d
        where d.report = named.report and d.intended_at >= named.closed_at
          and (d.stored_at is not null or not :to_store)
          and (d.announced_at is not null or not :to_announce
               or (d.announcing_at is not null
                   and exists (select from alert where deduplication_key = 'report-announcement ' || d.report))))
    order by month, store_id nulls last
""")


@dataclass(frozen=True)
class Due:
    """A closed month whose report was not delivered since; `store_id` None: the company's."""

    store_id: str | None
    month: date
    closed_at: datetime


def due(connection: Connection) -> list[Due]:
    """The closed months still to be delivered, the oldest first; none where nothing is to be stored or announced."""
    to_store, to_announce = delivery.wanted_by_settings()
    if not to_store and not to_announce:
        return []
    rows = connection.execute(_DUE, {"company": on_demand.COMPANY, "to_store": to_store, "to_announce": to_announce})
    return [Due(**row._asdict()) for row in rows]


def deliver(engine: Engine, aws: Clients, closed: Due, *, folder: Path, now: datetime) -> Delivered | None:
    """Writes the report of that month into `folder`, stores and announces it; `now` in UTC. As delivery.deliver."""
    with engine.begin() as connection:
        written = on_demand.write(
            connection, store_id=closed.store_id, first=closed.month, last=last_of_month(closed.month), folder=folder
        )
    # a run may bear an earlier time than the close that it found
    return delivery.deliver(engine, aws, page=written.html, now=max(now, closed.closed_at))
