"""Writing transactions into the books: whole sets at once, each source once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.ledger.accounts import Account, Booking


@dataclass(frozen=True)
class Posting:
    """A movement on one account and sub-account: debit positive, credit negative."""

    account: Account
    amount: Decimal
    detail: str = ""


@dataclass(frozen=True)
class Transaction:
    """Postings of one currency that sum to zero, and the one thing that they book (`source`, as `refund_event:7`)."""

    source: str
    kind: Booking
    store_id: str
    shopping_trip_id: str
    happened_at: datetime
    currency: str
    postings: Sequence[Posting]
    reverses: int | None = None


_WRITE: Final = text(
    """
    with given as (
        select * from json_to_recordset(cast(:rows as json)) as given (
            source text, kind text, store_id text, shopping_trip_id text, happened_at timestamptz, currency text,
            reverses bigint, postings json)
    ), booked as (
        insert into ledger_transaction (source, kind, store_id, shopping_trip_id, business_date, happened_at, reverses)
        select g.source, g.kind, g.store_id, g.shopping_trip_id,
               cast(g.happened_at at time zone s.time_zone as date), g.happened_at, g.reverses
        from given g join store s using (store_id)
        on conflict (source) do nothing
        returning transaction_id, source
    ), posted as (
        insert into ledger_posting (transaction_id, posting_number, account, detail, amount, currency)
        select b.transaction_id, row_number() over (partition by b.transaction_id order by p.account, p.detail),
               p.account, p.detail, p.amount, g.currency
        from booked b join given g using (source)
        cross join lateral json_to_recordset(g.postings) as p (account text, detail text, amount numeric)
    )
    select count(*) from booked
    """
)


def write(connection: Connection, transactions: Iterable[Transaction]) -> int:
    """Books them in the caller's transaction and returns how many; what moves nothing, or is booked already, is not.

    Each is dated by its event, on the store's own calendar day.
    """
    rows = [_row(one) for one in transactions]
    moving = [row for row in rows if row["postings"]]
    if not moving:
        return 0
    return int(connection.execute(_WRITE, {"rows": json.dumps(moving)}).scalar_one())


def _row(one: Transaction) -> dict[str, Any]:
    sums: dict[tuple[str, str], Decimal] = {}
    for posting in one.postings:
        key = (posting.account.value, posting.detail)
        sums[key] = sums.get(key, Decimal(0)) + posting.amount
    return {
        "source": one.source,
        "kind": one.kind,
        "store_id": one.store_id,
        "shopping_trip_id": one.shopping_trip_id,
        "happened_at": one.happened_at.isoformat(),
        "currency": one.currency,
        "reverses": one.reverses,
        "postings": [
            {"account": account, "detail": detail, "amount": f"{amount:f}"}
            for (account, detail), amount in sums.items()
            if amount
        ],
    }
