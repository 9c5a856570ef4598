"""A finished cart as it was handed over, and what follows from it alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import orjson

from backroom.purchases.pricing import CartItem

LOYALTY = "LOYALTY"  # the type of a scan result that names a loyalty account, not a shopper
NOT_PAID_BY_CARD = frozenset({"ASSOCIATE", "CASH_SHOPPER"})
_PAYABLE_TRIP_ID = re.compile(r"[0-9a-zA-Z_-]+", re.ASCII)


@dataclass(frozen=True)
class AuthEvent:
    """One entry of the trip. `shopper_id` and `shopper_type` are those of the scan result, where there was one."""

    auth_event_id: str
    by_app: bool
    shopper_id: str | None = None
    shopper_type: str | None = None


@dataclass(frozen=True)
class GateRecord:
    """What our gate answered to an auth event: whether it opened, and for whom."""

    admitted: bool
    shopper_id: str | None
    shopper_type: str | None


@dataclass(frozen=True)
class Cart:
    """A finished trip. Times are UTC; the trip is priced as of `ended_at`."""

    request_id: str
    shopping_trip_id: str
    store_id: str
    started_at: datetime
    ended_at: datetime
    auth_events: tuple[AuthEvent, ...]
    items: tuple[CartItem, ...]
    shopper_identity: str | None = None

    @property
    def loyalty_ids(self) -> tuple[str, ...]:
        """The loyalty accounts that were scanned during the trip: what they were given counts for its price."""
        scanned = [event.shopper_id for event in self.auth_events if event.shopper_type == LOYALTY]
        return tuple(dict.fromkeys(loyalty_id for loyalty_id in scanned if loyalty_id))

    @property
    def payable(self) -> bool:
        """Whether the payment service takes the trip's id (ours: payments.md's pattern)."""
        return _PAYABLE_TRIP_ID.fullmatch(self.shopping_trip_id) is not None

    def meaning(self) -> str:
        """A hash of what was bought, where, until when and by whom: equal for copies, whatever their request ids."""
        lines = sorted([item.item_type, item.item_id, _plain(item.quantity), item.unit] for item in self.items)
        who = [[one.auth_event_id, one.by_app, one.shopper_id, one.shopper_type] for one in self.auth_events]
        when = [self.started_at.isoformat(), self.ended_at.isoformat()]
        whole = [self.store_id, *when, lines, who, self.shopper_identity or None]
        return hashlib.sha256(orjson.dumps(whole)).hexdigest()


def _plain(quantity: Decimal) -> str:
    """Without zeros that say nothing: 1.0 is 1."""
    text = str(quantity)
    return f"{quantity.normalize():f}" if "." in text or "E" in text else text


@dataclass(frozen=True)
class Owner:
    """Whose trip it is. Card entry carries no shopper of ours. `claimed`: by the cart alone, not by our gate."""

    entry_method: str
    shopper_id: str | None = None
    shopper_type: str | None = None
    claimed: bool = field(default=False, compare=False)

    @property
    def pays_by_card(self) -> bool:
        """False for associates and for those who pay cash in the store."""
        return self.shopper_type not in NOT_PAID_BY_CARD


def owner_of(cart: Cart, at_the_gate: Mapping[str, GateRecord]) -> Owner:
    """The first auth event that came in decides; one that our gate refused did not (the shopper then tapped a card).

    `at_the_gate` holds our own answers by auth event id, where the gate asked us. Source: inbound.md, 5.
    """
    refused = {event_id for event_id, record in at_the_gate.items() if not record.admitted}
    # the scan of a loyalty card lets nobody in
    entries = [event for event in cart.auth_events if not (event.by_app and event.shopper_type == LOYALTY)]
    entries = entries or list(cart.auth_events)
    came_in = [event for event in entries if event.auth_event_id not in refused]
    first = (came_in or entries)[0]
    if not first.by_app:
        return Owner("CREDIT_CARD")
    record = at_the_gate.get(first.auth_event_id)
    if record is not None and record.shopper_id is not None:
        return Owner("APP", record.shopper_id, record.shopper_type)  # whom we let in, whatever the cart says
    named = first.shopper_type != LOYALTY
    return Owner("APP", first.shopper_id if named else None, first.shopper_type if named else None, claimed=True)
