"""Opening a charge: what the connector does, in the transaction (or the very statement) that stores the purchase.

The connector may only read and add to `charge` and `charge_event`; everything after is the pipelines'.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from backroom.charges.states import Event, Kind, Source, fold
from backroom.db.serving import Statement
from backroom.settings import settings

OPEN_CHARGE: Final = """
    charged as (
        insert into charge (shopping_trip_id, store_id, currency, total, state, expires_at, next_attempt_at, created_at,
                            updated_at)
        select shopping_trip_id, store_id, currency, %(charge_total)s::numeric, %(charge_state)s::text,
               %(charge_expires_at)s::timestamptz, %(charge_at)s::timestamptz, %(charge_at)s::timestamptz,
               %(charge_at)s::timestamptz
        from {source}
        on conflict do nothing
        returning shopping_trip_id, currency
    ), opened as (
        insert into charge_event (shopping_trip_id, kind, amount, currency, happened_at, heard_at, source, source_id,
                                  details)
        select shopping_trip_id, %(charge_kind)s::text, %(charge_total)s::numeric, currency,
               %(charge_at)s::timestamptz, %(charge_at)s::timestamptz, %(charge_source)s::text, shopping_trip_id,
               %(charge_details)s::jsonb
        from charged
    )
"""
"""Parts of a statement's `with`, for one row of `source` with shopping_trip_id, store_id and currency; `opening` gives
the parameters. A trip that has a charge keeps it as it is."""


def opening(*, total: Decimal, trip_started_at: datetime, now: datetime, reason: str) -> dict[str, Any]:
    """The parameters of OPEN_CHARGE. The charge is due at `now` (business time).

    `total` 0 (an empty cart, a cart all given away) means that only a cancel is due. The payment token ends a set number
    of hours after the trip's start (payments.md). `reason` is kept with the event. Raises ValueError below zero.
    """
    if total < 0:
        raise ValueError(f"a charge can't be negative, it is {total}")
    opened = Event(Kind.OPENED, now, Source.CONNECTOR, "", amount=total)
    return {
        "charge_total": total,
        "charge_state": fold([opened]).state.kept_as,
        "charge_expires_at": trip_started_at + timedelta(hours=settings().token_life_hours),
        "charge_at": now,
        "charge_kind": opened.kind.value,
        "charge_source": opened.source.value,
        "charge_details": orjson.dumps({"reason": reason}).decode(),
    }


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
    """Opens the trip's charge in the caller's transaction; False where it has one already, which then stays as it is.

    `total` in `currency`; the rest as for `opening`.
    """
    parameters = opening(total=total, trip_started_at=trip_started_at, now=now, reason=reason)
    trip = {"shopping_trip_id": shopping_trip_id, "store_id": store_id, "currency": currency}
    return _OPEN.one(connection, parameters | trip) is not None


_OPEN = Statement(f"""
    with trip as (
        select %(shopping_trip_id)s::text as shopping_trip_id, %(store_id)s::text as store_id,
               %(currency)s::text as currency
    ), {OPEN_CHARGE.format(source="trip")}
    select shopping_trip_id from charged
""")
