"""Who takes the money of a payoff that is not paid at the till: a processor, reached only when one is needed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from backroom.debts.payoff import BY_HAND, PayoffPort, PayoffRefused


def port_of(engine: Engine, method: str, *, now: datetime) -> PayoffPort | None:
    """Who knows what became of a payment by `method`; None for what is taken at the till.

    Raises ConfigurationError for a processor that is not set up, BackroomError for one that there is not.
    """
    if method in BY_HAND:
        return None
    from backroom.processors.payoff_payment import payoff_port  # a processor's client is slow to load

    return payoff_port(engine, method, now=now)


def through(
    engine: Engine, method: str, *, shopping_trip_id: str, now: datetime
) -> tuple[PayoffPort, Mapping[str, Any]]:
    """The processor `method`, and what the trip's shopper pays with there (tokens, never a card number).

    Raises PayoffRefused where they have nothing there; else as `port_of`.
    """
    from backroom.processors import instruments

    port = port_of(engine, method, now=now)
    assert port is not None
    with engine.connect() as connection:
        kept = instruments.of_trip(connection, shopping_trip_id, method)
    if kept is None:
        raise PayoffRefused(f"trip {shopping_trip_id!r} can't be paid off: its shopper has no card at {method}")
    return port, {"instrument_id": kept.instrument_id, "brand": kept.brand, "last_four": kept.last_four}
