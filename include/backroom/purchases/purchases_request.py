"""The body of `POST /v1/order/purchases` (inbound.md, 5)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from backroom.entry.wire import BlankableIdentifier, Identifier, Instant, Location, Uuid, WireModel
from backroom.purchases.cart import AuthEvent, Cart
from backroom.purchases.pricing import CartItem

_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_ABOVE_ZERO = r"^(?:[0-9]*[1-9][0-9]*(?:\.[0-9]+)?|0+\.[0-9]*[1-9][0-9]*)$"  # the same in one pattern, for the schema


def _quantity(value: str) -> str:
    if not _QUANTITY.fullmatch(value):
        raise ValueError("not a plain decimal number such as 1.5")
    if not value.strip("0."):
        raise ValueError("not above zero")
    return value


def _unique_line_ids(items: list[CartItemField]) -> list[CartItemField]:
    given = [item.line_item_id for item in items if item.line_item_id]
    if len(set(given)) != len(given):
        raise ValueError("a lineItemId is there twice")
    return items


class QuantityField(WireModel):
    """How much of it: text, so that no digit is lost."""

    value: Annotated[
        str,
        StringConstraints(max_length=10),
        AfterValidator(_quantity),
        Field(json_schema_extra={"pattern": _ABOVE_ZERO}),
    ]
    unit: Literal["unit", "kg", "g", "lb", "oz"]


class ExternalIdentifierField(WireModel):
    """Another name of the item."""

    id: BlankableIdentifier | None = None
    type: Literal["UPC", "EAN", "EAN8", "ISBN", "GTIN", "PLU"] | None = None


class CartItemField(WireModel):
    """A line of the cart."""

    id: Identifier
    type: Literal["SKU", "SCANCODE"]
    quantity: QuantityField
    external_identifiers: list[ExternalIdentifierField] | None = None
    line_item_id: BlankableIdentifier | None = None


class ScanResultField(WireModel):
    """Whom the gate let in, by the id that we gave there."""

    id: BlankableIdentifier | None = None
    type: Literal["SHOPPER", "ASSOCIATE", "CASH", "CASH_SHOPPER", "LOYALTY"] | None = None


class AuthEventField(WireModel):
    """One entry of the trip; a group trip has several."""

    id: Uuid
    payload_type: Literal["FINANCIAL", "SCAN_CODE"]
    timestamp: Instant | None = None
    location: Location | None = None
    scan_result: ScanResultField | None = None


class ShoppingTripField(WireModel):
    """From when to when, and who came in. `endTime` is not before `startTime`."""

    start_time: Instant
    end_time: Instant
    auth_events: Annotated[list[AuthEventField], Field(min_length=1)]

    @model_validator(mode="after")
    def _forward(self) -> ShoppingTripField:
        if self.end_time < self.start_time:
            raise ValueError("endTime is before startTime")
        return self


class IdField(WireModel):
    """An object that only names something."""

    id: BlankableIdentifier | None = None


class PurchasesRequest(WireModel):
    """A shopper has left, and this is what they took. Each `lineItemId` is there once."""

    request_id: Uuid
    idempotent_shopping_trip_id: Identifier
    store_id: Identifier
    shopping_trip: ShoppingTripField
    cart_items: Annotated[list[CartItemField], AfterValidator(_unique_line_ids)]
    shopper_identity: IdField | None = None
    shopper_device_id: BlankableIdentifier | None = None
    payment_source: IdField | None = None

    def cart(self) -> Cart:
        """In the terms of purchases: lines numbered from 1 in the order they came, CASH spelled CASH_SHOPPER."""
        return Cart(
            request_id=self.request_id,
            shopping_trip_id=self.idempotent_shopping_trip_id,
            store_id=self.store_id,
            started_at=self.shopping_trip.start_time,
            ended_at=self.shopping_trip.end_time,
            auth_events=tuple(_auth_event(event) for event in self.shopping_trip.auth_events),
            items=tuple(
                CartItem(
                    number, item.id, item.type, Decimal(item.quantity.value), item.quantity.unit, item.line_item_id
                )
                for number, item in enumerate(self.cart_items, 1)
            ),
            shopper_identity=(self.shopper_identity.id or None) if self.shopper_identity else None,
        )


def _auth_event(event: AuthEventField) -> AuthEvent:
    found = event.scan_result or ScanResultField()
    kind = "CASH_SHOPPER" if found.type == "CASH" else found.type
    return AuthEvent(event.id, event.payload_type == "SCAN_CODE", found.id or None, kind)
