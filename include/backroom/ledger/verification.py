"""Whether the ledger is in balance, and says what the charges and debts say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.ledger.accounts import Account

_BALANCES: Final = text(
    """
    select t.store_id, p.account, p.detail, p.currency, sum(p.amount) as amount
    from ledger_posting p join ledger_transaction t using (transaction_id)
    where cast(:store_id as text) is null or t.store_id = :store_id
    group by 1, 2, 3, 4 order by 1, 2, 3, 4
    """
)
_UNBALANCED: Final = text(
    """
    select transaction_id, currency, sum(amount) as amount from ledger_posting
    group by 1, 2 having sum(amount) <> 0 order by 1
    """
)
# Each trip's accounts by the ledger, against the fold of its events. Charges with news to book are left out.
_DIFFERENT: Final = text(
    f"""
    with booked as (
        select t.shopping_trip_id, p.account, sum(p.amount) as amount
        from ledger_transaction t join ledger_posting p using (transaction_id)
        where t.shopping_trip_id is not null
        group by 1, 2
    ), owed as (
        select shopping_trip_id, sum(case kind when 'DEBT_OPENED' then amount else -amount end) as amount
        from charge_event where kind in ('DEBT_OPENED', 'DEBT_WITHDRAWN') group by 1
    ), charges as (
        select c.shopping_trip_id, c.store_id, c.capture_initiated, c.captured, coalesce(o.amount, 0) as owed,
               case when p.state = 'SETTLED_OTHERWISE' then 0 else coalesce(p.total, 0) end as sold,
               case when p.state = 'SETTLED_OTHERWISE' then p.total else 0 end as settled_otherwise
        from charge c join store s using (store_id) left join owed o using (shopping_trip_id)
        left join purchase p using (shopping_trip_id)
        where not c.to_book and not s.test
    ), expected as (
        select shopping_trip_id, store_id, e.account, e.amount
        from charges, lateral (values
            ('{Account.CARD_CLEARING_INITIATED}', capture_initiated), ('{Account.CARD_CLEARING}', captured),
            ('{Account.BAD_DEBT_RECEIVABLE}', owed), ('{Account.SETTLED_OTHERWISE}', settled_otherwise),
            ('{Account.SHOPPER_RECEIVABLE}', sold - capture_initiated - captured - owed)
        ) as e (account, amount)
    )
    select e.shopping_trip_id, e.store_id, e.account, e.amount as expected, coalesce(b.amount, 0) as booked
    from expected e left join booked b using (shopping_trip_id, account)
    where e.amount <> coalesce(b.amount, 0)
    order by e.shopping_trip_id, e.account
    """  # noqa: S608 - constants of this file only
)
_DEBTS: Final = text(
    """
    select coalesce(d.shopping_trip_id, o.shopping_trip_id) as shopping_trip_id,
           coalesce(d.amount, 0) as debt, coalesce(o.amount, 0) as told
    from debt d full join (
        select shopping_trip_id, sum(case kind when 'DEBT_OPENED' then amount else -amount end) as amount
        from charge_event where kind in ('DEBT_OPENED', 'DEBT_WITHDRAWN') group by 1
        having sum(case kind when 'DEBT_OPENED' then amount else -amount end) <> 0
    ) o using (shopping_trip_id)
    where coalesce(d.amount, 0) <> coalesce(o.amount, 0) order by 1
    """
)


@dataclass(frozen=True)
class Discrepancy:
    """One thing that is not as it must be; amounts in the trip's currency."""

    subject: str
    what: str
    expected: Decimal
    found: Decimal


def verify(connection: Connection) -> list[Discrepancy]:
    """Everything that is wrong; empty when the books are right."""
    found = [
        Discrepancy(f"transaction {row.transaction_id}", f"sum of its {row.currency} postings", Decimal(0), row.amount)
        for row in connection.execute(_UNBALANCED)
    ]
    found += [
        Discrepancy(f"trip {row.shopping_trip_id} ({row.store_id})", row.account, row.expected, row.booked)
        for row in connection.execute(_DIFFERENT)
    ]
    found += [
        Discrepancy(f"trip {row.shopping_trip_id}", "debt, against the charge's events", row.told, row.debt)
        for row in connection.execute(_DEBTS)
    ]
    return found


def balances(connection: Connection, *, store_id: str | None = None) -> Sequence[RowMapping]:
    """Balances by store, account and sub-account: debits positive, credits negative."""
    return connection.execute(_BALANCES, {"store_id": store_id}).mappings().all()
