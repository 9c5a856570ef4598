"""What a bad cart's lines do to the stock: those that a person named go out, those that a person took away come back.

The connector has posted the lines that it knew. Goods that nobody paid for are gone all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import structlog
from sqlalchemy import Connection, text

from backroom.inventory.movements import StockConflict, in_sold_by_unit, post_sale_line, undo_sale
from backroom.inventory.posting import post_due
from backroom.purchases.price_lookup import products_of
from backroom.purchases.stored_cart import StoredCart

_log = structlog.get_logger()

_POSTED = text("""
    select item_sku, -sum(quantity) as quantity from stock_movement
    where store_id = :store_id and item_sku = any(cast(:skus as text[])) and source = :trip
      and kind in ('SALE', 'SALE_UNDONE')
    group by item_sku
""")


def take_out_of_stock(connection: Connection, stored: StoredCart, *, now: datetime) -> None:
    """Posts what the standing lines took and is not posted yet. Lines whose product is not known move nothing."""
    took = _took(connection, stored)
    posted = _posted(connection, stored, took)
    for item_sku, (line_number, quantity, unit) in sorted(took.items()):
        missing = quantity - posted.get(item_sku, Decimal(0))
        if missing <= 0:
            continue
        try:
            post_sale_line(
                connection,
                store_id=stored.cart.store_id,
                shopping_trip_id=stored.cart.shopping_trip_id,
                line_number=line_number,
                line=(item_sku, missing, unit),
                happened_at=stored.cart.ended_at,
                now=now,
            )
        except StockConflict as conflict:
            _tell(stored, item_sku, conflict)


def put_back_into_stock(connection: Connection, stored: StoredCart, left: Mapping[str, int], *, now: datetime) -> None:
    """Undoes what was posted for lines that are no longer of that product; `left` is SKU -> the line's number.

    `stored` is the cart without those lines: what its other lines took of the product stays out.
    """
    took = _took(connection, stored)
    for item_sku, posted in sorted(_posted(connection, stored, left).items()):
        surplus = posted - (took[item_sku][1] if item_sku in took else Decimal(0))
        if surplus <= 0:
            continue
        try:
            undo_sale(
                connection,
                store_id=stored.cart.store_id,
                shopping_trip_id=stored.cart.shopping_trip_id,
                line_number=left[item_sku],
                item_sku=item_sku,
                quantity=surplus,
                now=now,
            )
        except StockConflict as conflict:
            _tell(stored, item_sku, conflict)


def _took(connection: Connection, stored: StoredCart) -> dict[str, tuple[int, Decimal, str]]:
    """By SKU: the last line of it, how much all its lines took, and in which unit (the product's own)."""
    items = stored.cart.items
    products = products_of(connection, replace(stored.cart, items=items)) if items else {}
    took: dict[str, tuple[int, Decimal, str]] = {}
    for item in items:
        product = products.get((item.item_type, item.item_id))
        sold = None if product is None else in_sold_by_unit(item.quantity, item.unit, product.sold_by)
        if product is not None and sold is not None:
            before = took[product.item_sku][1] if product.item_sku in took else Decimal(0)
            took[product.item_sku] = (item.line_number, before + sold, product.sold_by)
    return took


def _posted(connection: Connection, stored: StoredCart, skus: Mapping[str, object]) -> dict[str, Decimal]:
    post_due(connection, shopping_trip_id=stored.cart.shopping_trip_id)
    asked = {"store_id": stored.cart.store_id, "skus": sorted(skus), "trip": stored.cart.shopping_trip_id}
    return {row.item_sku: row.quantity for row in connection.execute(_POSTED, asked)}


def _tell(stored: StoredCart, item_sku: str, conflict: StockConflict) -> None:
    """The sale matters more than the stock: a return was quicker, or the unit has changed. A count will tell."""
    _log.warning("stock_not_corrected", trip_id=stored.cart.shopping_trip_id, item_sku=item_sku, reason=str(conflict))
