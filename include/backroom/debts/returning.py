"""Money that came although nothing was owed any more: it goes back by itself, and finance hears of it.

Of the two that paid for the same thing, the later one is given back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection

from backroom.debts.account import Debt
from backroom.reviews.cases import open_case

ASKED_BY: Final = "debts"
FOUND_AFTER_PAYOFF: Final = "FOUND_AFTER_PAYOFF"
CAPTURE: Final = "CAPTURE"


def payoff_instrument(payoff_id: int) -> str:
    """What a refund calls the payoff that it gives back."""
    return f"PAYOFF:{payoff_id}"


def give_back(
    connection: Connection,
    one: Debt,
    *,
    instrument: str,
    amount: Decimal,
    why: str,
    known: Mapping[str, Any],
    now: datetime,
) -> None:
    """Asks for the refund and opens the case, in the transaction that found the money. `amount` in the debt's currency.

    The charge's row and the debt's are locked by the caller.
    """
    from backroom.refunds.requesting import request_return  # refunds know debts, so that they are loaded after them

    request_return(
        connection,
        shopping_trip_id=one.shopping_trip_id,
        instrument=instrument,
        amount=amount,
        why=why,
        now=now,
    )
    open_case(
        connection,
        kind=FOUND_AFTER_PAYOFF,
        subject=one.shopping_trip_id,
        store_id=one.store_id,
        asked_by=ASKED_BY,
        question="This trip was paid twice. The later payment is given back by itself; why did both go through?",
        known={
            "found": why,
            "given_back": f"{amount:f} {one.currency}",
            "from": instrument,
            **known,
        },
        choices=[("seen", "nothing changes: the refund goes its way")],
        now=now,
    )
