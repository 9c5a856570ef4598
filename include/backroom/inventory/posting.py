"""Carts become movements. The connector stores a cart's lines and lists its trip; what they took is posted here.

A level counts a cart from the moment when it is stored (the view `stock_moved` has posted and listed sales alike), so
that a cart costs the connector one short row and not one for each product. Whoever writes or tells movements posts
what is listed first. Docs: docs/inventory.md.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

AT_ONCE = 2_000  # carts posted by one statement


def post_due(connection: Connection, *, store_id: str | None = None, shopping_trip_id: str | None = None) -> int:
    """Posts the listed carts of a store, a trip or all, in the caller's transaction; how many.

    Each trip is posted once, however many do this at once: the others wait for the first, and find nothing then.
    """
    asked = {"store_id": store_id, "trip": shopping_trip_id, "at_once": AT_ONCE}
    posted = 0
    while done := connection.execute(_POST_DUE, asked).rowcount:
        posted += done
        if done < AT_ONCE:
            break
    return posted


_POST_DUE = text("""
    with due as materialized (
        select shopping_trip_id from stock_due
        where (cast(:store_id as text) is null or store_id = :store_id)
          and (cast(:trip as text) is null or shopping_trip_id = :trip)
        order by shopping_trip_id limit :at_once for update
    ), posted as (
        insert into stock_movement
            (store_id, item_sku, source, kind, line_number, quantity, unit, happened_at, recorded_at)
        select sale.store_id, sale.item_sku, sale.source, sale.kind, sale.line_number, sale.quantity, sale.unit,
               sale.happened_at, sale.recorded_at
        from due join stock_sale_due as sale on sale.source = due.shopping_trip_id
        on conflict do nothing
    )
    delete from stock_due using due where stock_due.shopping_trip_id = due.shopping_trip_id
""")
