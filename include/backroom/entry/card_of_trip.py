"""Which card owns a trip: it is who owes what the trip leaves unpaid. Source: inbound.md, 5 and 6."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from backroom.card_numbers import REMOVED

CARD_OF_TRIP: Final = f"""
    select asked.shopper_identity from shopper_authorization as asked
    where asked.shopping_trip_id = {{trip}} and asked.shopper_identity <> '{REMOVED}'
    order by asked.authorized desc, asked.received_at, asked.gate_authentication_event_id limit 1
"""  # noqa: S608 - a constant of the code
"""Of the cards that Amazon asked about for the trip `trip`, the first that was authorized, else the first."""

_OF_ONE_TRIP = text(CARD_OF_TRIP.format(trip=":trip"))


def identity_of_trip(connection: Connection, shopping_trip_id: str) -> str | None:
    """Amazon's token of the card that owns the trip. None where no card was ever asked about."""
    return connection.execute(_OF_ONE_TRIP, {"trip": shopping_trip_id}).scalar_one_or_none()
