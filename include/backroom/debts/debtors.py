"""Debtors: who owes, how much in all, and how late they are, which is how old their oldest open debt is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.debts.aging import BUCKETS

# a bucket's place in BUCKETS makes the oldest one the greatest
_DEBTORS: Final = text(
    """
    select case when shopper_id is not null then 'shopper ' || shopper_id
                when shopper_identity is not null then 'card ' || shopper_identity
                else 'nobody we know' end as owed_by,
           currency, count(*) as debts, sum(outstanding) as outstanding, min(opened_at) as oldest_at,
           max(age_days) as age_days, (cast(:buckets as text[]))[max(array_position(cast(:buckets as text[]), bucket))]
               as bucket
    from debt
    where state = 'OPEN' and (cast(:store_id as text) is null or store_id = :store_id)
    group by 1, 2
    having cast(:bucket as text) is null
        or max(array_position(cast(:buckets as text[]), bucket)) = array_position(cast(:buckets as text[]), :bucket)
    order by min(opened_at), 1, 2
    """
)


def debtors(connection: Connection, *, store_id: str | None = None, bucket: str | None = None) -> Sequence[RowMapping]:
    """Shoppers and cards with an open debt, one row for each currency they owe in, the latest first.

    `age_days` and `bucket` are those of the oldest open debt, as the last aging found them; None: it has not been aged.
    """
    values = {"store_id": store_id, "bucket": bucket, "buckets": [one.name for one in BUCKETS]}
    return connection.execute(_DEBTORS, values).mappings().all()
