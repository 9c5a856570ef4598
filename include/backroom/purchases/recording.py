"""Records a finished cart: its price, and one statement that stores it all. Idempotent by its trip.

Nearly every cart is priced from the shelf in memory and costs that one statement, which makes sure that nothing speaks
against it. Any other (a copy, an item that is not known, a store that another prices, …) is looked up first.

Purchase, lines, charge and stock movements go in together or not at all. A copy of the call waits for the first and then
repeats its answer; another cart under the same trip gets that answer too, and a person is asked. Source: inbound.md, 5.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import orjson
from sqlalchemy import Connection, Engine

from backroom.charges.opening import OPEN_CHARGE, opening
from backroom.clock import business_date
from backroom.db.serving import Statement, transaction
from backroom.inventory.movements import in_sold_by_unit, sale_rows
from backroom.purchases.amounts import line_amounts, totals
from backroom.purchases.cart import Cart, Owner, owner_of
from backroom.purchases.cart_cases import ask_about_another_cart, ask_about_bad_cart, ask_about_unpayable_trip
from backroom.purchases.cart_facts import CartFacts, look_up
from backroom.purchases.pricing import PricedCart, Problem, Product, price_cart
from backroom.purchases.shelf import Shelves


class UnknownStore(LookupError):
    """The call names a store that is not one of ours."""


class PriceElsewhere(Protocol):
    """Asks whoever prices the store's carts, outside of any transaction."""

    def __call__(self, cart: Cart, facts: CartFacts, owner: Owner) -> PricedCart | list[Problem] | None:
        """The price or what stands in its way; None where no good answer came: then the price book counts."""


@dataclass(frozen=True)
class Recorded:
    """The exact body of the 201, and what became of the cart (for the log)."""

    body: bytes
    outcome: str


def record_purchase(
    database: Engine | Connection,
    cart: Cart,
    raw_body: str,
    *,
    now: datetime,
    new_id: Callable[[], str],
    price_elsewhere: PriceElsewhere | None = None,
    shelves: Shelves | None = None,
) -> Recorded:
    """Records the cart or repeats the answer that it got. `raw_body` is the call's JSON text, `now` when it came.

    On an Engine it commits by itself; on a Connection it is part of that transaction. The charge and the cases are
    opened as of the trip's end, which is business time. Raises UnknownStore.
    """
    if shelves is not None and isinstance(database, Engine):
        at_once = _record_at_once(database, cart, raw_body, now=now, new_id=new_id, shelves=shelves)
        if at_once is not None:
            return at_once
    facts = look_up(database, cart)
    if facts.body_hash is not None:
        return _repeat(database, cart, raw_body, facts)
    if facts.currency is None:
        raise UnknownStore(cart.store_id)
    owner = owner_of(cart, facts.gate)
    priced, priced_by = _price(cart, facts, owner, price_elsewhere)
    purchase = _Purchase(
        cart, owner, facts.products, priced, priced_by, facts.currency, facts.time_zone, new_id(), facts.card_identity
    )
    stored = _store(database, purchase, raw_body, now)
    return purchase.recorded if stored else _repeat(database, cart, raw_body, look_up(database, cart))


def _record_at_once(
    engine: Engine, cart: Cart, raw_body: str, *, now: datetime, new_id: Callable[[], str], shelves: Shelves
) -> Recorded | None:
    """Prices from the shelf and stores; None, and nothing done, where the cart needs a closer look."""
    owner = owner_of(cart, {})
    if (
        not cart.items
        or not cart.payable
        or (owner.entry_method == "APP" and None in (owner.shopper_id, owner.shopper_type))
    ):
        return None
    shelf = shelves.of(engine, cart)
    if shelf is None or shelf.pricing_provider != "PRICE_BOOK":
        return None
    products = shelf.products(cart)
    promotions = shelf.promotions(cart, loyalty_possible=bool(cart.loyalty_ids or owner.shopper_id))
    if products is None or promotions is None:
        return None
    priced = price_cart(cart.items, products, promotions, shelf.currency, prices_include_tax=shelf.prices_include_tax)
    if not isinstance(priced, PricedCart):
        return None
    purchase = _Purchase(cart, owner, products, priced, "PRICE_BOOK", shelf.currency, shelf.time_zone, new_id())
    guards = {
        "version": shelf.version,
        "by_card": owner.entry_method == "CREDIT_CARD",
        "app_event_ids": [event.auth_event_id for event in cart.auth_events if event.by_app],
    }
    if _STORE_AT_ONCE.one(engine, _parameters(purchase, raw_body, now) | guards) is not None:
        return purchase.recorded
    shelves.drop(cart.store_id)
    return None


def _price(
    cart: Cart, facts: CartFacts, owner: Owner, price_elsewhere: PriceElsewhere | None
) -> tuple[PricedCart | list[Problem], str]:
    if facts.pricing_provider == "POINT_OF_SALE" and cart.items:
        priced = price_elsewhere(cart, facts, owner) if price_elsewhere else None
        if priced is not None:
            return priced, "POINT_OF_SALE"
    by_book = price_cart(
        cart.items,
        facts.products,
        facts.promotions(cart, owner.shopper_id),
        facts.currency or "",
        prices_include_tax=facts.prices_include_tax,
    )
    return by_book, "PRICE_BOOK" if facts.pricing_provider == "PRICE_BOOK" else "PRICE_BOOK_FALLBACK"


@dataclass(frozen=True)
class _Purchase:
    """A cart with all that was found out about it."""

    cart: Cart
    owner: Owner
    products: Mapping[tuple[str, str], Product]
    priced: PricedCart | list[Problem]
    priced_by: str
    currency: str
    time_zone: str
    purchase_id: str
    card_identity: str | None = None

    @property
    def recorded(self) -> Recorded:
        """The answer: an empty cart has no purchase id."""
        return Recorded(b'{"purchaseId":"%s"}' % (self.purchase_id.encode() if self.cart.items else b""), self.state)

    @property
    def state(self) -> str:
        if not self.cart.payable:
            return "NOT_CHARGEABLE"
        if not self.cart.items:
            return "EMPTY"
        if not self.owner.pays_by_card:
            return "SETTLED_OTHERWISE"
        return "BAD_CART" if isinstance(self.priced, list) else "PRICED"

    @property
    def to_pay(self) -> Decimal | None:
        """What the charge is opened with; None where none is opened (yet)."""
        if self.state in ("NOT_CHARGEABLE", "BAD_CART"):
            return None
        return (
            self.priced.total.amount if self.state == "PRICED" and isinstance(self.priced, PricedCart) else Decimal(0)
        )

    @property
    def shopper_identity(self) -> str | None:
        """Amazon's token for the card: from the authorization at the gate, else from the call."""
        if self.owner.entry_method == "CREDIT_CARD":
            return self.card_identity or self.cart.shopper_identity
        return self.cart.shopper_identity


def _store(database: Engine | Connection, purchase: _Purchase, raw_body: str, now: datetime) -> bool:
    """False where a copy of the call has stored the trip already. Waits for a copy that is about to."""
    parameters = _parameters(purchase, raw_body, now)
    if purchase.to_pay is not None:
        return _made(_STORE.one(database, parameters))
    if isinstance(database, Engine):
        with transaction(database) as connection:
            return _store_and_ask(connection, purchase, parameters)
    return _store_and_ask(database, purchase, parameters)


def _store_and_ask(connection: Connection, purchase: _Purchase, parameters: Mapping[str, Any]) -> bool:
    if not _made(_STORE_UNCHARGED.one(connection, parameters)):
        return False
    if purchase.state == "NOT_CHARGEABLE":
        ask_about_unpayable_trip(connection, purchase.cart)
    elif isinstance(purchase.priced, list):
        ask_about_bad_cart(connection, purchase.cart, purchase.priced)
    return True


def _made(row: Any) -> bool:
    return row is not None


def _repeat(database: Engine | Connection, cart: Cart, raw_body: str, facts: CartFacts) -> Recorded:
    if facts.body_hash == cart.meaning():
        return Recorded(facts.response_body, "REPEATED")
    if isinstance(database, Engine):
        with transaction(database) as connection:
            ask_about_another_cart(connection, cart, raw_body)
    else:
        ask_about_another_cart(database, cart, raw_body)
    return Recorded(facts.response_body, "DIFFERENT_CART")


# The raw body goes in as the text that came: PostgreSQL's jsonb keeps every digit of a number, a float would not.
_PURCHASE = """
    with purchased as (
        insert into purchase (
            purchase_id, shopping_trip_id, request_id, store_id, business_date, entry_method, shopper_id, shopper_type,
            shopper_identity, trip_started_at, trip_ended_at, state, currency, list_total, promotion_total, tax_total,
            tax_included_total, total, priced_by, body_hash, raw_body, response_body, received_at)
        select
            %(purchase_id)s, %(shopping_trip_id)s::text, %(request_id)s, %(store_id)s::text, %(business_date)s, %(entry_method)s,
            %(shopper_id)s, %(shopper_type)s, {identity}, %(trip_started_at)s, %(trip_ended_at)s, %(state)s,
            %(currency)s, %(list_total)s, %(promotion_total)s, %(tax_total)s, %(tax_included_total)s, %(total)s,
            %(priced_by)s, %(body_hash)s, %(raw_body)s::jsonb, %(response_body)s, %(now)s
        {guards}
        on conflict (shopping_trip_id) do nothing
        returning shopping_trip_id, store_id, currency
    ), lined as (
        insert into purchase_line (
            shopping_trip_id, line_number, line_item_id, item_id, item_type, item_sku, quantity, unit, list_price,
            price_unit, list_amount, promotions, promotion_amount, product_tax_code, tax_rate, tax_jurisdiction,
            tax_amount, tax_included, total)
        select purchased.shopping_trip_id, line.*
        from purchased, json_to_recordset(%(lines)s::json) as line (
            line_number int, line_item_id text, item_id text, item_type text, item_sku text, quantity numeric,
            unit text, list_price numeric, price_unit text, list_amount numeric, promotions jsonb,
            promotion_amount numeric, product_tax_code text, tax_rate numeric, tax_jurisdiction text,
            tax_amount numeric, tax_included boolean, total numeric)
    ), moved as (
        insert into stock_movement (store_id, item_sku, source, kind, quantity, unit, happened_at, recorded_at)
        select purchased.store_id, sold.item_sku, purchased.shopping_trip_id, 'SALE', sold.quantity, sold.unit,
               %(trip_ended_at)s, %(now)s
        from purchased, json_to_recordset(%(sold)s::json) as sold (item_sku text, quantity numeric, unit text)
        on conflict do nothing
    )"""
_LOOKED_UP = _PURCHASE.format(identity="%(shopper_identity)s::text", guards="")
_STORE_UNCHARGED = Statement(f"{_LOOKED_UP} select shopping_trip_id from purchased")  # noqa: S608
_CHARGED = f", {OPEN_CHARGE.format(source='purchased')} select shopping_trip_id from purchased"  # noqa: S608
_STORE = Statement(_LOOKED_UP + _CHARGED)
# What a cart from the shelf relies on: the shelf's version stands, nobody on the trip was refused at our gate, and the
# basket has no promotion of its own. A card's token is the one that Amazon asked about, where it did.
_GUARDS = """
    where exists (select from price_book_version where store_id = %(store_id)s::text and version = %(version)s)
      and not exists (select from gate_decision where auth_event_id = any(%(app_event_ids)s::text[]) and status <> 200)
      and not exists (select from promotion where store_id = %(store_id)s::text and shopping_trip_id = %(shopping_trip_id)s::text)
"""
_CARD = """
    case when %(by_card)s::boolean then coalesce((
        select asked.shopper_identity from shopper_authorization as asked
        where asked.shopping_trip_id = %(shopping_trip_id)s::text
        order by asked.authorized desc, asked.received_at desc limit 1), %(shopper_identity)s::text)
    else %(shopper_identity)s::text end
"""
_STORE_AT_ONCE = Statement(_PURCHASE.format(identity=_CARD, guards=_GUARDS) + _CHARGED)


def _parameters(purchase: _Purchase, raw_body: str, now: datetime) -> dict[str, Any]:
    cart, owner = purchase.cart, purchase.owner
    parameters: dict[str, Any] = {
        "purchase_id": purchase.purchase_id,
        "shopping_trip_id": cart.shopping_trip_id,
        "request_id": cart.request_id,
        "store_id": cart.store_id,
        "business_date": business_date(cart.ended_at, purchase.time_zone),
        "entry_method": owner.entry_method,
        "shopper_id": owner.shopper_id,
        "shopper_type": owner.shopper_type,
        "shopper_identity": purchase.shopper_identity,
        "trip_started_at": cart.started_at,
        "trip_ended_at": cart.ended_at,
        "state": purchase.state,
        "currency": purchase.currency,
        **totals(purchase.priced),
        "priced_by": purchase.priced_by,
        "body_hash": cart.meaning(),
        "raw_body": raw_body,
        "response_body": purchase.recorded.body,
        "now": now,
        "lines": _json(list(_lines(purchase))),
        "sold": _json([row._asdict() for row in sale_rows(_goods(purchase))]),
    }
    if purchase.to_pay is not None:
        parameters |= opening(
            total=purchase.to_pay, trip_started_at=cart.started_at, now=cart.ended_at, reason=purchase.state
        )
    return parameters


def _json(rows: list[dict[str, Any]]) -> str:
    """Decimals as text, which PostgreSQL reads exactly."""
    return orjson.dumps(rows, default=str).decode()


def _lines(purchase: _Purchase) -> Iterator[dict[str, Any]]:
    """A cart that has no price keeps its lines without amounts: they are priced once it has been resolved."""
    priced = (
        {} if isinstance(purchase.priced, list) else {line.item.line_number: line for line in purchase.priced.lines}
    )
    for item in purchase.cart.items:
        line = priced.get(item.line_number)
        product = line.product if line else purchase.products.get((item.item_type, item.item_id))
        yield {
            "line_number": item.line_number,
            "line_item_id": item.line_item_id,
            "item_id": item.item_id,
            "item_type": item.item_type,
            "item_sku": product.item_sku if product else None,
            "quantity": item.quantity,
            "unit": item.unit,
            **line_amounts(line),
        }


def _goods(purchase: _Purchase) -> Iterator[tuple[str, Decimal, str]]:
    """What left the store and is known to us, whoever pays for it: (SKU, quantity, in the unit that it is sold by)."""
    for item in purchase.cart.items:
        product = purchase.products.get((item.item_type, item.item_id))
        if product is None:
            continue
        quantity = in_sold_by_unit(item.quantity, item.unit, product.sold_by)
        if quantity is not None:
            yield product.item_sku, quantity, product.sold_by
