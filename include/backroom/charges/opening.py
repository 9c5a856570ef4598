"""Opening a charge: what the connector does, in the transaction that stores the purchase.

The connector may only read and add to `charge` and `charge_event`; everything after is the pipelines'.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, insert
from sqlalchemy.dialects.postgresql import insert as upsert

from backroom.charges.states import Event, Kind, Source, fold
from backroom.charges.tables import charge, charge_event
from backroom.settings import settings


def open_charge(
    connection: Connection,
    *,
    shopping_trip_id: str,
    store_id: str,
    currency: str,
    total: Decimal,
    trip_started_at: datetime,
    now: datetime,
    reason: str,
) -> bool:
    """Opens the trip's charge, due at once; False where it has one already, which then stays as it is.

    `total` in `currency`; 0 (an empty cart, a cart all given away) means that only a cancel is due. The payment token
    ends a set number of hours after the trip's start (payments.md). `reason` is kept with the event.
    """
    if total < 0:
        raise ValueError(f"trip {shopping_trip_id}: a charge can't be negative, it is {total} {currency}")
    opened = Event(Kind.OPENED, now, Source.CONNECTOR, shopping_trip_id, amount=total)
    made = connection.scalar(
        upsert(charge)
        .values(
            shopping_trip_id=shopping_trip_id,
            store_id=store_id,
            currency=currency,
            total=total,
            state=fold([opened]).state.kept_as,
            expires_at=trip_started_at + timedelta(hours=settings().token_life_hours),
            next_attempt_at=now,
            created_at=now,
            updated_at=now,
        )
        .on_conflict_do_nothing()
        .returning(charge.c.shopping_trip_id)
    )
    if made is None:
        return False
    connection.execute(
        insert(charge_event).values(
            shopping_trip_id=shopping_trip_id,
            kind=opened.kind,
            amount=total,
            currency=currency,
            happened_at=now,
            heard_at=now,
            source=opened.source,
            source_id=opened.source_id,
            details={"reason": reason},
        )
    )
    return True
