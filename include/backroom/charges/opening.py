"""Opening a charge: what the connector does, in the transaction (or the very statement) that stores the purchase.

The connector may only read and add to `charge` and `charge_event`; everything after is the pipelines'.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from backroom.charges.states import Event, Kind, Source, fold
from backroom.db.serving import Statement
from backroom.settings import settings

OPENING_COLUMNS: Final = """
    charge_total numeric, charge_state text, charge_expires_at timestamptz, charge_at timestamptz, charge_details jsonb
"""
"""What a row of `source` has besides shopping_trip_id, store_id and currency; `opening` gives the values."""

OPEN_CHARGE: Final = f"""
    charged as (
        insert into charge (shopping_trip_id, store_id, currency, total, state, expires_at, next_attempt_at, created_at,
                            updated_at)
        select shopping_trip_id, store_id, currency, charge_total, charge_state, charge_expires_at, charge_at,
               charge_at, charge_at
        from {{source}}
        on conflict do nothing
        returning shopping_trip_id
    ), opened as (
        insert into charge_event (shopping_trip_id, kind, amount, currency, happened_at, heard_at, source, source_id,
                                  details)
        select shopping_trip_id, '{Kind.OPENED}', charge_total, currency, charge_at, charge_at, '{Source.CONNECTOR}',
               shopping_trip_id, charge_details
        from {{source}} join charged using (shopping_trip_id)
    )
"""  # noqa: S608 - constants of the code
"""Parts of a statement's `with`: opens a charge for each row of `source`, where the trip has none."""


def opening(*, total: Decimal, trip_started_at: datetime, now: datetime, reason: str) -> dict[str, Any]:
    """The values of OPENING_COLUMNS. The charge is due at `now` (business time).

    `total` 0 (an empty cart, a cart all given away) means that only a cancel is due. The payment token ends a set
    number of hours after the trip's start (payments.md). `reason` is kept with the event. Raises ValueError below zero.
    """
    if total < 0:
        raise ValueError(f"a charge can't be negative, it is {total}")
    return {
        "charge_total": total,
        "charge_state": _state_of_new(total > 0),
        "charge_expires_at": trip_started_at + timedelta(hours=settings().token_life_hours),
        "charge_at": now,
        "charge_details": {"reason": reason},
    }


@lru_cache(maxsize=2)
def _state_of_new(to_pay: bool) -> str:
    """What the state table makes of a charge of which nothing is known but that it was opened."""
    opened = Event(Kind.OPENED, datetime.min.replace(tzinfo=UTC), Source.CONNECTOR, "", amount=Decimal(int(to_pay)))
    return str(fold([opened]).state.kept_as)


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
    row = opening(total=total, trip_started_at=trip_started_at, now=now, reason=reason)
    row |= {"shopping_trip_id": shopping_trip_id, "store_id": store_id, "currency": currency}
    return _OPEN.one(connection, {"rows": orjson.dumps([row], default=str).decode()}) is not None


_OPEN = Statement(f"""
    with trip as (
        select * from json_to_recordset(%(rows)s::json) as trip (
            shopping_trip_id text, store_id text, currency text, {OPENING_COLUMNS})
    ), {OPEN_CHARGE.format(source="trip")}
    select shopping_trip_id from charged
""")  # noqa: S608 - constants of the code
