"""What was rejected of the catalog: rows by the source's checks, and items by Amazon."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from backroom.db.keyset import Order, Page, page

_BY_US: Final = """
    select r.rejection_id, r.run_id, r.file, r.line, r.store_id, r.item_sku, r.field, r.reason
    from catalog_rejection r
    where r.run_id = coalesce(cast(:run as bigint), (select max(run_id) from catalog_run))
      and (cast(:store_id as text) is null or r.store_id = :store_id)
      and (cast(:sku as text) is null or r.item_sku = :sku)
"""
_BY_AMAZON: Final = """
    select r.store_id, r.item_sku, r.kind, r.batch_id, r.error_code, r.error_message, r.refused_at
    from catalog_refusal r
    where (cast(:store_id as text) is null or r.store_id = :store_id)
      and (cast(:sku as text) is null or r.item_sku = :sku)
"""
_IN_FILE: Final = Order({"rejection_id": "bigint"})
_BY_ITEM: Final = Order({"store_id": "text", "item_sku": "text"})
_RUNS: Final = text("""
    select run_id, business_date, state, store_id, started_at, finished_at, items_read, items_rejected, items_new,
           items_changed, items_gone, items_refused, reason
    from catalog_run order by run_id desc limit :size
""")


def rejected_rows(
    connection: Connection,
    *,
    run: int | None = None,
    store_id: str | None = None,
    sku: str | None = None,
    after: str = "",
    size: int = 50,
) -> Page:
    """Rows of a run's source (the newest run's by default) that can't be sent, in the files' order."""
    return page(connection, _BY_US, {"run": run, "store_id": store_id, "sku": sku}, _IN_FILE, after=after, size=size)


def refused_items(
    connection: Connection, *, store_id: str | None = None, sku: str | None = None, after: str = "", size: int = 50
) -> Page:
    """Items that Amazon rejected as they are; they are sent again once they change."""
    return page(connection, _BY_AMAZON, {"store_id": store_id, "sku": sku}, _BY_ITEM, after=after, size=size)


def runs(connection: Connection, *, size: int = 10) -> list[dict[str, object]]:
    """The newest runs of the catalog's sync."""
    return [dict(row) for row in connection.execute(_RUNS, {"size": size}).mappings()]
