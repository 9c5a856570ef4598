"""Carts that could not be priced, once a person has decided: priced and charged after all, or charged nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, text, update

from backroom.alerts import raise_alert
from backroom.purchases import stored_cart
from backroom.purchases.cart_cases import ask_about_bad_cart
from backroom.purchases.cart_settlement import charge_stored, open_cart_charge, price_stored
from backroom.purchases.cart_stock import take_out_of_stock
from backroom.purchases.pricing import PricedCart
from backroom.purchases.stored_cart import StoredCart
from backroom.purchases.tables import purchase
from backroom.settings import settings

# The newest decision of each cart that still has no price. A cart that stays so is asked about anew.
_DECIDED = text(f"""
    select {stored_cart.COLUMNS}, latest.decision
    from purchase join store using (store_id)
    cross join lateral (
        select decision from review_case
        where kind = 'BAD_CART' and subject = purchase.shopping_trip_id order by case_id desc limit 1
    ) as latest
    where purchase.state = 'BAD_CART' and latest.decision in ('price_again', 'charge_nothing')
    order by purchase.shopping_trip_id for update of purchase skip locked
""")  # noqa: S608 - constants only

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
    rows = connection.execute(_DECIDED).all()
    for row, stored in zip(rows, stored_cart.read_carts(connection, rows), strict=True):
        act = _waive if row.decision == "charge_nothing" else _price
        done[act(connection, stored, now)] += 1
    return done


def warn_of_waiting(connection: Connection, *, now: datetime) -> int:
    """Alerts once a day and store about carts that still wait shortly before they are charged in part.

    Shortly is `bad_cart_warning_hours`. Returns how many carts there are.
    """
    config = settings()
    hours = config.token_life_hours - config.bad_cart_margin_hours - config.bad_cart_warning_hours
    carts = 0
    for row in connection.execute(_WAITING, {"started_by": now - timedelta(hours=hours)}):
        carts += row.carts
        raise_alert(
            connection,
            key=f"bad-carts-before-expiry:{row.store_id}:{now.date()}",
            severity="critical",
            title=f"{row.store_id}: {row.carts} carts wait for a decision; soon only their known lines are charged",
            what_to_do="`backroom carts list` shows them, `backroom carts resolve` settles one; what is not resolved "
            "in time is a lost sale",
            now=now,
            store_id=row.store_id,
        )
    return carts


def _price(connection: Connection, stored: StoredCart, now: datetime) -> str:
    priced = price_stored(connection, stored)
    if not isinstance(priced, PricedCart):
        ask_about_bad_cart(connection, stored.cart, priced)
        return "still_bad"
    charge_stored(connection, stored, priced, now=now, reason="PRICED_AFTER_REVIEW")
    return "priced"


def _waive(connection: Connection, stored: StoredCart, now: datetime) -> str:
    connection.execute(
        update(purchase)
        .where(purchase.c.shopping_trip_id == stored.cart.shopping_trip_id)
        .values(state="SETTLED_OTHERWISE")
    )
    take_out_of_stock(connection, stored, now=now)
    open_cart_charge(connection, stored, Decimal(0), now=now, reason="WAIVED_AFTER_REVIEW")
    return "waived"
