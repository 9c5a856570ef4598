"""Paying off a debt: an intent, one call, an outcome. Never twice, and never while the card may still be charged.

`begin` writes the intent and `settle` the outcome; whoever takes the money stands between them: a processor
(`pay`, or the portal and its webhooks), or a person at the till, for whom both are one transaction. An outcome that
is unknown is looked up (looking_up.py), never charged again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, Engine, RowMapping, insert, select, text, update

from backroom.audit import trail
from backroom.debts import account, standing
from backroom.debts.account import Debt, NoSuchDebt
from backroom.debts.payoff_record import (
    OPEN,
    PaymentOutcome,
    Payoff,
    PayoffPort,
    PayoffState,
    get,
    of_row,
    open_payoff,
)
from backroom.debts.returning import give_back, payoff_instrument
from backroom.debts.standing import Happened
from backroom.debts.tables import payoff
from backroom.errors import BackroomError
from backroom.settings import settings

__all__ = [
    "BY_HAND",
    "CASH",
    "OPEN",
    "TERMINAL",
    "PaymentOutcome",
    "Payoff",
    "PayoffPort",
    "PayoffRefused",
    "PayoffState",
    "begin",
    "get",
    "open_payoff",
    "pay",
    "settle",
]

CASH: Final = "CASH"
TERMINAL: Final = "TERMINAL"
BY_HAND: Final = frozenset({CASH, TERMINAL})
"""Money that a person takes at the till: there is nobody to call."""
TOO_LATE: Final = 60.0
"""Real seconds after which the money is not asked for any more: the payoff may be settled otherwise by then."""


class PayoffRefused(BackroomError):
    """The debt can't be paid off now; the message says why and what to do."""


def begin(
    connection: Connection,
    *,
    shopping_trip_id: str,
    method: str,
    instrument: Mapping[str, Any],
    asked_by: str,
    now: datetime,
    reason: str = "",
    new_reference: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> Payoff:
    """Writes the intent to take all that is due on the trip, what was written off included; commit before the call.

    Locks the charge's row, then the debt's: whoever else wants to pay waits, and is refused. Raises NoSuchDebt, and
    PayoffRefused while the card may still be charged for this trip, while another payoff is open, or where nothing is
    due. From here on the trip's card is never asked for money again.
    """
    charge = connection.execute(_CHARGE, {"trip": shopping_trip_id}).mappings().one_or_none()
    one = account.lock(connection, shopping_trip_id, charge_first=False)
    if one is None:
        raise NoSuchDebt(shopping_trip_id)
    if (refusal := _refusal(connection, one, charge)) is not None:
        raise PayoffRefused(f"trip {shopping_trip_id!r} can't be paid off: {refusal}")
    connection.execute(_END_CARD_RETRIES, {"trip": shopping_trip_id})
    row = (
        connection.execute(
            insert(payoff)
            .values(
                shopping_trip_id=shopping_trip_id,
                store_id=one.store_id,
                amount=one.standing.due,
                currency=one.currency,
                method=method,
                reference=new_reference(),
                instrument=dict(instrument),
                asked_by=asked_by,
                intended_at=now,
                next_attempt_at=now + timedelta(minutes=settings().payoff_lookup_minutes),
            )
            .returning(payoff)
        )
        .mappings()
        .one()
    )
    begun = of_row(row)
    _audit(connection, begun, "debt.payoff.begin", actor=asked_by, reason=reason, now=now)
    return begun


def settle(connection: Connection, payoff_id: int, outcome: PaymentOutcome, *, now: datetime) -> None:
    """Writes what became of a payoff, as often and in whatever order it is heard. Raises BackroomError for no payoff.

    PAID always counts, also after a DECLINED or a NOT_SENT that was wrong, and is never undone; DECLINED and NOT_SENT
    end what is open. Money for which nothing is due any more goes back by itself.
    """
    trip = connection.execute(select(payoff.c.shopping_trip_id).where(payoff.c.payoff_id == payoff_id)).scalar()
    if trip is None:
        raise BackroomError(f"there is no payoff {payoff_id}")
    one = account.lock(connection, trip)
    mine = _lock(connection, payoff_id)
    if mine.state is PayoffState.PAID or (outcome.state is not PayoffState.PAID and mine.state not in OPEN):
        return
    if one is None:
        raise NoSuchDebt(trip)  # a debt with a payoff is never removed
    ended = outcome.state is not PayoffState.UNKNOWN
    connection.execute(
        update(payoff)
        .where(payoff.c.payoff_id == payoff_id)
        .values(
            state=outcome.state,
            processor_reference=outcome.processor_reference or payoff.c.processor_reference,
            settled_at=now if ended else None,
            next_attempt_at=None if ended else payoff.c.next_attempt_at,
            details=dict(outcome.details) or payoff.c.details,
        )
    )
    settled = replace(mine, state=outcome.state, processor_reference=outcome.processor_reference)
    _audit(connection, settled, f"debt.payoff.{outcome.state.lower()}", actor="debts", now=now)
    if outcome.state is PayoffState.PAID:
        _take(connection, one, settled, now)


def pay(
    engine: Engine,
    port: PayoffPort | None,
    *,
    shopping_trip_id: str,
    method: str,
    instrument: Mapping[str, Any],
    asked_by: str,
    now: datetime,
    reason: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> Payoff:
    """Pays off a trip and returns how it ended (UNKNOWN: it is looked up later). Raises as `begin` does.

    `port` takes the money, once; None for CASH and TERMINAL, which a person has taken already. Should the port fail
    in a way of its own, the payoff stays open and is looked up. `clock` counts real seconds.
    """
    if (port is None) != (method in BY_HAND):
        raise ValueError(f"{method} is paid {'at the till' if method in BY_HAND else 'through a processor'}")
    asked: dict[str, Any] = {"shopping_trip_id": shopping_trip_id, "method": method, "instrument": instrument}
    if port is None:
        with engine.begin() as connection:
            begun = begin(connection, now=now, asked_by=asked_by, reason=reason, **asked)
            settle(connection, begun.payoff_id, PaymentOutcome(PayoffState.PAID, details={"by": asked_by}), now=now)
            return get(connection, begun.payoff_id)
    began = clock()
    with engine.begin() as connection:
        begun = begin(connection, now=now, asked_by=asked_by, reason=reason, **asked)
    if clock() - began > TOO_LATE:
        outcome = PaymentOutcome(PayoffState.NOT_SENT, details={"problem": "this process stood still for too long"})
    else:
        outcome = port.pay(begun.reference, begun.amount, begun.instrument)
    with engine.begin() as connection:
        settle(connection, begun.payoff_id, outcome, now=now)
        return get(connection, begun.payoff_id)


_CHARGE: Final = text(
    """
    select state, captured, total, coalesce(lease_until > clock_timestamp(), false) as worked_on
    from charge where shopping_trip_id = :trip for update
    """
)
_CARD_MAY_BE_CHARGED: Final = frozenset(
    {"DUE", "ADJUST_PENDING", "AUTHORIZED", "UNKNOWN", "CAPTURE_INITIATED"},
)
# A parked charge goes on from where it stood once a person has decided so; an answer that later news has overtaken
# has no effect (charges/decisions.py).
_CASE_OF_CHARGE: Final = text(
    """
    select r.case_id from review_case r join charge c on c.shopping_trip_id = r.subject
    where r.subject = :trip and r.asked_by = 'charges'
      and (r.decision is null
           or r.decision not in ('leave', 'SETTLED') and c.state = 'PARKED'
              and not exists (
                  select from review_case later
                  where later.subject = r.subject and later.asked_by = r.asked_by and later.case_id > r.case_id)
              and not exists (
                  select from charge_event e
                  where e.shopping_trip_id = r.subject and e.source = 'PERSON' and e.source_id = 'case:' || r.case_id))
    order by r.case_id limit 1
    """
)
# Only the end of a hold may still be due: it frees the card and moves no money.
_END_CARD_RETRIES: Final = text(
    "update charge set next_attempt_at = null where shopping_trip_id = :trip and state <> 'CANCEL_DUE'"
)


def _refusal(connection: Connection, one: Debt, charge: RowMapping | None) -> str | None:
    """Why it can't be paid now. Both rows are locked, so that the answer holds until the transaction ends."""
    trip = one.shopping_trip_id
    if charge is None:
        return "it has no charge"
    if charge["state"] in _CARD_MAY_BE_CHARGED or charge["worked_on"]:
        return f"its charge is {charge['state']}, so that the card may still pay; see `backroom charges show {trip}`"
    if (case := connection.execute(_CASE_OF_CHARGE, {"trip": trip}).scalar()) is not None:
        return f"whether the card has paid waits for a person; see `backroom review show {case}`"
    if (other := open_payoff(connection, trip)) is not None:
        return f"payoff {other.payoff_id} of it is {other.state}; its outcome comes first"
    if one.standing.due <= 0:
        return "nothing is owed on it"
    return None


def _lock(connection: Connection, payoff_id: int) -> Payoff:
    row = connection.execute(select(payoff).where(payoff.c.payoff_id == payoff_id).with_for_update()).mappings().one()
    return of_row(row)


def _take(connection: Connection, one: Debt, mine: Payoff, now: datetime) -> None:
    """The money is there: the debt is paid by it; what is too much goes back to where it came from."""
    after, entries = standing.pay(one.standing, mine.amount.amount)
    source = f"payoff:{mine.payoff_id}"
    one = account.keep(
        connection, one, after, entries, source=source, actor="debts", now=now, details={"method": mine.method}
    )
    too_much = sum((entry.amount for entry in entries if entry.kind is Happened.PAYOFF_RETURNED), Decimal(0))
    if too_much > 0:
        give_back(
            connection,
            one,
            instrument=payoff_instrument(mine.payoff_id),
            amount=too_much,
            why=f"payoff {mine.payoff_id} came when the trip was paid already",
            known={"payoff": mine.payoff_id, "method": mine.method},
            now=now,
        )


def _audit(connection: Connection, one: Payoff, action: str, *, actor: str, now: datetime, reason: str = "") -> None:
    trail.record(
        connection,
        at=now,
        actor=actor,
        action=action,
        subject=one.shopping_trip_id,
        reason=reason,
        details={"payoff_id": one.payoff_id, "amount": str(one.amount), "method": one.method},
    )
