"""What is held, and was taken, for a trip: the fold of its calls to the processor, the gate's holds among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.processors.port import PaymentState


@dataclass(frozen=True)
class Hold:
    """A payment at the processor. `subject` is the trip, or the gate event whose hold it is."""

    processor_reference: str
    state: PaymentState
    held: Decimal
    captured: Decimal
    subject: str
    instrument_id: int | None


@dataclass(frozen=True)
class GateHold:
    """A row of `preauthorization`. `busy`: someone works on it at this moment."""

    auth_event_id: str
    state: str
    busy: bool


_LINK: Final = text(
    """
    update preauthorization a
    set shopping_trip_id = p.shopping_trip_id, next_attempt_at = coalesce(a.next_attempt_at, cast(:now as timestamptz))
    from purchase p, jsonb_path_query(p.raw_body::jsonb, '$.shoppingTrip.authEvents[*].id') as event (id)
    where p.shopping_trip_id = :trip and a.auth_event_id = event.id #>> '{}' and a.store_id = p.store_id
      and a.shopping_trip_id is null
    """
)
_GATE: Final = text(
    """
    select auth_event_id, state, coalesce(lease_until > clock_timestamp(), false) as busy
    from preauthorization where shopping_trip_id = :trip order by intended_at, auth_event_id
    """
)
_CALLS: Final = text(
    """
    select operation, subject, instrument_id, answer
    from processor_call
    where outcome in ('SUCCEEDED', 'NOT_SENT', 'REFUSED') and answer ? 'held'
      and subject = any(array(
          select cast(:trip as text)
          union all
          select auth_event_id from preauthorization where shopping_trip_id = :trip))
    order by call_id
    """
)


def link(connection: Connection, shopping_trip_id: str, *, now: datetime) -> None:
    """The gate's holds of a trip, once its cart has come: those of the cart's own gate events."""
    connection.execute(_LINK, {"trip": shopping_trip_id, "now": now})


def gate_holds(connection: Connection, shopping_trip_id: str) -> list[GateHold]:
    """The gate's holds of a trip, the oldest first."""
    rows = connection.execute(_GATE, {"trip": shopping_trip_id}).mappings()
    return [GateHold(row["auth_event_id"], row["state"], row["busy"]) for row in rows]


def of_trip(connection: Connection, shopping_trip_id: str) -> list[Hold]:
    """Every payment of a trip as it was last told, the oldest first."""
    found: dict[str, Hold] = {}
    for row in connection.execute(_CALLS, {"trip": shopping_trip_id}).mappings():
        told = row["answer"]
        name = told["processor_reference"]
        earlier = found.get(name)
        found[name] = Hold(
            name,
            PaymentState(told["state"]),
            Decimal(told["held"]),
            Decimal(told["captured"]),
            row["subject"] if earlier is None else earlier.subject,
            row["instrument_id"] if earlier is None else earlier.instrument_id or row["instrument_id"],
        )
    return list(found.values())


def to_charge(holds: Sequence[Hold]) -> Hold | None:
    """The one that the trip is charged by: the largest that stands, of equals the newest."""
    standing = [hold for hold in holds if hold.state is PaymentState.HELD and hold.held > 0]
    return max(standing, key=lambda hold: (hold.held, standing.index(hold)), default=None)


CAPTURED_REFERENCE: Final = """
    select taken.answer ->> 'processor_reference' from processor_call as taken
    where taken.subject = {trip} and taken.operation in ('CAPTURE', 'LOOKUP') and taken.outcome = 'SUCCEEDED'
      and taken.answer ->> 'state' = 'CAPTURED' and taken.answer ? 'captured'
    order by taken.call_id desc limit 1
"""
"""As SQL, for a trip named by the expression `trip`."""


_END: Final = text(
    """
    update preauthorization
    set state = :state, next_attempt_at = null, lease_until = null, finished_at = :now
    where auth_event_id = :id and state = any(:states) and not coalesce(lease_until > clock_timestamp(), false)
    """
)
_RELEASE: Final = text(
    "update preauthorization set next_attempt_at = :now where shopping_trip_id = :trip and state = 'HELD'"
    " and processor_reference is distinct from :but"
)


def withdraw(connection: Connection, auth_event_id: str, *, now: datetime) -> bool:
    """A hold that nobody has asked for yet is not asked for any more. False where it was begun."""
    return _end(connection, auth_event_id, "VOIDED", ["INTENDED"], now)


def mark_used(connection: Connection, auth_event_id: str, *, now: datetime) -> None:
    """The gate's hold was captured."""
    _end(connection, auth_event_id, "USED", ["HELD"], now)


def mark_voided(connection: Connection, auth_event_id: str, *, now: datetime) -> None:
    """The gate's hold was ended."""
    _end(connection, auth_event_id, "VOIDED", ["HELD", "UNKNOWN"], now)


def release(connection: Connection, shopping_trip_id: str, *, but: str | None, now: datetime) -> None:
    """The gate's holds of a trip that another one replaces are looked at by the pipeline at once: it ends them."""
    connection.execute(_RELEASE, {"trip": shopping_trip_id, "but": but, "now": now})


def _end(connection: Connection, auth_event_id: str, state: str, states: list[str], now: datetime) -> bool:
    values: dict[str, Any] = {"id": auth_event_id, "state": state, "states": states, "now": now}
    return connection.execute(_END, values).rowcount == 1
