"""What Amazon is to be told of each trip's payment, where Amazon keeps the balance: derived from what is true now.

A report is due when what Amazon has last accepted differs from what is true. So a change that is undone before it was
told is never told, and none is lost. What is owed is total - settled. What was refunded leaves both figures, so that a
refund never looks like a debt; what was forgiven likewise. What was written off and not forgiven is still owed. A trip
is told of only when all of its total is either taken for good or a debt: nothing is reported settled that is not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

KEPT_BY_AMAZON: Final = "('AMAZON_MANAGED', 'AMAZON_RECOMMENDATION')"
"""Strategies of stores where Amazon keeps the balance. Source: inbound.md, the table of strategies."""

# `back`: what shoppers got back of what they had paid. Money that nothing was owed for is none of it.
_FIGURES: Final = f"""
    trip as (
        select c.shopping_trip_id, c.store_id, c.currency,
               greatest(c.total - coalesce(d.reduced, 0)
                        - case when d.forgiven_at is null then 0 else d.written_off end
                        - coalesce(given.back, 0), 0) as total,
               coalesce(d.outstanding, 0)
                   + case when d.forgiven_at is null then coalesce(d.written_off, 0) else 0 end as owed
        from charge c join store s using (store_id)
        left join debt d using (shopping_trip_id)
        left join (
            select r.shopping_trip_id, sum(r.amount) as back from refund r join refund_request q using (request_id)
            where r.instrument <> 'DEBT' and r.state in ('INITIATED', 'FINAL') and not q.is_return group by 1
        ) given using (shopping_trip_id)
        where s.risk_strategy in {KEPT_BY_AMAZON} and c.total > 0 and c.capture_initiated = 0
          and c.captured + coalesce(d.amount, 0) >= c.total
    ), figure as (
        select shopping_trip_id, store_id, currency, greatest(total, owed) as total,
               greatest(total, owed) - owed as settled
        from trip
    )
"""  # noqa: S608 - a constant of this file
# A report whose outcome is unknown goes first: one report per trip is on its way.
_SUPERSEDE: Final = text(
    f"""
    with {_FIGURES}
    update payment_status_report r
    set state = 'SUPERSEDED', finished_at = :now, next_attempt_at = null, lease_until = null
    where r.state = 'DUE'
      and not exists (
          select from figure f
          where f.shopping_trip_id = r.shopping_trip_id and f.currency = r.currency
            and f.total = r.total and f.settled = r.settled)
      and (r.lease_until is null or r.lease_until < clock_timestamp())
      and not exists (
          select from payment_status_attempt a
          where a.report_id = r.report_id and a.number = r.attempts and coalesce(a.outcome, 'UNKNOWN') = 'UNKNOWN')
    """  # noqa: S608 - constants of this file only
)
# `paymentStatusTime` is in whole seconds: of two reports of a trip the later one is later by one at least. One that is
# due is seen by the same snapshot as those that are accepted: it may be accepted at this moment.
_DUE: Final = text(
    f"""
    with {_FIGURES}, last as (
        select distinct on (shopping_trip_id) shopping_trip_id, total, settled, currency, status_time
        from payment_status_report where state in ('ACCEPTED', 'PARKED')
        order by shopping_trip_id, report_id desc
    ), latest as (
        select shopping_trip_id, max(status_time) as at from payment_status_report group by 1
    )
    insert into payment_status_report (shopping_trip_id, store_id, currency, total, settled, status_time,
                                       next_attempt_at, created_at)
    select f.shopping_trip_id, f.store_id, f.currency, f.total, f.settled,
           greatest(:now, latest.at + interval '1 second'), :now, :now
    from figure f left join last using (shopping_trip_id) left join latest using (shopping_trip_id)
    where (last.shopping_trip_id is null
           or (last.total, last.settled, last.currency) is distinct from (f.total, f.settled, f.currency))
      and not exists (select from payment_status_report r
                      where r.shopping_trip_id = f.shopping_trip_id and r.state = 'DUE')
    on conflict (shopping_trip_id) where state = 'DUE' do nothing
    """  # noqa: S608 - constants of this file only
)
_LOCK: Final = text("select pg_advisory_xact_lock(hashtextextended('payment_status', 0))")


def find_due(connection: Connection, *, now: datetime) -> int:
    """Makes a report due for each trip of which Amazon does not know the truth; returns how many were made.

    `now` is business time, and the time of what is reported. Running it again makes none.
    """
    connection.execute(_LOCK)
    connection.execute(_SUPERSEDE, {"now": now})
    return connection.execute(_DUE, {"now": now}).rowcount
