"""A shopper's trips, the newest first: by date, card, or transaction id; and what they owe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.receipts.owning import values_of
from backroom.shoppers.own_trips import OWN
from backroom.shoppers.sessions import Visitor

ON_A_PAGE: Final = 20


class PaymentWord(StrEnum):
    """How a trip's payment stands, as a shopper needs to know it."""

    PAID = "PAID"
    OWED = "OWED"
    UNDER_WAY = "UNDER_WAY"
    NOTHING = "NOTHING"


@dataclass(frozen=True)
class TripRow:
    """A trip in the list. `due` is what a payment would take; amounts in `currency`.

    `asking`: a payment was sent, and nobody knows yet what became of it; it is not offered again.
    """

    shopping_trip_id: str
    store: str
    time_zone: str
    ended_at: datetime
    currency: str
    total: Decimal
    due: Decimal
    word: PaymentWord
    brand: str | None
    tail: str | None
    cause: str | None = None
    asking: bool = False


@dataclass(frozen=True)
class Search:
    """What is looked for. `transaction`: the id on the card's statement, or the trip's own."""

    since: date | None = None
    until: date | None = None
    tail: str = ""
    transaction: str = ""


STANDING: Final = """
    coalesce(d.outstanding, 0)
        + case when d.forgiven_at is null then coalesce(d.written_off, 0) else 0 end as due,
    case
        when d.outstanding > 0 or (d.written_off > 0 and d.forgiven_at is null) then 'OWED'
        when p.total = 0 or c.state = 'CANCELLED' then 'NOTHING'
        when c.state = 'CAPTURED' or d.state in ('PAID', 'WRITTEN_OFF') then 'PAID'
        else 'UNDER_WAY'
    end as word,
    exists (select from payoff o where o.shopping_trip_id = p.shopping_trip_id and o.state = 'UNKNOWN') as asking
"""
"""Of `purchase p`, `charge c`, `debt d`: what is due, the word for it, and whether a bank has yet to answer."""

_LIST: Final = text(
    f"""
    select p.shopping_trip_id, s.name as store, s.time_zone, p.trip_ended_at as ended_at, p.currency, p.total,
           coalesce(t.brand, i.brand) as brand, coalesce(t.tail, i.last_four) as tail, d.cause, {STANDING}
    from purchase p join store s using (store_id)
    left join charge c using (shopping_trip_id)
    left join debt d using (shopping_trip_id)
    left join trip_card t using (shopping_trip_id)
    left join lateral (
        select n.brand, n.last_four from processor_call k join payment_instrument n using (instrument_id)
        where k.subject = p.shopping_trip_id order by k.call_id desc limit 1
    ) i on s.payment_processor <> 'AMAZON'
    where {OWN} and p.state <> 'NOT_CHARGEABLE'
      and (cast(:since as date) is null or p.business_date >= :since)
      and (cast(:until as date) is null or p.business_date <= :until)
      and (:tail = '' or coalesce(t.tail, i.last_four) = :tail)
      and (:transaction = '' or p.shopping_trip_id = :transaction
           or upper(t.card_statement_transaction_id) = upper(:transaction))
      and (not :owed or d.outstanding > 0 or (d.written_off > 0 and d.forgiven_at is null))
    order by p.trip_ended_at desc, p.shopping_trip_id
    offset :offset limit :limit
    """  # noqa: S608 - constants of the code
)


def trips(
    connection: Connection, visitor: Visitor, search: Search | None = None, *, page: int = 1
) -> tuple[Sequence[TripRow], bool]:
    """One page (from 1) of the visitor's trips that match, and whether there are more."""
    asked = search or Search()
    values: dict[str, Any] = {**values_of(visitor), **vars(asked), "owed": False}
    rows = _rows(connection, values | {"offset": (page - 1) * ON_A_PAGE, "limit": ON_A_PAGE + 1})
    return rows[:ON_A_PAGE], len(rows) > ON_A_PAGE


def owed(connection: Connection, visitor: Visitor) -> Sequence[TripRow]:
    """The visitor's trips that are not paid, the newest first."""
    return _rows(connection, {**values_of(visitor), **vars(Search()), "owed": True, "offset": 0, "limit": 100})


def _rows(connection: Connection, values: dict[str, Any]) -> Sequence[TripRow]:
    found = connection.execute(_LIST, values).mappings()
    return [TripRow(**{**row, "word": PaymentWord(row["word"])}) for row in found]
