"""Carts that were turned away. Each is a lost sale until someone looks: the body is kept and an alert is raised."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, text

from backroom.alerts import raise_alert
from backroom.amazon import exact_json
from backroom.card_numbers import holds_card_number, remove_card_numbers, remove_from_bytes
from backroom.purchases.kept_bodies import to_keep
from backroom.purchases.tables import refused_cart

# Amazon's identifiers and barcodes: digits there are no card number, and without them the cart could not be taken later
_IDENTIFIERS: Final = frozenset(
    {
        ("requestId",),
        ("storeId",),
        ("idempotentShoppingTripId",),
        ("shoppingTrip", "authEvents", "id"),
        ("cartItems", "id"),
        ("cartItems", "externalIdentifiers", "id"),
    }
)
_TRIP_ID: Final = re.compile(rb'"idempotentShoppingTripId"\s*:\s*"([^"\\\x00-\x1f]{1,255})"')

_SENT_AGAIN: Final = text("""
    with waiting as (
        select refused.refused_id from refused_cart as refused
        join purchase on purchase.shopping_trip_id = refused.shopping_trip_id
        where refused.settled_at is null
          and (purchase.received_at >= refused.received_at or refused.status = 503)
        for update of refused skip locked
    )
    update refused_cart as refused set settled_at = :now, settled_by = 'charge_lifecycle', outcome = 'SENT_AGAIN'
    from waiting where refused.refused_id = waiting.refused_id
""")


def keep_refused_cart(
    connection: Connection,
    *,
    status: int,
    reason: str,
    body: bytes,
    now: datetime,
    shopping_trip_id: str | None = None,
) -> None:
    """Keeps what was answered, why, and the body as it came (the caller bounds it), without card numbers.

    The trip's id is read from the body where the caller does not know it.
    """
    connection.execute(
        insert(refused_cart).values(
            status=status,
            reason=reason,
            body=to_keep(without_card_numbers(body)),
            shopping_trip_id=shopping_trip_id or trip_id_in(body),
            received_at=now,
        )
    )
    alert_of_refused(connection, status=status, reason=reason, now=now)


def alert_of_refused(connection: Connection, *, status: int, reason: str, now: datetime) -> None:
    """One alert for all carts that were refused for the same field, whichever line of the cart it was in."""
    raise_alert(
        connection,
        key=f"refused-cart:{status}:{re.sub(r'[0-9]+', '', reason.partition(':')[0])}",
        severity="critical",
        title=f"A cart was refused with {status}: {reason}",
        what_to_do="`backroom carts refused list` shows what waits; correct our rule and `retry` it, or tell Amazon "
        "what is wrong and have the trip sent again",
        now=now,
    )


def settle_sent_again(connection: Connection, *, now: datetime) -> int:
    """Settles refused carts whose trip was recorded by a later call; how many. Run apart from the connector's calls.

    One that came after its trip had been recorded waits for a person, for its cart may be another one; not where it
    was turned away unread (503), since Amazon sends it again and is answered by what stands.
    """
    return connection.execute(_SENT_AGAIN, {"now": now}).rowcount


def without_card_numbers(body: bytes) -> bytes:
    """The body byte for byte where nothing in it looks like a card number; else with each replaced.

    In a body that is JSON, Amazon's identifiers and barcodes are left alone.
    """
    if not holds_card_number(body):
        return body
    try:
        cleaned = remove_card_numbers(exact_json.loads(body), keep=_IDENTIFIERS)
        return exact_json.dumps(cleaned).encode()
    except (ValueError, TypeError, RecursionError):
        return remove_from_bytes(body)


def trip_id_in(body: bytes) -> str | None:
    """The trip's id as it stands in the body, also in one that is no whole JSON; None where it can't be read."""
    found = _TRIP_ID.search(body)
    try:
        return found[1].decode() if found else None
    except UnicodeDecodeError:
        return None
