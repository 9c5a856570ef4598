"""Carts that could not be priced, once a person has decided: priced and charged after all, or charged nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, Row, bindparam, text, update

from backroom.alerts import raise_alert
from backroom.charges.opening import open_charge
from backroom.purchases.amounts import line_amounts, totals
from backroom.purchases.cart import Cart
from backroom.purchases.cart_cases import ask_about_bad_cart
from backroom.purchases.price_lookup import products_of, promotions_for
from backroom.purchases.pricing import CartItem, PricedCart, Product, price_cart
from backroom.purchases.tables import purchase, purchase_line
from backroom.settings import settings

# The newest decision of each cart that still has no price. A cart that stays so is asked about anew.
_DECIDED = text("""
    select purchase.*, latest.decision from purchase
    cross join lateral (
        select decision from review_case
        where kind = 'BAD_CART' and subject = purchase.shopping_trip_id order by case_id desc limit 1
    ) as latest
    where purchase.state = 'BAD_CART' and latest.decision in ('price_again', 'charge_nothing')
    order by purchase.shopping_trip_id for update of purchase skip locked
""")

_WAITING = text("""
    select store_id, count(*) as carts from purchase
    where state = 'BAD_CART' and trip_started_at <= :started_by group by store_id order by store_id
""")


def apply_decisions(connection: Connection, *, now: datetime) -> dict[str, int]:
    """Acts on what was decided; returns how many carts were priced, waived, and still lack a price.

    A cart is priced as of its trip's end, with the catalog and the price book as they are now. Its charge is due from
    `now` (business time). Safe to run again: a cart is acted on once.
    """
    done = {"priced": 0, "waived": 0, "still_bad": 0}
    for row in connection.execute(_DECIDED).all():
        done[_waive(connection, row, now) if row.decision == "charge_nothing" else _price(connection, row, now)] += 1
    return done


def warn_of_waiting(connection: Connection, *, now: datetime) -> int:
    """Alerts once a day and store about carts whose case is still open shortly before their pre-authorization ends.

    Shortly is `charge_margin_hours`. Returns how many carts there are.
    """
    config = settings()
    ends_soon = now + timedelta(hours=config.charge_margin_hours - config.token_life_hours)
    carts = 0
    for row in connection.execute(_WAITING, {"started_by": ends_soon}):
        carts += row.carts
        raise_alert(
            connection,
            key=f"bad-carts-before-expiry:{row.store_id}:{now.date()}",
            severity="critical",
            title=f"{row.store_id}: {row.carts} carts wait for a decision and their pre-authorization ends soon",
            what_to_do="decide them: `backroom review list`; what is not decided in time is a lost sale",
            now=now,
            store_id=row.store_id,
        )
    return carts


def _price(connection: Connection, row: Row, now: datetime) -> str:
    cart = _cart(connection, row)
    products = products_of(connection, cart)
    promotions = promotions_for(connection, cart, {product.item_sku for product in products.values()})
    priced = price_cart(cart.items, products, promotions, row.currency)
    if not isinstance(priced, PricedCart):
        ask_about_bad_cart(connection, cart, priced)
        return "still_bad"
    connection.execute(
        update(purchase)
        .where(purchase.c.shopping_trip_id == row.shopping_trip_id)
        .values(state="PRICED", **totals(priced))
    )
    _store_prices(connection, cart, products, priced)
    _open(connection, row, priced.total.amount, now, "PRICED_AFTER_REVIEW")
    return "priced"


def _waive(connection: Connection, row: Row, now: datetime) -> str:
    connection.execute(
        update(purchase).where(purchase.c.shopping_trip_id == row.shopping_trip_id).values(state="SETTLED_OTHERWISE")
    )
    _open(connection, row, Decimal(0), now, "WAIVED_AFTER_REVIEW")
    return "waived"


def _open(connection: Connection, row: Row, total: Decimal, now: datetime, reason: str) -> None:
    open_charge(
        connection,
        shopping_trip_id=row.shopping_trip_id,
        store_id=row.store_id,
        currency=row.currency,
        total=total,
        trip_started_at=row.trip_started_at,
        now=now,
        reason=reason,
    )


def _cart(connection: Connection, row: Row) -> Cart:
    lines = connection.execute(
        text("select * from purchase_line where shopping_trip_id = :trip order by line_number"),
        {"trip": row.shopping_trip_id},
    )
    return Cart(
        request_id=row.request_id,
        shopping_trip_id=row.shopping_trip_id,
        store_id=row.store_id,
        started_at=row.trip_started_at,
        ended_at=row.trip_ended_at,
        auth_events=(),
        items=tuple(
            CartItem(line.line_number, line.item_id, line.item_type, line.quantity, line.unit, line.line_item_id)
            for line in lines
        ),
        shopper_identity=row.shopper_identity,
    )


def _store_prices(
    connection: Connection, cart: Cart, products: dict[tuple[str, str], Product], priced: PricedCart
) -> None:
    connection.execute(
        update(purchase_line).where(
            purchase_line.c.shopping_trip_id == cart.shopping_trip_id,
            purchase_line.c.line_number == bindparam("number"),
        ),
        [
            {
                "number": line.item.line_number,
                "item_sku": products[line.item.item_type, line.item.item_id].item_sku,
                **line_amounts(line),
            }
            for line in priced.lines
        ],
    )
