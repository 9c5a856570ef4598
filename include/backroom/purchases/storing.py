"""Stores finished carts: purchase, lines and charge of each, and that its stock is to be moved, in one statement.

Takes any number of carts at a time, each whole or not at all. Its cost grows with carts and lines; what one statement
and one commit cost is shared by all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection, Engine

from backroom.charges.opening import OPEN_CHARGE, OPENING_COLUMNS, opening
from backroom.clock import business_date
from backroom.db.serving import Statement
from backroom.entry.card_of_trip import CARD_OF_TRIP
from backroom.purchases.amounts import totals
from backroom.purchases.cart import Cart, Owner
from backroom.purchases.line_rows import LINE, LINE_COLUMNS, LINE_VALUES, lines_json
from backroom.purchases.minor_units import text
from backroom.purchases.pricing import PricedCart, Problem, Product


@dataclass(frozen=True, slots=True)
class Purchase:
    """A cart with all that was found out about it.

    `shelf_version` is given where the price came from a shelf in memory: then the cart is stored only if that version
    still stands, nobody on the trip was refused at our gate, and the basket has no promotion of its own.
    """

    cart: Cart
    owner: Owner
    products: Mapping[tuple[str, str], Product]
    priced: PricedCart | list[Problem]
    priced_by: str
    currency: str
    time_zone: str
    state: str
    purchase_id: str
    raw_body: str
    received_at: datetime
    shelf_version: int | None = None

    @property
    def answer(self) -> str:
        """The body of the 201, repeated byte for byte: an empty cart has no purchase id."""
        return f'{{"purchaseId":"{self.purchase_id if self.cart.items else ""}"}}'

    @property
    def to_pay(self) -> Decimal | None:
        """What the charge is opened with, in `currency`; None where none is opened (yet)."""
        if self.state in ("NOT_CHARGEABLE", "BAD_CART"):
            return None
        return (
            self.priced.total.amount if self.state == "PRICED" and isinstance(self.priced, PricedCart) else Decimal(0)
        )


def state_of(cart: Cart, owner: Owner, priced: PricedCart | list[Problem]) -> str:
    """What becomes of the cart. Source: inbound.md, 5."""
    if not cart.payable:
        return "NOT_CHARGEABLE"
    if not cart.items:
        return "EMPTY"
    if not owner.pays_by_card:
        return "SETTLED_OTHERWISE"
    return "BAD_CART" if isinstance(priced, list) else "PRICED"


def store(database: Engine | Connection, purchases: Sequence[Purchase]) -> set[str]:
    """The ids of the trips that were stored; others had been already, or their shelf does not stand any more.

    No trip may be there twice. Waits for another process that is about to store one of them.
    """
    carts = orjson.dumps([_cart_row(purchase) for purchase in purchases], default=str).decode()
    return set(_STORE.one(database, {"carts": carts, "lines": lines_json(purchases)}).stored or ())


# What a cart from a shelf relies on. A card's token is the one that Amazon asked about at the gate, where it did.
_STORE = Statement(f"""
    with cart as materialized (
        select * from json_to_recordset(%(carts)s::json) as cart (
            purchase_id text, shopping_trip_id text, request_id text, store_id text, business_date date,
            entry_method text, shopper_id text, shopper_type text, shopper_identity text, trip_started_at timestamptz,
            trip_ended_at timestamptz, state text, currency text, list_total numeric, promotion_total numeric,
            tax_total numeric, tax_included_total numeric, total numeric, priced_by text, body_hash text,
            raw_body json, answer text, received_at timestamptz, shelf_version bigint, by_card boolean,
            app_event_ids text[],
            {OPENING_COLUMNS})
    ), purchased as (
        insert into purchase (
            purchase_id, shopping_trip_id, request_id, store_id, business_date, entry_method, shopper_id, shopper_type,
            shopper_identity, trip_started_at, trip_ended_at, state, currency, list_total, promotion_total, tax_total,
            tax_included_total, total, priced_by, body_hash, raw_body, response_body, received_at)
        select purchase_id, shopping_trip_id, request_id, store_id, business_date, entry_method, shopper_id,
            shopper_type,
            case when by_card then coalesce(({CARD_OF_TRIP.format(trip="cart.shopping_trip_id")}), shopper_identity)
                 else shopper_identity end,
            trip_started_at, trip_ended_at, state, currency, list_total, promotion_total, tax_total, tax_included_total,
            total, priced_by, body_hash, raw_body, convert_to(answer, 'UTF8'), received_at
        from cart
        where shelf_version is null or (
            (select true from price_book_version as book
             where book.store_id = cart.store_id and book.version = cart.shelf_version limit 1)
            and (select true from gate_decision as gate
                 where gate.auth_event_id = any(cart.app_event_ids)
                   and (gate.status <> 200 or gate.auth_event_id = cart.app_event_ids[1]
                        and (gate.shopper_id, gate.shopper_type) is distinct from (cart.shopper_id, cart.shopper_type))
                 limit 1) is null
            and (select true from promotion as own
                 where own.store_id = cart.store_id and own.shopping_trip_id = cart.shopping_trip_id limit 1) is null)
        on conflict (shopping_trip_id) do nothing
        returning shopping_trip_id
    ), lined as (
        insert into purchase_line ({LINE_COLUMNS})
        select {LINE_VALUES} from json_to_recordset(%(lines)s::json) as line ({LINE})
        where x in (select shopping_trip_id from purchased)
    ), moving as (
        insert into stock_due (shopping_trip_id, store_id)
        select cart.shopping_trip_id, cart.store_id from cart join purchased using (shopping_trip_id)
    ), to_charge as (
        select cart.* from cart join purchased using (shopping_trip_id) where charge_total is not null
    ), {OPEN_CHARGE.format(source="to_charge")}
    select array_agg(shopping_trip_id) as stored from purchased
""")  # noqa: S608 - constants of the code


def _cart_row(purchase: Purchase) -> dict[str, Any]:
    cart, owner, to_pay = purchase.cart, purchase.owner, purchase.to_pay
    row: dict[str, Any] = {
        "purchase_id": purchase.purchase_id,
        "shopping_trip_id": cart.shopping_trip_id,
        "request_id": cart.request_id,
        "store_id": cart.store_id,
        "business_date": business_date(cart.ended_at, purchase.time_zone),
        "entry_method": owner.entry_method,
        "shopper_id": owner.shopper_id,
        "shopper_type": owner.shopper_type,
        "shopper_identity": cart.shopper_identity,
        "by_card": owner.entry_method == "CREDIT_CARD",
        "trip_started_at": cart.started_at,
        "trip_ended_at": cart.ended_at,
        "state": purchase.state,
        "currency": purchase.currency,
        **totals(purchase.priced, text),
        "priced_by": purchase.priced_by,
        "body_hash": cart.meaning(),
        "raw_body": orjson.Fragment(purchase.raw_body),  # as it came, digit by digit
        "answer": purchase.answer,
        "received_at": purchase.received_at,
        "shelf_version": purchase.shelf_version,
        "app_event_ids": [event.auth_event_id for event in cart.auth_events if event.by_app],
    }
    if to_pay is not None:
        row |= opening(total=to_pay, trip_started_at=cart.started_at, now=cart.ended_at, reason=purchase.state)
    return row
