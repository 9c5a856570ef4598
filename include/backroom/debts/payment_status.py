"""What Amazon is to be told of each trip's payment, where Amazon keeps the balance: derived from what is true now.

A report is due when what Amazon has last accepted differs from what is true. So a change that is undone before it was
told is never told, and none is lost. What is owed is total - settled. What was refunded leaves both figures, so that a
refund never looks like a debt; what was forgiven likewise. What was written off and not forgiven is still owed. A trip
is told of only when all of its total is either taken for good or a debt: nothing is reported settled that is not.

Looked at are the trips in `payment_status_news`. Triggers put a trip in with each change of what its figures are made
of, in the transaction of the change; it is taken out once nothing is under way and nothing is to be told.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

KEPT_BY_AMAZON: Final = "('AMAZON_MANAGED', 'AMAZON_RECOMMENDATION')"
"""Strategies of stores where Amazon keeps the balance. Source: inbound.md, the table of strategies."""

# `back`: what shoppers got back of what they had paid. Money that nothing was owed for is none of it.
# Of one trip, by its keys (`limit` keeps it so): whatever the planner believes of tables that fill and empty.
_FIGURES: Final = f"""
    select store_id, currency, greatest(total, owed) as total, greatest(total, owed) - owed as settled
    from (
        select c.store_id, c.currency,
               greatest(c.total - coalesce(d.reduced, 0)
                        - case when d.forgiven_at is null then 0 else d.written_off end
                        - coalesce(given.back, 0), 0) as total,
               coalesce(d.outstanding, 0)
                   + case when d.forgiven_at is null then coalesce(d.written_off, 0) else 0 end as owed
        from charge c join store s using (store_id)
        left join debt d using (shopping_trip_id)
        cross join lateral (
            select sum(r.amount) as back from refund r join refund_request q using (request_id)
            where r.shopping_trip_id = c.shopping_trip_id
              and r.instrument <> 'DEBT' and r.state in ('INITIATED', 'FINAL') and not q.is_return
        ) given
        where c.shopping_trip_id = looked_at.shopping_trip_id
          and s.risk_strategy in {KEPT_BY_AMAZON} and c.total > 0 and c.capture_initiated = 0
          and c.captured + coalesce(d.amount, 0) >= c.total
        limit 1
    ) trip
"""  # noqa: S608 - a constant of this file
# A report whose outcome is unknown goes first: one report per trip is on its way.
_SUPERSEDE: Final = text(
    f"""
    update payment_status_report looked_at
    set state = 'SUPERSEDED', finished_at = :now, next_attempt_at = null, lease_until = null
    where state = 'DUE'
      and not exists (
          select from ({_FIGURES}) f
          where f.currency = looked_at.currency and f.total = looked_at.total and f.settled = looked_at.settled)
      and (lease_until is null or lease_until < clock_timestamp())
      and not exists (
          select from payment_status_attempt a
          where a.report_id = looked_at.report_id and a.number = looked_at.attempts
            and coalesce(a.outcome, 'UNKNOWN') = 'UNKNOWN')
    """  # noqa: S608 - constants of this file only
)
# `paymentStatusTime` is in whole seconds: of two reports of a trip the later one is later by one at least. One that is
# due is seen by the same snapshot as those that are accepted: it may be accepted at this moment. And news is taken out
# by the snapshot that the figures are read by: what is changed meanwhile has news of its own.
_DUE: Final = text(
    f"""
    with looked_at as (
        select shopping_trip_id, array_agg(news_id) as news from payment_status_news group by 1
    ), standing as materialized (
        select looked_at.*, f.store_id, f.currency, f.total, f.settled, reports.latest,
               coalesce(reports.under_way, false) as under_way,
               f.store_id is not null
               and (f.total, f.settled, f.currency) is distinct from (last.total, last.settled, last.currency)
               as untold
        from looked_at
        left join lateral ({_FIGURES}) f on true
        cross join lateral (
            select max(status_time) as latest, bool_or(state = 'DUE') as under_way
            from payment_status_report r where r.shopping_trip_id = looked_at.shopping_trip_id
        ) reports
        left join lateral (
            select total, settled, currency from payment_status_report r
            where r.shopping_trip_id = looked_at.shopping_trip_id and state in ('ACCEPTED', 'PARKED')
            order by report_id desc limit 1
        ) last on true
    ), made as (
        insert into payment_status_report (shopping_trip_id, store_id, currency, total, settled, status_time,
                                           next_attempt_at, created_at)
        select shopping_trip_id, store_id, currency, total, settled,
               greatest(:now, latest + interval '1 second'), :now, :now
        from standing where untold and not under_way
        on conflict (shopping_trip_id) where state = 'DUE' do nothing
        returning report_id
    ), known as (
        delete from payment_status_news
        where news_id in (select unnest(news) from standing where not untold and not under_way)
    )
    select count(*) from made
    """  # noqa: S608 - constants of this file only
)
_LOCK: Final = text("select pg_advisory_xact_lock(hashtextextended('payment_status', 0))")


def find_due(connection: Connection, *, now: datetime) -> int:
    """Makes a report due for each trip of which Amazon does not know the truth; returns how many were made.

    `now` is business time, and the time of what is reported. Running it again makes none.
    """
    connection.execute(_LOCK)
    connection.execute(_SUPERSEDE, {"now": now})
    return int(connection.execute(_DUE, {"now": now}).scalar_one())
