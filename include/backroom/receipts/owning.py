"""Whose trip it is: the one condition by which every page of the portal looks at trips."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.entry.card_of_trip import CARD_OF_TRIP
from backroom.shoppers.sessions import Visitor

OWN: Final = f"""(
    p.shopping_trip_id = :only
    or p.shopper_id = any(:shoppers)
    or (p.shopper_id is null and coalesce(p.shopper_identity, ({CARD_OF_TRIP.format(trip="p.shopping_trip_id")}))
        = any(:cards))
)"""
"""Of `purchase p`: that it is the visitor's. A card's trip is its holder's only where no shopper of the app made it."""

_ONE: Final = text(f"select 1 from purchase p where p.shopping_trip_id = :trip and {OWN}")  # noqa: S608 - a constant


class NotYours(LookupError):
    """There is no such trip, or it is another's: the two are never told apart."""


def values_of(visitor: Visitor) -> dict[str, Any]:
    """What `OWN` asks for."""
    return {
        "only": visitor.shopping_trip_id,
        "shoppers": list(visitor.holders.shopper_ids),
        "cards": list(visitor.holders.cards),
    }


def check_own(connection: Connection, visitor: Visitor, shopping_trip_id: str) -> None:
    """Raises NotYours."""
    if connection.execute(_ONE, {"trip": shopping_trip_id, **values_of(visitor)}).one_or_none() is None:
        raise NotYours(shopping_trip_id)
