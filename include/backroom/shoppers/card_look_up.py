"""Sign-in by a card's statement, or, for a trip that was never paid, by the card itself: never more than one trip.

Every guess counts against the caller, and against what was guessed at. Nothing tells which part was wrong.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.shoppers import rates
from backroom.shoppers.sealing import Seal
from backroom.shoppers.sign_in import TooManyTries

_PAID: Final = text(
    """
    select p.shopping_trip_id from trip_card t join purchase p using (shopping_trip_id)
    join charge c using (shopping_trip_id)
    where upper(t.card_statement_transaction_id) = upper(:transaction) and t.tail = :tail
      and p.business_date = :day and (c.captured = :amount or p.total = :amount) and c.captured > 0
    limit 2
    """
)
_UNPAID: Final = text(
    """
    select p.shopping_trip_id from trip_card t join purchase p using (shopping_trip_id)
    join debt d using (shopping_trip_id)
    where p.store_id = :store_id and p.business_date = :day and t.tail = :tail
      and upper(replace(t.brand, ' ', '')) = upper(replace(:brand, ' ', ''))
      and t.expiration_month is not null and cast(t.expiration_month as text) ~ '^[0-9]{1,2}$'
      and lpad(t.expiration_month, 2, '0') = :month and right(t.expiration_year, 2) = right(:year, 2)
      and (d.outstanding > 0 or d.written_off > 0)
    limit 2
    """
)


def paid_trip(
    connection: Connection,
    seal: Seal,
    *,
    day: date,
    amount: Decimal,
    tail: str,
    transaction: str,
    caller: str,
    now: datetime,
) -> str | None:
    """The trip of a line on a card's statement: `day` by the store's calendar, `amount` as charged, the last four, the
    transaction's id. None where nothing fits. Raises TooManyTries.
    """
    _count(connection, seal, caller, f"{day} {tail}", now)
    return _one(connection, _PAID, {"day": day, "amount": amount, "tail": tail, "transaction": transaction})


def unpaid_trip(
    connection: Connection,
    seal: Seal,
    *,
    store_id: str,
    day: date,
    brand: str,
    tail: str,
    year: str,
    month: str,
    caller: str,
    now: datetime,
) -> str | None:
    """The unpaid trip at a store on a day with that card. None where none, or more than one, fits. Raises TooManyTries.

    Who knows this much of a card sees the trip's amount and may pay it, and no more.
    """
    _count(connection, seal, caller, f"{store_id} {day} {tail}", now)
    values = {
        "store_id": store_id, "day": day, "brand": brand, "tail": tail, "year": year, "month": month.zfill(2),
    }  # fmt: skip
    return _one(connection, _UNPAID, values)


def _count(connection: Connection, seal: Seal, caller: str, card: str, now: datetime) -> None:
    allowed = rates.take(connection, seal, rates.LOOK_UPS_BY_CALLER, caller, now=now)
    allowed = rates.take(connection, seal, rates.LOOK_UPS_OF_CARD, card, now=now) and allowed
    if not allowed:
        raise TooManyTries


def _one(connection: Connection, query: Any, values: dict[str, Any]) -> str | None:
    found = connection.execute(query, values).scalars().all()
    return found[0] if len(found) == 1 else None
