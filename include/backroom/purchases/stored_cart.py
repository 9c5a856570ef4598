"""A cart that is stored without a price, read back: its lines as they came, and what a person has said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Connection, Row, text

from backroom.purchases.cart import AuthEvent, Cart
from backroom.purchases.pricing import CartItem
from backroom.purchases.purchases_request import PurchasesRequest
from backroom.settings import settings

COLUMNS: Final = """
    purchase.shopping_trip_id, purchase.store_id, purchase.state, purchase.currency, purchase.request_id,
    purchase.trip_started_at, purchase.trip_ended_at, purchase.shopper_id, purchase.shopper_identity,
    purchase.raw_body, store.prices_include_tax, store.pricing_provider
"""
"""What `read_carts` needs of each row of `purchase join store`."""

_LINES = text("""
    select shopping_trip_id, line_number, line_item_id, item_id, item_type, item_sku, quantity, unit, mapped_at,
           dropped_at
    from purchase_line where shopping_trip_id = any(cast(:trips as text[])) order by shopping_trip_id, line_number
""")


@dataclass(frozen=True)
class StoredLine:
    """A line as it came. `item_sku` is what it was taken for: by look-up, or by a person where `mapped_at` is set."""

    line_number: int
    line_item_id: str | None
    item_id: str
    item_type: str
    item_sku: str | None
    quantity: Decimal
    unit: str
    mapped_at: datetime | None
    dropped_at: datetime | None

    @property
    def item(self) -> CartItem:
        """What is priced: the mapped product, else what came, looked up anew."""
        if self.mapped_at is not None and self.item_sku is not None:
            return CartItem(self.line_number, self.item_sku, "SKU", self.quantity, self.unit, self.line_item_id)
        return CartItem(self.line_number, self.item_id, self.item_type, self.quantity, self.unit, self.line_item_id)


@dataclass(frozen=True)
class StoredCart:
    """`cart` holds the lines that stand, as they are to be priced; `lines` all that came. `shopper_id`: whose trip."""

    cart: Cart
    lines: tuple[StoredLine, ...]
    currency: str
    prices_include_tax: bool
    priced_by: str
    shopper_id: str | None


def read_carts(connection: Connection, rows: Sequence[Row]) -> list[StoredCart]:
    """The carts of these rows (`COLUMNS`), in their order; all lines in one query."""
    if not rows:
        return []
    lines: dict[str, list[StoredLine]] = defaultdict(list)
    for found in connection.execute(_LINES, {"trips": [row.shopping_trip_id for row in rows]}):
        trip_id, *values = found
        lines[trip_id].append(StoredLine(*values))
    return [_stored(row, tuple(lines[row.shopping_trip_id])) for row in rows]


def _stored(row: Row, lines: tuple[StoredLine, ...]) -> StoredCart:
    cart = Cart(
        request_id=row.request_id,
        shopping_trip_id=row.shopping_trip_id,
        store_id=row.store_id,
        started_at=row.trip_started_at,
        ended_at=row.trip_ended_at,
        auth_events=_auth_events(row.raw_body),
        items=tuple(line.item for line in lines if line.dropped_at is None),
        shopper_identity=row.shopper_identity,
    )
    # A person decides with our own price book at hand, also where the store's point of sale prices carts.
    priced_by = "PRICE_BOOK" if row.pricing_provider == "PRICE_BOOK" else "PRICE_BOOK_FALLBACK"
    return StoredCart(cart, lines, row.currency, row.prices_include_tax, priced_by, row.shopper_id)


def _auth_events(raw_body: Mapping[str, Any]) -> tuple[AuthEvent, ...]:
    """Who came in and what was scanned, for loyalty; nobody where the body would not be taken by today's rules."""
    try:
        asked = PurchasesRequest.model_validate(raw_body, context={"locations": settings().auth_event_locations})
    except ValidationError:
        return ()
    return asked.cart().auth_events
