"""A trip's debt follows what its charge says is owed, in the transaction that says so."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, text

from backroom.audit import trail

_OPEN: Final = text(
    """
    insert into debt (shopping_trip_id, store_id, shopper_id, shopper_identity, cause, currency, amount, opened_at)
    select :trip, :store_id, p.shopper_id, p.shopper_identity, :cause, :currency, :owed, :now
    from (select 1) as one left join purchase p on p.shopping_trip_id = :trip
    on conflict (shopping_trip_id) do update
    set amount = greatest(excluded.amount, debt.paid), cause = excluded.cause,
        state = case when debt.state = 'WRITTEN_OFF' then debt.state
                     when greatest(excluded.amount, debt.paid) > debt.paid then 'OPEN' else 'PAID' end
    """
)
_WITHDRAW: Final = text("delete from debt where shopping_trip_id = :trip and paid = 0")


def keep_in_step(
    connection: Connection,
    *,
    shopping_trip_id: str,
    store_id: str,
    currency: str,
    owed: Decimal,
    cause: str | None,
    now: datetime,
) -> None:
    """Opens the trip's debt, or sets it to `owed` (in `currency`); where nothing is owed after all, withdraws it.

    A debt of which a part was paid is never below what was paid.
    """
    if owed > 0:
        connection.execute(
            _OPEN,
            {
                "trip": shopping_trip_id, "store_id": store_id, "currency": currency, "owed": owed, "cause": cause,
                "now": now,
            },
        )  # fmt: skip
        return
    connection.execute(_WITHDRAW, {"trip": shopping_trip_id})
    trail.record(
        connection,
        at=now,
        actor="charges",
        action="debt.withdraw",
        subject=shopping_trip_id,
        reason="later news: nothing of the trip's total is owed",
    )
