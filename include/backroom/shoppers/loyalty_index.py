"""How a loyalty account is known at rest: by keyed hashes of its id and of what is scanned, never by either.

The id itself is kept sealed (sealing.py). Carts are kept with the keyed hash in its place (`without_loyalty_ids`).
"""

from __future__ import annotations

import re
from typing import Any, Final

from backroom.amazon import exact_json
from backroom.shoppers.sealing import Seal

LOYALTY: Final = "LOYALTY"
_INDEX: Final = re.compile(r"loyalty-[0-9a-f]{64}")


def account_index(seal: Seal, loyalty_id: str) -> str:
    """What an account is found by; that of a kept cart is it already."""
    return loyalty_id if _INDEX.fullmatch(loyalty_id) else f"loyalty-{seal.index(f'loyalty id {loyalty_id}')}"


def key_index(seal: Seal, key_hash: str) -> str:
    """What a scanned value is found by; `key_hash` is its SHA-256 (registry.py)."""
    return seal.index(f"loyalty key {key_hash}")


def without_loyalty_ids(seal: Seal, raw_body: str) -> str:
    """The JSON text of a cart as it is kept: with `account_index` where a scan named a loyalty account."""
    body = exact_json.loads(raw_body)
    trip = body.get("shoppingTrip") if isinstance(body, dict) else None
    events = trip.get("authEvents") if isinstance(trip, dict) else None
    named = [result for event in events or () if (result := _loyalty(event)) is not None]
    if not named:
        return raw_body
    for result in named:
        result["id"] = account_index(seal, result["id"])
    return exact_json.dumps(body)


def _loyalty(event: Any) -> dict[str, Any] | None:
    result = event.get("scanResult") if isinstance(event, dict) else None
    if isinstance(result, dict) and result.get("type") == LOYALTY and isinstance(result.get("id"), str):
        return result
    return None
