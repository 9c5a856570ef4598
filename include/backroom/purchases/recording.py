"""Records a finished cart: prices it, stores it, opens its charge. One transaction, the caller's; no money moves here.

Idempotent by the trip's id: the first answer (always a 201) is stored and repeated byte for byte, also to copies that
arrive at once. Another cart under the same id changes nothing and opens a case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, insert, text
from sqlalchemy.dialects.postgresql import insert as upsert

from backroom.charges.opening import open_charge
from backroom.clock import business_date
from backroom.db.serving import transaction
from backroom.purchases.amounts import line_amounts, totals
from backroom.purchases.cart import Cart, GateRecord, Owner, owner_of
from backroom.purchases.cart_cases import ask_about_another_cart, ask_about_bad_cart, ask_about_unpayable_trip
from backroom.purchases.price_lookup import products_of, promotions_for
from backroom.purchases.pricing import PricedCart, Problem, Product, price_cart
from backroom.purchases.tables import purchase, purchase_line


class UnknownStore(LookupError):
    """The call names a store that is not one of ours."""


@dataclass(frozen=True)
class Recorded:
    """The exact body of the 201, and what became of the cart (for the log)."""

    body: bytes
    outcome: str


def record_purchase(engine: Engine, cart: Cart, raw_body: str, *, now: datetime, new_id: Callable[[], str]) -> Recorded:
    """`record_purchase_in` with a transaction of its own."""
    with transaction(engine) as connection:
        return record_purchase_in(connection, cart, raw_body, now=now, new_id=new_id)


def record_purchase_in(
    connection: Connection, cart: Cart, raw_body: str, *, now: datetime, new_id: Callable[[], str]
) -> Recorded:
    """Records the cart or repeats the answer that it got. `raw_body` is the call's JSON text, `now` when it came.

    The charge and the cases are opened as of the trip's end, which is business time. Raises UnknownStore.
    """
    known = _look_up(connection, cart)
    if known.body_hash is not None:
        return _repeat(connection, cart, raw_body, known)
    if known.currency is None:
        raise UnknownStore(cart.store_id)
    owner = owner_of(cart, _gate_records(known.gate or ()))
    products = products_of(connection, cart) if cart.items else {}
    promotions = promotions_for(connection, cart, {product.item_sku for product in products.values()})
    priced = price_cart(cart.items, products, promotions, known.currency)
    state = _state(cart, owner, priced)
    purchase_id = new_id()
    body = json.dumps({"purchaseId": purchase_id if cart.items else ""}, separators=(",", ":")).encode()
    if not _store(connection, cart, owner, priced, state, known, purchase_id, body, raw_body, now):
        return _repeat(connection, cart, raw_body, _look_up(connection, cart))
    _store_lines(connection, cart, products, priced)
    _follow_up(connection, cart, state, priced, known.currency)
    return Recorded(body, state)


def _follow_up(
    connection: Connection, cart: Cart, state: str, priced: PricedCart | list[Problem], currency: str
) -> None:
    if state == "NOT_CHARGEABLE":
        ask_about_unpayable_trip(connection, cart)
    elif state == "BAD_CART" and isinstance(priced, list):
        ask_about_bad_cart(connection, cart, priced)
    else:
        to_pay = priced.total.amount if state == "PRICED" and isinstance(priced, PricedCart) else Decimal(0)
        open_charge(
            connection,
            shopping_trip_id=cart.shopping_trip_id,
            store_id=cart.store_id,
            currency=currency,
            total=to_pay,
            trip_started_at=cart.started_at,
            now=cart.ended_at,
            reason=state,
        )


def _state(cart: Cart, owner: Owner, priced: PricedCart | list[Problem]) -> str:
    if not cart.payable:
        return "NOT_CHARGEABLE"
    if not cart.items:
        return "EMPTY"
    if not owner.pays_by_card:
        return "SETTLED_OTHERWISE"
    return "BAD_CART" if isinstance(priced, list) else "PRICED"


_KNOWN = text("""
    select store.currency, store.time_zone, prior.body_hash, prior.response_body,
           (select jsonb_agg(jsonb_build_object('id', auth_event_id, 'admitted', status = 200,
                                                'shopper_id', shopper_id, 'shopper_type', shopper_type))
            from gate_decision where auth_event_id = any(cast(:auth_event_ids as text[]))) as gate
    from (select) as always
    left join store on store.store_id = :store_id
    left join purchase as prior on prior.shopping_trip_id = :trip_id
""")


def _look_up(connection: Connection, cart: Cart) -> Row:
    return connection.execute(
        _KNOWN,
        {
            "auth_event_ids": [event.auth_event_id for event in cart.auth_events],
            "store_id": cart.store_id,
            "trip_id": cart.shopping_trip_id,
        },
    ).one()


def _gate_records(rows: Sequence[Mapping[str, Any]]) -> dict[str, GateRecord]:
    return {row["id"]: GateRecord(row["admitted"], row["shopper_id"], row["shopper_type"]) for row in rows}


def _repeat(connection: Connection, cart: Cart, raw_body: str, known: Row) -> Recorded:
    if known.body_hash != cart.meaning():
        ask_about_another_cart(connection, cart, raw_body)
        return Recorded(bytes(known.response_body), "DIFFERENT_CART")
    return Recorded(bytes(known.response_body), "REPEATED")


def _store(
    connection: Connection,
    cart: Cart,
    owner: Owner,
    priced: PricedCart | list[Problem],
    state: str,
    known: Row,
    purchase_id: str,
    body: bytes,
    raw_body: str,
    now: datetime,
) -> bool:
    """False where a copy of the call has stored the trip already. Waits for a copy that is about to."""
    made = connection.scalar(
        _INSERT,
        {
            "purchase_id": purchase_id,
            "shopping_trip_id": cart.shopping_trip_id,
            "request_id": cart.request_id,
            "store_id": cart.store_id,
            "business_date": business_date(cart.ended_at, known.time_zone),
            "entry_method": owner.entry_method,
            "shopper_id": owner.shopper_id,
            "shopper_type": owner.shopper_type,
            "shopper_identity": cart.shopper_identity,
            "trip_started_at": cart.started_at,
            "trip_ended_at": cart.ended_at,
            "state": state,
            "currency": known.currency,
            **totals(priced),
            "body_hash": cart.meaning(),
            "raw_text": raw_body,
            "response_body": body,
            "received_at": now,
        },
    )
    return made is not None


# The raw body goes in as the text that came: PostgreSQL's jsonb keeps every digit of a number, a float would not.
_INSERT = (
    upsert(purchase)
    .values(
        {
            column.name: text("cast(:raw_text as jsonb)") if column is purchase.c.raw_body else bindparam(column.name)
            for column in purchase.c
        }
    )
    .on_conflict_do_nothing(index_elements=["shopping_trip_id"])
    .returning(purchase.c.purchase_id)
)


def _store_lines(
    connection: Connection,
    cart: Cart,
    products: Mapping[tuple[str, str], Product],
    priced: PricedCart | list[Problem],
) -> None:
    """A cart that has no price keeps its lines without amounts: they are priced once it has been resolved."""
    amounts = {} if isinstance(priced, list) else {line.item.line_number: line for line in priced.lines}
    rows = []
    for item in cart.items:
        product = products.get((item.item_type, item.item_id))
        rows.append(
            {
                "shopping_trip_id": cart.shopping_trip_id,
                "line_number": item.line_number,
                "line_item_id": item.line_item_id,
                "item_id": item.item_id,
                "item_type": item.item_type,
                "item_sku": product.item_sku if product else None,
                "quantity": item.quantity,
                "unit": item.unit,
                **line_amounts(amounts.get(item.line_number)),
            }
        )
    if rows:
        connection.execute(insert(purchase_line), rows)
