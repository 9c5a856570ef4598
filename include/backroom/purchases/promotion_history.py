"""A new promotions.csv never changes which promotions were in force before: late carts get those of their trip's end.

The file says what each promotion is now. What it was before a change stays as a **version**: a row of its own with its
products, named after the promotion and the instant at which it ended (`SPRING@2026-03-02T10:00:00Z`). So a receipt
says by which terms its promotion was reckoned, and all that prices a cart reads one table.

A change counts
- from the promotion's `valid_from` or, of one that merely ends, until its `valid_to`, where the file dates it after the
  last look at the file;
- else from this look, also where a promotion is new and dated back, or gone from the file.
A basket's own promotion that is new counts as the file says, since it names the trip.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from backroom.errors import SourceFileError
from backroom.purchases.price_book import load_promotions
from backroom.purchases.price_files import PriceFile

_TERMS = (
    "store_id, kind, shopping_trip_id, percentage, amount, buy_quantity, get_quantity, minimum_amount, stacks,"
    " stacking_order, loyalty, description"
)
# One row a promotion and period; `said` is all that it takes off, from what and for whom.
_AS_IT_STANDS = f"""
    select promotion.*, coalesce(version_of, promotion_id) as name, products.item_skus,
           row({_TERMS}, products.item_skus)::text as said, tstzrange(valid_from, valid_to) as period
    from promotion cross join lateral (
        select coalesce(array_agg(item_sku order by item_sku), cast(array[] as text[])) as item_skus
        from promotion_item as item where item.promotion_id = promotion.promotion_id
    ) as products
    where store_id = any(cast(:stores as text[]))
"""  # noqa: S608 - names of this module
_REMEMBER = f"create temporary table promotion_before on commit drop as {_AS_IT_STANDS}"
_FILED = f"create temporary table promotion_filed on commit drop as {_AS_IT_STANDS}"

# From when the file counts, for each promotion: see the module's own words.
_CHANGES = """
    create temporary table promotion_change on commit drop as
    with seen as (
        select name, max(said) as said from promotion_before where period @> cast(:seen as timestamptz) group by name
    )
    select name, case
        when filed.name is null then cast(:now as timestamptz)
        when :first then least(filed.valid_from, cast(:now as timestamptz))
        when filed.shopping_trip_id is not null and before.name is null then cast('-infinity' as timestamptz)
        when seen.said is not distinct from
             case when filed.period @> cast(:seen as timestamptz) then filed.said end
            then cast(:seen as timestamptz)
        when filed.valid_from > cast(:seen as timestamptz) then least(filed.valid_from, cast(:now as timestamptz))
        else cast(:now as timestamptz) end as changed_at
    from (select distinct name from promotion_before) as before
    full join promotion_filed as filed using (name) left join seen using (name)
"""
# What was in force up to the change, unless the file's own row goes on from it or says the same of it.
_KEPT = """
    create temporary table promotion_kept on commit drop as
    select before.*, nullif(least(coalesce(before.valid_to, 'infinity'), changed_at), 'infinity') as ends_at,
           changed_at, false as goes_on
    from promotion_before as before join promotion_change using (name)
    where before.valid_from < changed_at
"""
_GOES_ON = """
    update promotion_kept as kept set goes_on = true from promotion_filed as filed
    where filed.name = kept.name and filed.said = kept.said
      and (filed.period = tstzrange(kept.valid_from, kept.ends_at)
           or (kept.ends_at = kept.changed_at and filed.period @> kept.changed_at))
"""
_STATEMENTS = (
    # the file's rows count from the change; of those that go on, the past is as it was
    "update promotion set valid_from = kept.valid_from from promotion_kept as kept"
    " where kept.goes_on and promotion.promotion_id = kept.name and kept.ends_at = kept.changed_at",
    "delete from promotion using promotion_change as change"
    " where promotion.promotion_id = change.name and promotion.valid_to <= change.changed_at"
    " and promotion.store_id = any(cast(:stores as text[]))"
    " and not exists (select from promotion_kept as kept where kept.name = change.name and kept.goes_on)",
    "update promotion set valid_from = change.changed_at from promotion_change as change"
    " where promotion.promotion_id = change.name and promotion.valid_from < change.changed_at"
    " and promotion.store_id = any(cast(:stores as text[]))"
    " and not exists (select from promotion_kept as kept where kept.name = change.name and kept.goes_on)",
    "delete from promotion_kept where goes_on",
    "update promotion_kept set promotion_id = case when length(name) <= 200 then name"
    " else left(name, 160) || '#' || md5(name) end"
    " || to_char(ends_at at time zone 'UTC', '\"@\"YYYY-MM-DD\"T\"HH24:MI:SS')"
    " || coalesce(nullif(to_char(ends_at at time zone 'UTC', '.US'), '.000000'), '') || 'Z', version_of = name",
)
_TAKEN = """
    select promotion_id from promotion_kept as kept
    where exists (select from promotion where promotion.promotion_id = kept.promotion_id) order by 1 limit 1
"""
_PUT_BACK = (
    f"insert into promotion (promotion_id, version_of, valid_from, valid_to, {_TERMS})"  # noqa: S608 - names of ours
    f" select promotion_id, version_of, valid_from, ends_at, {_TERMS} from promotion_kept",
    "insert into promotion_item (store_id, item_sku, promotion_id)"
    " select store_id, unnest(item_skus), promotion_id from promotion_kept",
)


def load_promotions_keeping_history(
    connection: Connection, file: PriceFile, stores: list[str], *, seen_at: datetime | None, now: datetime
) -> int:
    """Loads promotions.csv as of `now` and keeps the past; returns its rows. `stores`: those it names.

    `seen_at` is the last look at which the source still had what is loaded; None: it was never loaded, and the file
    counts as it is. Leaves the temporary table `promotion_before` for `price_drop`. Set-based. Raises SourceFileError.
    """
    values = {
        "stores": stores, "seen": seen_at.isoformat() if seen_at else "-infinity", "first": seen_at is None, "now": now,
    }  # fmt: skip
    connection.execute(text(_REMEMBER), values)
    rows = load_promotions(connection, file.copy)
    for statement in (_FILED, _CHANGES, _KEPT, _GOES_ON, *_STATEMENTS):
        connection.execute(text(statement), values)
    if taken := connection.scalar(text(_TAKEN)):
        raise SourceFileError(f"{file.copy}: promotion_id {taken!r} is the name of a former version; choose another")
    for statement in _PUT_BACK:
        connection.execute(text(statement))
    return rows
