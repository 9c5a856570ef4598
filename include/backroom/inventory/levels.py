"""How much of a product a store has: what was counted last and all that has happened since, or ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Level:
    """The level of a SKU in one store, in `unit`. Below zero: more was sold than was ever known to be there."""

    store_id: str
    item_sku: str
    quantity: Decimal
    unit: str
    counted_at: datetime | None
    last_moved_at: datetime

    @property
    def below_zero(self) -> bool:
        """Then the books lack a delivery or a count; the sales stand."""
        return self.quantity < 0


@dataclass(frozen=True)
class Movement:
    """One movement as it is kept. `exported`: the point of sale has been told, or is being told."""

    store_id: str
    kind: str
    source: str
    line_number: int
    quantity: Decimal
    unit: str
    happened_at: datetime
    recorded_at: datetime
    export_id: int | None


def levels(
    connection: Connection, *, store_id: str | None = None, item_sku: str | None = None, most: int | None = None
) -> list[Level]:
    """Levels, the lowest first; of one store, of one SKU, or of all. `most`: that many of them at most.

    A product whose selling unit has changed has one level for each unit.
    """
    asked = {"store_ids": _store_ids(connection, store_id), "item_sku": item_sku, "most": most}
    rows = connection.execute(_LEVELS, asked)
    return [Level(**row._mapping) for row in rows]


def last_movements(
    connection: Connection, *, item_sku: str, store_id: str | None = None, most: int = 10
) -> list[Movement]:
    """The newest movements of a SKU, the newest first."""
    asked = {"store_ids": _store_ids(connection, store_id), "item_sku": item_sku, "most": most}
    rows = connection.execute(_MOVEMENTS, asked)
    return [Movement(**row._mapping) for row in rows]


def _store_ids(connection: Connection, store_id: str | None) -> list[str]:
    """Named one by one, so that the movements of a SKU are found by their key."""
    return [store_id] if store_id is not None else list(connection.scalars(text("select store_id from store")))


# What is recorded late of the time before a count is not subtracted again, whether or not it is settled yet.
_LEVELS = text("""
    with last_count as (
        select distinct on (store_id, item_sku, unit) store_id, item_sku, unit, happened_at, counted
        from stock_movement
        where kind = 'COUNT' and counted is not null
          and store_id = any(cast(:store_ids as text[]))
          and (cast(:item_sku as text) is null or item_sku = :item_sku)
        order by store_id, item_sku, unit, happened_at desc
    )
    select moved.store_id, moved.item_sku, moved.unit,
           coalesce(max(last_count.counted), 0) + coalesce(sum(moved.quantity) filter (
               where moved.kind <> 'COUNT'
                 and moved.happened_at > coalesce(last_count.happened_at, '-infinity')), 0) as quantity,
           max(last_count.happened_at) as counted_at, max(moved.happened_at) as last_moved_at
    from stock_moved as moved
    left join last_count using (store_id, item_sku, unit)
    where moved.store_id = any(cast(:store_ids as text[]))
      and (cast(:item_sku as text) is null or moved.item_sku = :item_sku)
    group by moved.store_id, moved.item_sku, moved.unit
    order by quantity, moved.store_id, moved.item_sku limit cast(:most as bigint)
""")

_MOVEMENTS = text("""
    select store_id, kind, source, line_number, quantity, unit, happened_at, recorded_at, export_id
    from stock_moved
    where store_id = any(cast(:store_ids as text[])) and item_sku = :item_sku
    order by happened_at desc, recorded_at desc, store_id, source, kind, line_number limit :most
""")
