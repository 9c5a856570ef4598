"""Reads an ordinary cart quickly. Whatever it takes, `PurchasesRequest` takes too and makes the same cart of it.

The rules are those of `purchases_request`; this is a second, narrower reading of them, which knows no complaints: what
it does not take is read there, where each rule has its words. A test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from backroom.entry.wire import INSTANT_PATTERN, UUID_PATTERN
from backroom.purchases.cart import AuthEvent, Cart
from backroom.purchases.pricing import CartItem

_Uuid = Annotated[str, Meta(pattern=UUID_PATTERN, max_length=36)]
_Id = Annotated[str, Meta(min_length=1, max_length=255)]
_Blankable = Annotated[str, Meta(max_length=255)]
_Instant = Annotated[str, Meta(pattern=INSTANT_PATTERN.removesuffix("$") + r"\Z")]  # `$` would let a line end pass
_Quantity = Annotated[str, Meta(pattern=r"^(?:[1-9][0-9]*(?:\.[0-9]+)?|0\.[0-9]*[1-9][0-9]*)\Z", max_length=10)]


class _Struct(msgspec.Struct, rename="camel", gc=False):
    pass


class _Amount(_Struct):
    value: _Quantity
    unit: Literal["unit", "kg", "g", "lb", "oz"]


class _Identifier(_Struct):
    id: _Blankable | None = None
    type: Literal["UPC", "EAN", "EAN8", "ISBN", "GTIN", "PLU"] | None = None


class _Item(_Struct):
    id: _Id
    type: Literal["SKU", "SCANCODE"]
    quantity: _Amount
    external_identifiers: list[_Identifier] | None = None
    line_item_id: _Blankable | None = None


class _ScanResult(_Struct):
    id: _Blankable | None = None
    type: Literal["SHOPPER", "ASSOCIATE", "CASH", "CASH_SHOPPER", "LOYALTY"] | None = None


class _AuthEvent(_Struct):
    id: _Uuid
    payload_type: Literal["FINANCIAL", "SCAN_CODE"]
    timestamp: _Instant | None = None
    location: str | None = None
    scan_result: _ScanResult | None = None


class _Trip(_Struct):
    start_time: _Instant
    end_time: _Instant
    auth_events: Annotated[list[_AuthEvent], Meta(min_length=1)]


class _Named(_Struct):
    id: _Blankable | None = None


class _Purchases(_Struct):
    request_id: _Uuid
    idempotent_shopping_trip_id: _Id
    store_id: _Id
    shopping_trip: _Trip
    cart_items: list[_Item]
    shopper_identity: _Named | None = None
    shopper_device_id: _Blankable | None = None
    payment_source: _Named | None = None


# What the types are is worked out at their first use, and two threads must never do that at once (it ends the process):
# so it is done here, while the module is imported.
with suppress(msgspec.ValidationError):
    msgspec.convert({}, _Purchases)


def read_plain(value: dict[str, Any], locations: Collection[str]) -> Cart | None:
    """The cart of a parsed body; None where it needs the whole reading. `locations`: those of an auth event."""
    try:
        asked = msgspec.convert(value, _Purchases)
    except msgspec.ValidationError:
        return None
    trip, items = asked.shopping_trip, asked.cart_items
    started, ended = _instant(trip.start_time), _instant(trip.end_time)
    named = [item.line_item_id for item in items if item.line_item_id]
    if ended < started or len(set(named)) != len(named):
        return None
    if any([event.location is not None and event.location not in locations for event in trip.auth_events]):
        return None
    return Cart(
        asked.request_id,
        asked.idempotent_shopping_trip_id,
        asked.store_id,
        started,
        ended,
        tuple([_auth_event(event) for event in trip.auth_events]),
        tuple([_item(number, item) for number, item in enumerate(items, 1)]),
        (asked.shopper_identity.id or None) if asked.shopper_identity else None,
    )


def _item(number: int, item: _Item) -> CartItem:
    quantity = item.quantity
    return CartItem(number, item.id, item.type, Decimal(quantity.value), quantity.unit, item.line_item_id)


@lru_cache(maxsize=1024)
def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _auth_event(event: _AuthEvent) -> AuthEvent:
    by_app = event.payload_type == "SCAN_CODE"
    found = event.scan_result
    if found is None:
        return AuthEvent(event.id, by_app)
    return AuthEvent(event.id, by_app, found.id or None, "CASH_SHOPPER" if found.type == "CASH" else found.type)
