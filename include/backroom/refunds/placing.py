"""Placing a request: which part goes off the debt, and which to which instrument; and placing anew what has waited.

A refund's key is made here, once, and kept for ever. What was ever sent is never placed anew.
"""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, RowMapping, insert, select, text

from backroom.debts import reduction
from backroom.refunds import history, parking
from backroom.refunds.history import Happened, ParkedFor
from backroom.refunds.splitting import CAPTURE, DEBT, PAYOFF, Part, split
from backroom.refunds.tables import refund, refund_request
from backroom.refunds.trip import Trip, lock

BY_HAND: Final = frozenset({"CASH", "TERMINAL"})
"""Methods of a payoff that a person took at the till, and gives back there."""

# No call of these has been, or may have been, taken up.
_NEVER_SENT: Final = """not exists (
        select from refund_attempt a where a.refund_id = r.refund_id
          and (a.outcome is null or a.outcome in ('SUCCEEDED', 'UNKNOWN')))"""
_TRIPS_TO_PLACE: Final = text(
    f"""
    select distinct r.shopping_trip_id
    from refund r join charge c using (shopping_trip_id)
    left join debt d using (shopping_trip_id)
    where r.state = 'WAITING' and (c.state in ('CAPTURED', 'CANCELLED', 'IN_DEBT') or d.outstanding > 0
                                   or r.instrument <> 'CAPTURE')
       or r.state = 'DUE' and r.instrument = 'CAPTURE' and c.state <> 'CAPTURED' and {_NEVER_SENT}
    order by r.shopping_trip_id
    """  # noqa: S608 - constants of this file only
)
_TO_PLACE: Final = text(
    f"""
    select r.refund_id from refund r
    where r.shopping_trip_id = :trip
      and (r.state = 'WAITING' or r.state = 'DUE' and r.instrument = 'CAPTURE' and not :captured and {_NEVER_SENT})
    order by r.refund_id
    """  # noqa: S608 - constants of this file only
)


def place(
    connection: Connection, trip: Trip, request: RowMapping, *, now: datetime, pinned_to: str | None = None
) -> Decimal:
    """Makes the request's refunds, in the transaction that has locked the trip; returns what had no place.

    An open debt is reduced at once. `pinned_to`: only that instrument, for money that must go back where it came from.
    """
    sources = [one for one in trip.sources() if pinned_to is None or one.instrument == pinned_to]
    parts, rest = split(request["amount"], sources)
    for part in parts:
        _make(connection, trip, request, part, now=now)
    history.close_request(connection, request["request_id"])
    return rest


def place_waiting(connection: Connection, *, now: datetime) -> Counter[str]:
    """Looks again at every refund that waits; counts what became of them. Safe to run again."""
    counts: Counter[str] = Counter()
    for shopping_trip_id in connection.execute(_TRIPS_TO_PLACE).scalars().all():
        captured = lock(connection, shopping_trip_id).captured_for_good
        waiting = connection.execute(_TO_PLACE, {"trip": shopping_trip_id, "captured": captured}).scalars().all()
        for refund_id in waiting:
            trip = lock(connection, shopping_trip_id)  # as the one before has left it
            one = next(row for row in trip.refunds if row["refund_id"] == refund_id)
            counts[_place_anew(connection, trip, one, frozenset(waiting), now)] += 1
    return counts


def _place_anew(connection: Connection, trip: Trip, one: RowMapping, waiting: frozenset[int], now: datetime) -> str:
    request = next(row for row in trip.requests if row["request_id"] == one["request_id"])
    later = frozenset(refund_id for refund_id in waiting if refund_id >= one["refund_id"])
    sources = trip.sources(without=later)
    if request["is_return"]:
        sources = [source for source in sources if source.instrument == one["instrument"]]
    parts, rest = split(one["amount"], sources)
    if parts == [Part(one["instrument"], one["amount"], ready=False)]:
        if one["state"] == "DUE":  # its capture has become doubtful
            history.move(connection, one, "WAITING")
        return "waiting"
    if parts == [Part(one["instrument"], one["amount"], ready=True)] and one["instrument"] == CAPTURE:
        if one["state"] == "WAITING":
            history.move(connection, one, "DUE", next_attempt_at=now)
        return "due"
    history.move(connection, one, "DROPPED")
    for part in parts:
        _make(connection, trip, request, part, now=now)
    if rest > 0:
        parking.tell_left_over(
            connection, request, f"{rest:f}", f"the charge is {trip.charge_state}", now=now, refund_id=one["refund_id"]
        )
    history.close_request(connection, request["request_id"])
    return "placed anew" if parts else "dropped"


def _make(connection: Connection, trip: Trip, request: RowMapping, part: Part, *, now: datetime) -> None:
    by_hand = part.instrument.startswith(PAYOFF) and _method(trip, part.instrument) in BY_HAND
    state = "WAITING"
    if part.ready:
        state = "PARKED" if by_hand else "FINAL" if part.instrument == DEBT else "DUE"
    one = (
        connection.execute(
            insert(refund)
            .values(
                request_id=request["request_id"],
                shopping_trip_id=trip.shopping_trip_id,
                store_id=trip.store_id,
                instrument=part.instrument,
                refund_request_key=str(uuid.uuid4()),
                currency=trip.currency,
                amount=part.amount,
                state=state,
                next_attempt_at=now if state == "DUE" else None,
                final_at=now if state == "FINAL" else None,
            )
            .returning(refund)
        )
        .mappings()
        .one()
    )
    if state == "PARKED":
        parking.ask(connection, one, ParkedFor.PAY_BACK_BY_HAND, {}, now=now)
    elif state == "FINAL":
        _reduce_debt(connection, one, str(request["requested_by"]), now)


def _reduce_debt(connection: Connection, one: RowMapping, actor: str, now: datetime) -> None:
    taken = reduction.reduce(
        connection,
        shopping_trip_id=one["shopping_trip_id"],
        amount=one["amount"],
        source=f"refund:{one['refund_id']}",
        actor=actor,
        now=now,
    )
    if taken != one["amount"]:  # its row is locked since it was read: this can't be, and must not be booked
        raise RuntimeError(f"refund {one['refund_id']}: the debt took {taken}, not {one['amount']}")
    history.tell(connection, one, Happened.DEBT_REDUCED, source=f"refund:{one['refund_id']}", happened_at=now)


def _method(trip: Trip, instrument: str) -> str:
    payoff_id = int(instrument.removeprefix(PAYOFF))
    return next(str(row["method"]) for row in trip.payoffs if row["payoff_id"] == payoff_id)


def request_row(connection: Connection, request_id: int) -> RowMapping | None:
    """The request's row."""
    return (
        connection.execute(select(refund_request).where(refund_request.c.request_id == request_id))
        .mappings()
        .one_or_none()
    )
