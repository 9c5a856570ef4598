"""Has anything changed since a day was last reconciled? Told by the versions of all rows that a run reads.

PostgreSQL gives each version of a row the number of the transaction that wrote it (`xmin`). Among the rows of a day, a
new or changed one raises their count or the sum of those numbers, and nothing lowers both. Reading them is a fraction
of the work of comparing what they hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, text

RULES: Final = 7  # raised with every change of what a run finds or reports: days are judged again
_VERSION: Final = "count(*), coalesce(sum(cast(cast({row}.xmin as text) as bigint)), 0)"
# joined to the purchases of the day; an order without one is an order all the same
_OF_TRIPS: Final = (
    "purchase_line", "unbilled_line", "charge", "charge_attempt", "charge_event", "debt", "debt_event",
    "refund", "refund_event", "ledger_transaction", "feed_event", "preauthorization", "processor_payout_line",
)  # fmt: skip
_ON_THE_DAY: Final = "where {at} >= cast(:begins as timestamptz) and {at} < cast(:ends as timestamptz)"
# which orders the days beside have found to be of their own trips: by what it says, not by who wrote it when
_TAKEN: Final = """
    select 'taken by the days beside', count(*), coalesce(sum(hashtextextended(their_trip_id, 0)), 0)
    from reconciliation_trip
    where store_id = :store_id and business_date in (cast(:day as date) - 1, cast(:day as date) + 1)
      and their_trip_id is not null
"""
_MOVED: Final = text("""
    select exists (
        select from reconciliation_trip t
        join purchase p on p.shopping_trip_id = t.shopping_trip_id and p.store_id = t.store_id
        where t.store_id = :store_id and t.business_date = :day and t.purchase_total is null
          and p.business_date <> t.business_date)
""")
_OTHERS: Final = {
    "purchases": "purchase r where r.store_id = :store_id and r.business_date = :day",
    "orders": "amazon_order r where r.store_id = :store_id and r.business_date between cast(:day as date) - 1"
    " and cast(:day as date) + 1",
    "order lines": "amazon_order o join amazon_order_line r using (store_id, order_id)"
    " where o.store_id = :store_id and o.business_date between cast(:day as date) - 1 and cast(:day as date) + 1",
    "cases": "review_case r join purchase p on p.shopping_trip_id = r.subject"
    " where p.store_id = :store_id and p.business_date = :day",
    "payouts by reference": "processor_payout_line r join preauthorization a"
    " on a.processor = r.processor and a.processor_reference = r.reference"
    " join purchase p on p.shopping_trip_id = a.shopping_trip_id"
    " where r.shopping_trip_id is null and p.store_id = :store_id and p.business_date = :day",
    # what happened on the day, whatever its trips are; the ledger is only added to, so that its count is enough
    "posted": "(select cast('0' as xid) as xmin from ledger_transaction where store_id = :store_id"
    " and business_date = :day) r",
    "debts opened": f"charge_event r join charge c using (shopping_trip_id) {_ON_THE_DAY.format(at='r.happened_at')}"
    " and c.store_id = :store_id and r.kind in ('DEBT_OPENED', 'DEBT_WITHDRAWN')",
    "debts": f"debt_event r join debt d using (shopping_trip_id) {_ON_THE_DAY.format(at='r.happened_at')}"
    " and d.store_id = :store_id",
    "refunds": f"refund_event r {_ON_THE_DAY.format(at='r.happened_at')} and r.store_id = :store_id",
    "given up": f"reconciliation_break_event r join reconciliation_break b using (break_id)"
    f" {_ON_THE_DAY.format(at='r.at')} and b.store_id = :store_id and r.given_up is not null",
    "store": "store r where r.store_id = :store_id",
    "catalog": "catalog_item r where r.store_id = :store_id",
    "rejections": "catalog_rejection r where r.store_id = :store_id",
    "files": "feed_file r where r.store_id = :store_id and r.window_end between :first and :last",
}


def of_day(
    connection: Connection,
    *,
    store_id: str,
    business_date: date,
    bounds: tuple[datetime, datetime],
    windows: Sequence[datetime],
    settings: Sequence[object],
) -> str:
    """One line of text that is the same as long as nothing that a run over that day reads has changed.

    `bounds` are the day's begin and end, `windows` the ends of its files; `settings` whatever else a verdict hangs on,
    but for the time.
    """
    counts = [
        f"select '{table}', {_VERSION.format(row='r')} from {table} r join purchase p using (shopping_trip_id)"  # noqa: S608
        " where p.store_id = :store_id and p.business_date = :day"
        for table in _OF_TRIPS
    ]
    counts += [f"select '{name}', {_VERSION.format(row='r')} from {source}" for name, source in _OTHERS.items()]  # noqa: S608
    rows = connection.execute(
        text(" union all ".join([*counts, _TAKEN])),
        {
            "store_id": store_id,
            "day": business_date,
            "begins": bounds[0],
            "ends": bounds[1],
            "first": windows[0],
            "last": windows[-1],
        },
    )
    said = [*sorted(tuple(map(str, row)) for row in rows), tuple(map(str, settings)), RULES]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def moved(connection: Connection, *, store_id: str, business_date: date) -> bool:
    """Whether an order that stands on that day without our purchase has one by now, which belongs to another day."""
    return bool(connection.execute(_MOVED, {"store_id": store_id, "day": business_date}).scalar_one())
