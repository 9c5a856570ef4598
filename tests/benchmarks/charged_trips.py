"""Trips whose charges are due: with a held pre-authorization at the sandbox, and a charge in our books."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import httpx
from sqlalchemy import Engine, text

STORE: Final = "STORE-001"
AMOUNT: Final = Decimal("5.00")
NOW: Final = datetime(2026, 3, 22, 18, 0, tzinfo=UTC)
AT_ONCE: Final = 5_000  # asked of the sandbox in one call

_STORE: Final = text(
    """insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,
                          preauthorization_amount, feeds)
       values (:store, 'a store', 'm', 'America/New_York', 'USD', 'US-NY', 'RETAILER_MANAGED', 75, '{FILES}')"""
)
_CHARGES: Final = text(
    """
    with opened as (
        insert into charge (shopping_trip_id, store_id, currency, total, state, expires_at, next_attempt_at, created_at,
                            updated_at)
        select trip, :store, 'USD', :total, 'DUE', cast(:now as timestamptz) + interval '40 hours', :now, :now, :now
        from unnest(cast(:trips as text[])) as trip
        returning shopping_trip_id
    )
    insert into charge_event (shopping_trip_id, kind, amount, currency, happened_at, heard_at, source, source_id)
    select shopping_trip_id, 'OPENED', :total, 'USD', :now, :now, 'CONNECTOR', shopping_trip_id from opened
    """
)


def add_store(engine: Engine) -> None:
    """The one store."""
    with engine.begin() as connection:
        connection.execute(_STORE, {"store": STORE})


def begin_trips(sandbox: str, count: int) -> list[str]:
    """So many live trips at the sandbox."""
    trips: list[str] = []
    while len(trips) < count:
        asked = {"store_id": STORE, "count": min(AT_ONCE, count - len(trips))}
        answer = httpx.post(f"{sandbox}/sandbox/trips", json=asked, timeout=120)
        answer.raise_for_status()
        trips += answer.json()["shoppingTripIds"]
    return trips


def open_charges(engine: Engine, trips: list[str]) -> None:
    """A charge of each, due at NOW."""
    with engine.begin() as connection:
        connection.execute(_CHARGES, {"trips": trips, "store": STORE, "total": AMOUNT, "now": NOW})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("analyze charge, charge_event, charge_attempt"))
