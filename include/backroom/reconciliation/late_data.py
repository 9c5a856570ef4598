"""Old days that something new is known about: rows of trips with open breaks, written since their day was looked at.

So are trips with a refund by their card that has not come to an end: when it is late, its case is what is new.
A write-off that stands in the books is watched like an open break: what comes after all takes it back.

Each version of a row bears the number of the transaction that wrote it (`xmin`), and each run keeps the number below
which every transaction was over when it looked (`read_up_to`). So what came later is found by the few trips that are
left, however old, and whatever it is; their days are judged again as any other.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from sqlalchemy import Connection, text

_BY_TRIP: Final = (
    "purchase", "purchase_line", "unbilled_line", "charge", "charge_attempt", "charge_event", "debt", "debt_event",
    "refund", "ledger_transaction", "feed_event", "processor_payout_line", "amazon_order",
)  # fmt: skip
_OTHERWISE: Final = (
    "refund f join refund_event r using (refund_id) where f.shopping_trip_id = o.shopping_trip_id",
    "amazon_order a join amazon_order_line r using (store_id, order_id) where a.shopping_trip_id = o.shopping_trip_id",
    "review_case r where r.subject = o.shopping_trip_id",
    "preauthorization a join processor_payout_line r on r.processor = a.processor"
    " and r.reference = a.processor_reference where a.shopping_trip_id = o.shopping_trip_id",
)
_SOURCES: Final = (*(f"{table} r where r.shopping_trip_id = o.shopping_trip_id" for table in _BY_TRIP), *_OTHERWISE)
_NEWER: Final = "age(r.xmin) <= age(cast(cast(o.read_up_to as text) as xid))"
_DAYS: Final = f"""
    with looked as (
        select distinct on (business_date) business_date, read_up_to % 4294967296 as read_up_to
        from reconciliation_run where store_id = :store_id and business_date < :before
        order by business_date, revision desc
    ), old as materialized (
        select distinct b.business_date, b.shopping_trip_id, looked.read_up_to
        from reconciliation_break b join looked using (business_date)
        where b.store_id = :store_id and b.business_date < :before
          and (b.closed_at is null
               or b.kind = 'REFUND' and b.resolution in ('WRITTEN_OFF', 'FORCE_MATCHED')
               or b.resolution = 'WRITTEN_OFF' and (
                   select sum(e.given_up) from reconciliation_break_event e where e.break_id = b.break_id) <> 0)
        union
        select p.business_date, p.shopping_trip_id, looked.read_up_to
        from refund r join purchase p using (shopping_trip_id) join looked using (business_date)
        where r.store_id = :store_id and p.store_id = :store_id and r.instrument = 'CAPTURE'
          and r.state not in ('FINAL', 'REFUSED', 'DROPPED')
    )
    select distinct business_date from old o
    where read_up_to is null or {" or ".join(f"exists (select from {source} and {_NEWER})" for source in _SOURCES)}
    order by 1
"""  # noqa: S608 - constants of this file only


def days(connection: Connection, *, store_id: str, before: date) -> list[date]:
    """The store's days before that one with something new about the trip of a break, or of a refund under way.

    Of a break that is open, or given up in the books, or that a person has decided and that is about refunds.
    """
    return list(connection.execute(text(_DAYS), {"store_id": store_id, "before": before}).scalars())
