"""What Amazon must be told: the catalog as it is against what Amazon last accepted. Compared in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Difference:
    """Counts of items (a product in a store)."""

    new: int
    changed: int
    unchanged: int
    gone: int


def count(connection: Connection) -> Difference:
    """How the catalog stands to what Amazon accepted; an archived product that is back counts as new."""
    row = connection.execute(
        text(
            """
            select count(*) filter (where not i.gone and (a.item_sku is null or a.archived)) as new,
                count(*) filter (where not i.gone and not a.archived and a.content_hash <> i.content_hash) as changed,
                count(*) filter (where not i.gone and not a.archived and a.content_hash = i.content_hash) as unchanged,
                count(*) filter (where i.gone and not a.archived) as gone
            from catalog_item i left join catalog_accepted a using (store_id, item_sku)
            """
        )
    ).one()
    return Difference(row.new, row.changed, row.unchanged, row.gone)


def plan_batches(connection: Connection, *, run_id: int, size: int, now: datetime) -> int:
    """Write the intent: batches of at most `size` items. Returns how many.

    An upload is for one store, since one wrong store fails a whole request. An archive is for all stores (Amazon's
    rule), so a product is archived once it is gone from every store.
    """
    given = {"run": run_id, "size": size, "now": now}
    connection.execute(text(_PLANNED_ITEMS), given)
    connection.execute(text(_BATCHES), given)
    connection.execute(text(_BATCH_ITEMS), given)
    connection.execute(text("drop table planned_item"))
    return int(connection.execute(text("select count(*) from catalog_batch where run_id = :run"), given).scalar_one())


# `batch` numbers the chunks of a store. For an archive the size counts SKUs, whatever the number of stores.
_PLANNED_ITEMS = """
create temporary table planned_item on commit drop as
select 'UPLOAD' as kind, i.store_id as batch_store, i.store_id, i.item_sku, i.content_hash,
    (row_number() over (partition by i.store_id order by i.item_sku) - 1) / :size as batch
from catalog_item i left join catalog_accepted a using (store_id, item_sku)
where not i.gone and (a.item_sku is null or a.archived or a.content_hash <> i.content_hash)
union all
select 'ARCHIVE', null, a.store_id, a.item_sku, a.content_hash,
    (dense_rank() over (order by a.item_sku) - 1) / :size
from catalog_accepted a
where not a.archived
    and not exists (select from catalog_item i where i.item_sku = a.item_sku and not i.gone)
    and exists (select from catalog_item i where i.item_sku = a.item_sku and i.gone)
"""

_BATCHES = """
insert into catalog_batch (run_id, kind, state, store_id, item_count, intended_at)
select :run, kind, 'INTENT', batch_store, count(*), :now
from planned_item group by kind, batch_store, batch order by kind desc, batch_store, batch
"""

_BATCH_ITEMS = """
insert into catalog_batch_item (batch_id, store_id, item_sku, content_hash)
select b.batch_id, p.store_id, p.item_sku, p.content_hash
from planned_item p
join (
    select batch_id, kind, store_id,
        row_number() over (partition by kind, store_id order by batch_id) - 1 as batch
    from catalog_batch where run_id = :run
) b on b.kind = p.kind and b.store_id is not distinct from p.batch_store and b.batch = p.batch
"""
