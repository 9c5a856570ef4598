"""Repeat offenders: who has left so many trips unpaid that the gate's answer to their card is held down.

The same rule as the gate's (`BACKROOM_AUTHORIZATION_REPEAT_OFFENDER_DEBTS`): debts count whether paid or not; one that
was withdrawn never was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, text

_OFFENDERS: Final = text(
    """
    with owned as (
        select coalesce('shopper ' || shopper_id, 'card ' || shopper_identity) as owed_by, currency, amount,
               outstanding, written_off, state, opened_at
        from debt where amount > 0 and coalesce(shopper_id, shopper_identity) is not null
    ), offender as (
        select owed_by, count(*) as debts, count(*) filter (where state = 'OPEN') as open,
               min(opened_at) as first_at, max(opened_at) as last_at
        from owned group by owed_by having count(*) >= :at_least
    ), sums as (
        select owed_by, currency, sum(amount) as left_unpaid, sum(outstanding) as outstanding,
               sum(written_off) as written_off
        from owned group by owed_by, currency
    )
    select o.owed_by, o.debts, o.open, s.left_unpaid, s.outstanding, s.written_off, s.currency, o.first_at, o.last_at
    from offender o join sums s using (owed_by)
    order by o.debts desc, o.owed_by, s.currency
    """
)


def offenders(connection: Connection, *, at_least: int) -> Sequence[RowMapping]:
    """Shoppers and cards with at least so many debts, the worst first; one row per currency they owe in.

    `left_unpaid` is what their debts were in all, `outstanding` and `written_off` what is still owed of it.
    """
    return connection.execute(_OFFENDERS, {"at_least": at_least}).mappings().all()
