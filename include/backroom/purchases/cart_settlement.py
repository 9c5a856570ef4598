"""Pricing a stored cart after all, whole or in part, and what follows: its lines, its stock, its charge."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, bindparam, update

from backroom.charges.opening import open_charge
from backroom.purchases.amounts import line_amounts, totals
from backroom.purchases.cart_stock import take_out_of_stock
from backroom.purchases.price_lookup import products_of, promotions_for
from backroom.purchases.pricing import CartItem, PricedCart, Problem, Product, price_cart
from backroom.purchases.stored_cart import StoredCart
from backroom.purchases.tables import purchase, purchase_line


def price_stored(connection: Connection, stored: StoredCart) -> PricedCart | list[Problem]:
    """As of the trip's end, with the catalog and the price book as they are now."""
    return _price(connection, stored, stored.cart.items)


def price_known_lines(connection: Connection, stored: StoredCart) -> tuple[PricedCart, list[Problem]]:
    """The lines that have a price, as if the cart held no others; and what stands in the way of each of the rest."""
    items, problems = stored.cart.items, list[Problem]()
    while not isinstance(priced := _price(connection, stored, items), PricedCart):
        problems += priced
        stand_in_the_way = {problem.item.line_number for problem in priced}
        items = tuple(item for item in items if item.line_number not in stand_in_the_way)
    return priced, problems


def charge_stored(
    connection: Connection, stored: StoredCart, priced: PricedCart, *, now: datetime, reason: str
) -> None:
    """Stores the prices, squares the stock and opens the charge, due from `now` (business time)."""
    connection.execute(
        update(purchase)
        .where(purchase.c.shopping_trip_id == stored.cart.shopping_trip_id)
        .values(state="PRICED", priced_by=stored.priced_by, **totals(priced))
    )
    if priced.lines:
        connection.execute(
            update(purchase_line).where(
                purchase_line.c.shopping_trip_id == stored.cart.shopping_trip_id,
                purchase_line.c.line_number == bindparam("number"),
            ),
            [
                {"number": line.item.line_number, "item_sku": line.product.item_sku, **line_amounts(line)}
                for line in priced.lines
            ],
        )
    take_out_of_stock(connection, stored, now=now)
    open_cart_charge(connection, stored, priced.total.amount, now=now, reason=reason)


def open_cart_charge(connection: Connection, stored: StoredCart, total: Decimal, *, now: datetime, reason: str) -> None:
    """`total` in the cart's currency; 0 frees the hold."""
    open_charge(
        connection,
        shopping_trip_id=stored.cart.shopping_trip_id,
        store_id=stored.cart.store_id,
        currency=stored.currency,
        total=total,
        trip_started_at=stored.cart.started_at,
        now=now,
        reason=reason,
    )


def _price(connection: Connection, stored: StoredCart, items: tuple[CartItem, ...]) -> PricedCart | list[Problem]:
    cart = replace(stored.cart, items=items)
    products = _products(connection, stored, items)
    skus = {product.item_sku for product in products.values()}
    promotions = promotions_for(connection, cart, skus, shopper_id=stored.shopper_id)
    return price_cart(items, products, promotions, stored.currency, prices_include_tax=stored.prices_include_tax)


def _products(
    connection: Connection, stored: StoredCart, items: tuple[CartItem, ...]
) -> dict[tuple[str, str], Product]:
    return products_of(connection, replace(stored.cart, items=items)) if items else {}
