"""Whose trip it is, for every page of the portal."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.shoppers.own_trips import OWN, values_of_holders
from backroom.shoppers.sessions import Visitor

_ONE: Final = text(f"select 1 from purchase p where p.shopping_trip_id = :trip and {OWN}")  # noqa: S608 - a constant


class NotYours(LookupError):
    """There is no such trip, or it is another's: the two are never told apart."""


def values_of(visitor: Visitor) -> dict[str, Any]:
    """What `OWN` asks for."""
    return values_of_holders(visitor.holders, visitor.shopping_trip_id)


def check_own(connection: Connection, visitor: Visitor, shopping_trip_id: str) -> None:
    """Raises NotYours."""
    if connection.execute(_ONE, {"trip": shopping_trip_id, **values_of(visitor)}).one_or_none() is None:
        raise NotYours(shopping_trip_id)
