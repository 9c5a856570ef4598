"""What Amazon must be told: the catalog as it is against what Amazon last accepted. Compared in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

WORDS_A_REPORT: Final = 50_000
"""Items that one report may speak of: about 30 MB, which fit into memory whole."""


@dataclass(frozen=True)
class Difference:
    """Counts of items (a product in a store).

    `refused`: Amazon rejected the item as it is; it goes again once it changes. `under_way`: Amazon has it and has not
    judged it yet. Both are neither new nor changed.
    """

    new: int
    changed: int
    unchanged: int
    gone: int
    refused: int
    under_way: int


def count(connection: Connection, store_id: str | None = None) -> Difference:
    """How the catalog, or one store's, stands to what Amazon accepted; an archived product that is back is new."""
    row = connection.execute(text(_COUNT), {"store": store_id}).one()
    return Difference(row.new, row.changed, row.unchanged, row.gone, row.refused, row.under_way)


def plan_batches(
    connection: Connection,
    *,
    run_id: int,
    size: int,
    archive_retry_days: int,
    now: datetime,
    store_id: str | None = None,
) -> int:
    """Write the intent: batches of at most `size` items. Returns how many.

    An upload is for one store, since one wrong store fails a whole request. An archive is for all stores (Amazon's
    rule), so a product is archived once it is gone from every store; Dash Cart stores have no archive. Its report
    speaks of each SKU in each store, at most WORDS_A_REPORT times. With `store_id`, what is to be told about that
    store alone; a product that it was the last to have is archived.
    """
    given = {
        "run": run_id, "size": size, "words": WORDS_A_REPORT, "now": now, "store": store_id, "days": archive_retry_days
    }  # fmt: skip
    for statement in (_PLANNED_ITEMS, _BATCHES, _BATCH_ITEMS):
        connection.execute(text(statement), {name: value for name, value in given.items() if f":{name}" in statement})
    connection.execute(text("drop table planned_item"))
    return int(connection.execute(text("select count(*) from catalog_batch where run_id = :run"), given).scalar_one())


NOT_REFUSED: Final = """
    not exists (
        select from catalog_batch b
        where b.store_id = s.store_id and b.bad_store and not exists (
            select from catalog_accepted a where a.store_id = b.store_id and a.batch_id > b.batch_id))
"""
"""Of a store `s`: Amazon has not refused it, or has accepted something of it since. Naming it sinks a request."""

# The newest word to Amazon about an item that no report has judged, where it comes after what was last accepted.
# `doubtful`: the call was made and nobody knows what came of it, so Amazon may have that content and not the accepted
# one: given up, ended as FATAL, left out of a repeat, not in the report. A definite no to the only try leaves no doubt.
_JUDGED = """
with unjudged as (
    select distinct on (i.store_id, i.item_sku) i.store_id, i.item_sku, i.content_hash, b.batch_id, b.kind,
        b.settled_at is null as under_way,
        b.called_at is not null and not (b.state = 'REFUSED' and b.tries = 1) as doubtful
    from catalog_batch b join catalog_batch_item i using (batch_id)
    where i.status is null
        and (b.settled_at is null or b.called_at is not null and (b.state <> 'DONE' or b.reason is not null))
    order by i.store_id, i.item_sku, b.batch_id desc
), judged as (
    select i.store_id, i.item_sku, i.content_hash, case
            when i.gone then case when not a.archived or u.doubtful and not u.under_way then 'gone' end
            when u.under_way and u.kind = 'UPLOAD' and u.content_hash = i.content_hash then 'under_way'
            when not a.archived and a.content_hash = i.content_hash
                and (u.doubtful and (u.kind = 'ARCHIVE' or u.content_hash <> i.content_hash)) is not true
                then 'unchanged'
            when r.content_hash = i.content_hash then 'refused'
            when a.item_sku is null or a.archived then 'new'
            else 'changed' end as verdict
    from catalog_item i
    left join catalog_accepted a on a.store_id = i.store_id and a.item_sku = i.item_sku
    left join unjudged u on u.store_id = i.store_id and u.item_sku = i.item_sku
        and u.batch_id > coalesce(a.batch_id, 0)
    left join catalog_refusal r on r.store_id = i.store_id and r.item_sku = i.item_sku and r.kind = 'UPLOAD'
    where cast(:store as text) is null or i.store_id = :store
)
"""

_COUNT = f"""
{_JUDGED}
select {", ".join(f"count(*) filter (where verdict = '{name}') as {name}" for name in Difference.__dataclass_fields__)}
from judged
"""  # noqa: S608

ITEMS = f"""
{_JUDGED}
select verdict, store_id, item_sku from judged where verdict <> 'unchanged'
order by verdict, store_id, item_sku limit :limit
"""  # noqa: S608
"""Query of the items themselves: `store` (null: all) and `limit`."""

# `batch` numbers the chunks of a store. For an archive the size counts SKUs, and no more than that its report, which
# speaks of each SKU in each store, stays within WORDS_A_REPORT. What no report has accepted may be there all the same.
_PLANNED_ITEMS = f"""
create temporary table planned_item on commit drop as
{_JUDGED}, wanted as (
    select store_id, item_sku, content_hash from judged where verdict in ('new', 'changed')
), gone_somewhere as (
    select distinct i.item_sku from catalog_item i join store s using (store_id)
    where i.gone and s.store_type = 'JWO' and (cast(:store as text) is null or i.store_id = :store)
), gone_everywhere as (
    select g.item_sku from gone_somewhere g
    where not exists (
        select from store s join catalog_item i using (store_id)
        where s.store_type = 'JWO' and i.item_sku = g.item_sku and not i.gone)
), may_be_there as (
    select store_id, item_sku, content_hash from catalog_accepted where not archived
    union all
    select u.store_id, u.item_sku, u.content_hash from unjudged u
    left join catalog_accepted a on a.store_id = u.store_id and a.item_sku = u.item_sku
    where u.doubtful and not u.under_way and a.archived is not false and u.batch_id > coalesce(a.batch_id, 0)
), archived_already as (
    select distinct i.item_sku from catalog_batch b join catalog_batch_item i using (batch_id)
    where b.kind = 'ARCHIVE' and b.settled_at is null
    union
    select item_sku from catalog_refusal
    where kind = 'ARCHIVE' and refused_at > :now - make_interval(days => :days)
)
select 'UPLOAD' as kind, store_id as batch_store, store_id, item_sku, content_hash,
    (row_number() over (partition by store_id order by item_sku) - 1) / :size as batch
from wanted
union all
select 'ARCHIVE', null, a.store_id, a.item_sku, a.content_hash,
    (dense_rank() over (order by a.item_sku) - 1)
        / least(:size, greatest(:words / (select count(*) from store where store_type = 'JWO'), 1))
from may_be_there a
join gone_everywhere using (item_sku)
join store s on s.store_id = a.store_id and s.store_type = 'JWO'
where {NOT_REFUSED} and not exists (select from archived_already e where e.item_sku = a.item_sku)
"""  # noqa: S608

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
