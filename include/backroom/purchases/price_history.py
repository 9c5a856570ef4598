"""A new price file never changes what was in force before: history stays, and late carts are priced by it.

The loader replaces a store's rows by the file's. Around it, `remember` keeps what was there and `keep` puts back what
the file says otherwise of the past, since a cart may come hours after its trip's end:

- a price that was in force stays as it was until the change, which is where the file dates it, if that is after the
  last look at the file; a change that the file does not date, and a product that it drops, count from `now`;
- a time in which a product had no price is the file's to fill: so a cart that waits for a missing price gets one.

Who must correct a price of the past loads the file with `backroom prices load`, which keeps nothing.
"""

from __future__ import annotations

import csv
from datetime import datetime

from sqlalchemy import Connection, text

from backroom.purchases.price_book import load_prices
from backroom.purchases.price_files import PriceFile

_REMEMBER = """
    create temporary table price_before on commit drop as
    select * from shelf_price where store_id = any(cast(:stores as text[]))
"""

# A row that was in force before the change and that the file now has otherwise or not at all; up to the change.
_KEPT = """
    create temporary table price_kept on commit drop as
    with filed as (
        select store_id, item_sku, min(valid_from) filter (where valid_from > cast(:seen as timestamptz)) as dated,
               bool_or(valid_from <= cast(:seen as timestamptz)
                       and (valid_to is null or valid_to > cast(:seen as timestamptz))) as undated
        from shelf_price where store_id = any(cast(:stores as text[])) group by store_id, item_sku
    ), known as (
        select before.*, case when filed.undated then least(filed.dated, cast(:now as timestamptz))
                              else coalesce(filed.dated, cast(:now as timestamptz)) end as changed_at
        from price_before as before left join filed using (store_id, item_sku)
    )
    select store_id, item_sku, amount, currency, valid_from, least(valid_to, changed_at) as valid_to from known
    where valid_from < changed_at and not exists (
        select from shelf_price as same
        where same.store_id = known.store_id and same.item_sku = known.item_sku and same.amount = known.amount
          and same.valid_from <= known.valid_from
          and (same.valid_to is null or same.valid_to >= least(known.valid_to, changed_at)))
"""

_MAKE_ROOM = """
    with past as (
        select store_id, item_sku, range_agg(tstzrange(valid_from, valid_to)) as periods
        from price_kept group by store_id, item_sku
    ), taken as (
        delete from shelf_price as price using past
        where price.store_id = past.store_id and price.item_sku = past.item_sku
          and tstzrange(price.valid_from, price.valid_to) && past.periods
        returning price.*, past.periods
    )
    insert into shelf_price (store_id, item_sku, valid_from, valid_to, amount, currency)
    select store_id, item_sku, lower(part), upper(part), amount, currency
    from taken, unnest(tstzmultirange(tstzrange(valid_from, valid_to)) - periods) as part
"""
_PUT_BACK = """
    insert into shelf_price (store_id, item_sku, valid_from, valid_to, amount, currency)
    select store_id, item_sku, valid_from, valid_to, amount, currency from price_kept
"""


def load_keeping_history(
    connection: Connection, file: PriceFile, stores: list[str], *, seen_at: datetime | None, now: datetime
) -> int:
    """Loads prices.csv as of `now` and keeps the past; returns its rows. `stores` are those that the file names.

    `seen_at` is the last look at which the source still had what is loaded; None: it was never loaded. Leaves the
    temporary table `price_before` for `price_drop`. Set-based throughout. Raises SourceFileError.
    """
    connection.execute(text(_REMEMBER), {"stores": stores})
    rows = load_prices(connection, file.copy)
    connection.execute(text("analyze price_before"))
    seen = seen_at.isoformat() if seen_at else "-infinity"
    connection.execute(text(_KEPT), {"stores": stores, "seen": seen, "now": now})
    connection.execute(text(_MAKE_ROOM))
    connection.execute(text(_PUT_BACK))
    return rows


def stores_named(file: PriceFile) -> list[str]:
    """The stores whose rows the file replaces. A line that can't be read is left to the loader to complain of."""
    with file.copy.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        try:
            return sorted({row["store_id"] for row in csv.DictReader(lines) if row.get("store_id")})
        except csv.Error:
            return []
