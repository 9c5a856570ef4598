"""Booking everything that is new, once, in double entry: of charges, debts, refunds, breaks and lines not billed.

What has news carries a mark (`to_book`), so that no watermark decides what is new; the mark ends in the transaction
that books. Each transaction names its source, once. The database refuses postings that do not sum to zero.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from backroom.ledger.break_booking import post_breaks
from backroom.ledger.charge_booking import post_charges
from backroom.ledger.debt_booking import post_debts
from backroom.ledger.refund_booking import post_refunds
from backroom.ledger.unbilled_booking import post_unbilled

# Held by whoever books, and by whoever needs that nothing is booked until the transaction's end (closing a month).
POSTING_LOCK: Final = text("select pg_advisory_xact_lock(hashtextextended('ledger.post_new', 0))")


def post_new(connection: Connection, *, now: datetime) -> int:
    """Books what is new, and returns how many transactions that made. Running it again makes none.

    A transaction is dated by its event, on the store's own calendar day. An event dated after `now` (business time)
    is booked all the same: it has been heard. What another transaction has locked is left to the next run, and so is
    what has to come after it.
    """
    connection.execute(POSTING_LOCK)
    return (
        post_charges(connection)
        + post_debts(connection)
        + post_refunds(connection)
        + post_breaks(connection)
        + post_unbilled(connection, now=now)
    )
