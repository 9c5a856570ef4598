"""A new file of prices or taxes never changes what was in force before: history stays, and late carts are priced by it.

The loader replaces a store's rows by the file's. Around it, `_remember` keeps what was there and `_keep` puts back what
the file says otherwise of the past, since a cart may come hours after its trip's end:

- what was in force stays as it was until the change, which is where the file dates it, if that is after the last look
  at the file; a change that the file does not date, and what it drops, count from `now`;
- a time in which a product had no price, or a tax code no rate, is the file's to fill: so a cart that waits for a
  missing price gets one.

Promotions have a history of their own, in promotion_history.py. Who must correct the past loads the file with
`backroom prices load`, which keeps nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, text

from backroom.purchases.price_book import load_prices, load_taxes
from backroom.purchases.price_files import PriceFile


@dataclass(frozen=True)
class _Timeline:
    """A table whose rows hold what a store's `key` is worth from valid_from to valid_to, one at any instant."""

    table: str
    key: str
    worth: tuple[str, ...]
    load: Callable[[Connection, Path], int]


_TIMELINES = {
    "prices.csv": _Timeline("shelf_price", "item_sku", ("amount", "currency"), load_prices),
    "taxes.csv": _Timeline("tax_rate", "product_tax_code", ("jurisdiction", "rate"), load_taxes),
}


def load_keeping_history(
    connection: Connection, file: PriceFile, stores: list[str], *, seen_at: datetime | None, now: datetime
) -> int:
    """Loads prices.csv or taxes.csv as of `now` and keeps the past; returns its rows. `stores`: those it names.

    `seen_at` is the last look at which the source still had what is loaded; None: it was never loaded. Leaves the
    temporary table `shelf_price_before` or `tax_rate_before` for `price_drop`. Set-based. Raises SourceFileError.
    """
    line = _TIMELINES[file.name]
    values = {"stores": stores, "seen": seen_at.isoformat() if seen_at else "-infinity", "now": now}
    connection.execute(text(_remember(line)), values)
    rows = line.load(connection, file.copy)
    connection.execute(text(f"analyze {line.table}_before"))
    for statement in (_kept(line), _make_room(line), _put_back(line)):
        connection.execute(text(statement), values)
    return rows


def stores_named(file: PriceFile) -> list[str]:
    """The stores whose rows the file replaces. A line that can't be read is left to the loader to complain of."""
    with file.copy.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        try:
            return sorted({row["store_id"] for row in csv.DictReader(lines) if row.get("store_id")})
        except csv.Error:
            return []


# The statements are made of names of this module only.


def _remember(line: _Timeline) -> str:
    return f"""
        create temporary table {line.table}_before on commit drop as
        select * from {line.table} where store_id = any(cast(:stores as text[]))
    """  # noqa: S608


def _kept(line: _Timeline) -> str:
    """A row that was in force before the change and that the file now has otherwise or not at all; up to the change."""
    key, worth = line.key, ", ".join(line.worth)
    same = " and ".join(f"same.{name} = known.{name}" for name in (key, *line.worth))
    return f"""
        create temporary table {line.table}_kept on commit drop as
        with filed as (
            select store_id, {key}, min(valid_from) filter (where valid_from > cast(:seen as timestamptz)) as dated,
                   bool_or(valid_from <= cast(:seen as timestamptz)
                           and (valid_to is null or valid_to > cast(:seen as timestamptz))) as undated
            from {line.table} where store_id = any(cast(:stores as text[])) group by store_id, {key}
        ), known as (
            select before.*, case when filed.undated then least(filed.dated, cast(:now as timestamptz))
                                  else coalesce(filed.dated, cast(:now as timestamptz)) end as changed_at
            from {line.table}_before as before left join filed using (store_id, {key})
        )
        select store_id, {key}, {worth}, valid_from, least(valid_to, changed_at) as valid_to from known
        where valid_from < changed_at and not exists (
            select from {line.table} as same
            where same.store_id = known.store_id and {same} and same.valid_from <= known.valid_from
              and (same.valid_to is null or same.valid_to >= least(known.valid_to, changed_at)))
    """  # noqa: S608


def _make_room(line: _Timeline) -> str:
    key, worth = line.key, ", ".join(line.worth)
    return f"""
        with past as (
            select store_id, {key}, range_agg(tstzrange(valid_from, valid_to)) as periods
            from {line.table}_kept group by store_id, {key}
        ), taken as (
            delete from {line.table} as filed using past
            where filed.store_id = past.store_id and filed.{key} = past.{key}
              and tstzrange(filed.valid_from, filed.valid_to) && past.periods
            returning filed.*, past.periods
        )
        insert into {line.table} (store_id, {key}, valid_from, valid_to, {worth})
        select store_id, {key}, lower(part), upper(part), {worth}
        from taken, unnest(tstzmultirange(tstzrange(valid_from, valid_to)) - periods) as part
    """  # noqa: S608


def _put_back(line: _Timeline) -> str:
    names = f"store_id, {line.key}, valid_from, valid_to, {', '.join(line.worth)}"
    return f"insert into {line.table} ({names}) select {names} from {line.table}_kept"  # noqa: S608
