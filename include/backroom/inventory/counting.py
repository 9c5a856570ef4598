"""A stock take: what was counted holds as of its instant, whatever is recorded later of the time before.

A count is a movement too: the difference to what the movements before it add up to. A sale of before the count that is
recorded after it (a cart comes minutes after its trip) took goods that were not counted any more: it is balanced by a
correction of the count, so that it is neither lost nor doubled. Sales therefore never wait for a count.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from backroom.errors import BackroomError
from backroom.inventory.movements import StockConflict
from backroom.inventory.posting import post_due


def count_stock(
    connection: Connection,
    *,
    store_id: str,
    item_sku: str,
    quantity: Decimal,
    unit: str,
    counted_at: datetime,
    now: datetime,
) -> bool:
    """Sets the level of one SKU as of `counted_at`, in the caller's transaction; False where that is recorded already.

    `quantity` (zero or above) in `unit`, the product's own. Raises BackroomError for an instant after `now`,
    StockConflict where another quantity was counted at that very instant.
    """
    if counted_at > now:
        raise BackroomError(f"{store_id}: {item_sku} can't have been counted at {counted_at:%Y-%m-%d %H:%M:%SZ} yet")
    lock_counts(connection, store_id)
    post_due(connection, store_id=store_id)
    values = {
        "store_id": store_id, "item_sku": item_sku, "source": f"count {counted_at.isoformat()}", "counted": quantity,
        "unit": unit, "counted_at": counted_at, "now": now,
    }  # fmt: skip
    if not connection.execute(_COUNT, values).rowcount:
        known = connection.execute(_KNOWN, values).one()
        if (known.counted, known.unit) != (quantity, unit):
            raise StockConflict(
                f"{store_id}: {item_sku} was counted as {known.counted.normalize():f} {known.unit} at that instant; "
                "a new count needs its own instant"
            )
        return False
    settle_counts(connection, store_id=store_id, item_skus=[item_sku], now=now)
    return True


def settle_counts(connection: Connection, *, store_id: str, item_skus: Collection[str], now: datetime) -> int:
    """Corrects the counts of these SKUs for what was recorded after them of the time before; how many it corrected.

    After it, the movements of each SKU add up to its level. Each export does this for all that it tells.
    """
    lock_counts(connection, store_id)
    post_due(connection, store_id=store_id)
    asked = {"store_id": store_id, "item_skus": sorted(item_skus), "now": now}
    return connection.execute(_SETTLE, asked).rowcount


def lock_counts(connection: Connection, store_id: str) -> None:
    """Until the transaction's end no one else counts or settles in that store. Sales do not wait for it.

    A statement of its own: what follows it sees what the one before has committed.
    """
    connection.execute(_LOCK, {"store_id": store_id})


_LOCK = text("select pg_advisory_xact_lock(hashtextextended('stock counts of ' || cast(:store_id as text), 0))")

# Since the count before (or ever): what the movements made of it, and what is missing to what was counted now.
_COUNT = text("""
    with earlier as (
        select happened_at, counted from stock_movement
        where store_id = :store_id and item_sku = :item_sku and unit = :unit and kind = 'COUNT'
          and counted is not null and happened_at < :counted_at
        order by happened_at desc limit 1
    )
    insert into stock_movement
        (store_id, item_sku, source, kind, quantity, unit, counted, happened_at, recorded_at)
    select :store_id, :item_sku, :source, 'COUNT',
           cast(:counted as numeric) - coalesce((select counted from earlier), 0) - coalesce(sum(quantity), 0),
           :unit, :counted, :counted_at, :now
    from stock_movement
    where store_id = :store_id and item_sku = :item_sku and unit = :unit and kind <> 'COUNT'
      and happened_at <= :counted_at and happened_at > coalesce((select happened_at from earlier), '-infinity')
    on conflict do nothing
""")

_KNOWN = text("""
    select counted, unit from stock_movement
    where store_id = :store_id and item_sku = :item_sku and source = :source and kind = 'COUNT' and line_number = 0
""")

_SETTLE = text("""
    with count_taken as (
        select item_sku, unit, source, happened_at, max(counted) as counted, sum(quantity) as told,
               max(line_number) as last_number
        from stock_movement
        where store_id = :store_id and kind = 'COUNT' and item_sku = any(cast(:item_skus as text[]))
        group by item_sku, unit, source, happened_at
    ), in_order as (
        select *, coalesce(lag(happened_at) over counts, '-infinity') as since,
               coalesce(lag(counted) over counts, 0) as counted_before
        from count_taken window counts as (partition by item_sku, unit order by happened_at)
    ), compared as (
        select *, counted - counted_before - told - coalesce((
            select sum(moved.quantity) from stock_movement as moved
            where moved.store_id = :store_id and moved.item_sku = in_order.item_sku and moved.unit = in_order.unit
              and moved.kind <> 'COUNT' and moved.happened_at <= in_order.happened_at
              and moved.happened_at > in_order.since
        ), 0) as missing
        from in_order
    )
    insert into stock_movement
        (store_id, item_sku, source, kind, line_number, quantity, unit, happened_at, recorded_at)
    select :store_id, item_sku, source, 'COUNT', last_number + 1, missing, unit, happened_at, :now
    from compared where missing <> 0
""")
