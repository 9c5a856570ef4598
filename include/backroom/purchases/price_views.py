"""What the price book says of one product at a store, and where the book comes from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from backroom.errors import BackroomError

_PRODUCT = text("""
    select store.currency, store.prices_include_tax, product.item_name, product.unit, product.product_tax_code
    from store left join catalog_item as product on product.store_id = store.store_id and product.item_sku = :sku
    where store.store_id = :store
""")
_PRICES = text("""
    select amount, currency, valid_from, valid_to from shelf_price
    where store_id = :store and item_sku = :sku and (valid_to is null or valid_to > :at) order by valid_from limit 2
""")
_TAXES = text("""
    select rate, jurisdiction, valid_from, valid_to from tax_rate
    where store_id = :store and product_tax_code = :code and (valid_to is null or valid_to > :at)
    order by valid_from limit 2
""")
_PROMOTIONS = text("""
    select * from promotion
    where store_id = :store and valid_from <= :at and (valid_to is null or valid_to > :at)
      and (exists (select from promotion_item as item
                   where item.promotion_id = promotion.promotion_id and item.item_sku = :sku)
           or (kind like 'BASKET%' and shopping_trip_id is null
               and not exists (select from promotion_item as item where item.promotion_id = promotion.promotion_id)))
    order by stacking_order, promotion_id
""")
_SOURCES = text("select source, rows, loaded_at, checked_at, content_hash from price_source order by source")


def price_of(connection: Connection, *, store_id: str, item_sku: str, at: datetime) -> dict[str, Any]:
    """Price, promotions and tax in force at `at`, and when price and tax change. Amounts and rates are exact text.

    `price` and `tax` are null where there is none at that instant. Raises BackroomError: an unknown store, or a product
    that neither the catalog nor the price book knows.
    """
    values = {"store": store_id, "sku": item_sku, "at": at}
    product = connection.execute(_PRODUCT, values).one_or_none()
    if product is None:
        raise BackroomError(f"there is no store {store_id!r}; `backroom stores list` shows them")
    prices = _timeline(connection.execute(_PRICES, values).mappings().all(), at)
    if product.item_name is None and prices["now"] is None and prices["next"] is None:
        raise BackroomError(f"store {store_id} has no product {item_sku!r}: not in its catalog, nor in its price book")
    taxes = _timeline(
        connection.execute(_TAXES, {**values, "code": product.product_tax_code or ""}).mappings().all(), at
    )
    return {
        "store_id": store_id,
        "item_sku": item_sku,
        "item_name": product.item_name,
        "at": at,
        "currency": product.currency,
        "per": product.unit,
        "price": _plain(prices["now"], "amount"),
        "price_since": prices["now"]["valid_from"] if prices["now"] else None,
        "price_changes_at": prices["changes_at"],
        "next_price": _plain(prices["next"], "amount"),
        "promotions": [_promotion(row) for row in connection.execute(_PROMOTIONS, values).mappings()],
        "product_tax_code": product.product_tax_code,
        "tax_rate": _plain(taxes["now"], "rate"),
        "tax_jurisdiction": taxes["now"]["jurisdiction"] if taxes["now"] else None,
        "tax_included": product.prices_include_tax,
        "tax_changes_at": taxes["changes_at"],
        "next_tax_rate": _plain(taxes["next"], "rate"),
    }


def sources(connection: Connection) -> list[dict[str, Any]]:
    """Each source that was loaded: its rows, when it was loaded and looked at, the SHA-256 of its content."""
    return [dict(row) for row in connection.execute(_SOURCES).mappings()]


def _timeline(rows: Any, at: datetime) -> dict[str, Any]:
    """The period that holds `at`, the one that follows, and the instant when the first ends or the second begins."""
    now = next((row for row in rows if row["valid_from"] <= at), None)
    following = next((row for row in rows if row["valid_from"] > at), None)
    changes_at = now["valid_to"] if now else following["valid_from"] if following else None
    return {"now": now, "next": following, "changes_at": changes_at}


def _plain(row: Any, column: str) -> str | None:
    return None if row is None or row[column] is None else f"{row[column].normalize():f}"


def _promotion(row: Any) -> dict[str, Any]:
    return {
        "promotion_id": row["promotion_id"],
        "kind": row["kind"],
        "percentage": _plain(row, "percentage"),
        "amount": _plain(row, "amount"),
        "buy_quantity": row["buy_quantity"],
        "get_quantity": row["get_quantity"],
        "minimum_amount": _plain(row, "minimum_amount"),
        "stacks": row["stacks"],
        "loyalty": row["loyalty"],
        "valid_to": row["valid_to"],
        "description": row["description"],
    }
