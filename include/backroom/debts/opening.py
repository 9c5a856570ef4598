"""A trip's debt follows what its charge says is owed, in the transaction that says so.

It has one of four causes and no other. Whose it is: the shopper whom the gate let in; for card entry, the card's token
(of the trip's shopper authorization, else the one that the cart came with).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, delete, select, text, update

from backroom.audit import trail
from backroom.debts import account
from backroom.debts.account import Debt
from backroom.debts.returning import CAPTURE, give_back
from backroom.debts.standing import ZERO, Happened, owe
from backroom.debts.tables import debt, payoff
from backroom.entry.card_of_trip import CARD_OF_TRIP

_OPEN: Final = text(
    f"""
    insert into debt (shopping_trip_id, store_id, shopper_id, shopper_identity, cause, currency, amount, opened_at)
    select cast(:trip as text), :store_id, p.shopper_id,
           case when p.shopper_id is null then coalesce(({CARD_OF_TRIP.format(trip=":trip")}), p.shopper_identity)
                else p.shopper_identity end,
           :cause, :currency, :owed, :now
    from (select) as one left join purchase p on p.shopping_trip_id = cast(:trip as text)
    """  # noqa: S608 - a constant of the code
)


def keep_in_step(
    connection: Connection,
    *,
    shopping_trip_id: str,
    store_id: str,
    currency: str,
    owed: Decimal,
    captured: Decimal,
    cause: str | None,
    now: datetime,
) -> None:
    """Opens the trip's debt, or sets it to `owed`; where nothing is owed after all, withdraws it.

    Amounts are in `currency`; `captured` is what the charge has taken for good. The caller holds the charge's lock,
    and has written its row. What was paid off or refunded meanwhile stands: where the card has paid for it as well,
    that goes back by itself.
    """
    one = account.lock(connection, shopping_trip_id, charge_first=False)
    if one is None:
        if owed > 0:
            connection.execute(
                _OPEN,
                {
                    "trip": shopping_trip_id, "store_id": store_id, "currency": currency, "owed": owed, "cause": cause,
                    "now": now,
                },
            )  # fmt: skip
        return
    if owed <= 0:
        trail.record(
            connection,
            at=now,
            actor="charges",
            action="debt.withdraw",
            subject=shopping_trip_id,
            reason="later news: nothing of the trip's total is owed",
        )
    _change(connection, one, max(owed, ZERO), captured, now)
    if cause is not None and cause != one.cause:
        connection.execute(update(debt).where(debt.c.shopping_trip_id == shopping_trip_id).values(cause=cause))


def _change(connection: Connection, one: Debt, owed: Decimal, captured: Decimal, now: datetime) -> None:
    after, entries = owe(one.standing, owed, captured=captured)
    source = account.numbered(connection, one.shopping_trip_id, "charge")
    account.keep(connection, one, after, entries, source=source, actor="charges", now=now)
    goes_back = sum((entry.amount for entry in entries if entry.kind is Happened.PAYOFF_RETURNED), ZERO)
    if goes_back > 0:
        give_back(
            connection,
            one,
            instrument=CAPTURE,
            amount=goes_back,
            why=f"the card has paid {captured:f} {one.currency} after all; the rest had come otherwise ({source})",
            known={
                "captured": f"{captured:f}",
                "paid_off": f"{one.standing.paid:f}",
                "refunded_unpaid": f"{one.standing.reduced:f}",
            },
            now=now,
        )
    if after.amount == 0 and _left_no_trace(connection, one):
        connection.execute(delete(debt).where(debt.c.shopping_trip_id == one.shopping_trip_id))


def _left_no_trace(connection: Connection, one: Debt) -> bool:
    """Whether nothing but its opening ever happened to it: then there was no debt."""
    standing = one.standing
    if standing.paid or standing.reduced or standing.written_off or standing.returned:
        return False
    tried = select(payoff.c.payoff_id).where(payoff.c.shopping_trip_id == one.shopping_trip_id).limit(1)
    return connection.execute(tried).first() is None
