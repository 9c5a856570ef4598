"""Asking for a refund: by a person for a shopper, or by the back office for money that must go back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, insert, select

from backroom.audit import trail
from backroom.refunds import goods, parking
from backroom.refunds.eligibility import Ask, Eligible, RefundRefused, eligible, named
from backroom.refunds.placing import place, request_row
from backroom.refunds.tables import refund, refund_request, refund_request_line
from backroom.refunds.trip import lock

SYSTEM: Final = "backroom"
_RETURN: Final = "return:"


@dataclass(frozen=True)
class Part:
    """One refund of a request: to (or off) one instrument, by one key."""

    refund_id: int
    instrument: str
    amount: Decimal
    state: str
    refund_request_key: str


@dataclass(frozen=True)
class Request:
    """A request as it stands. AWAITING_APPROVAL has no parts yet. Amounts in `currency`."""

    request_id: int
    shopping_trip_id: str
    amount: Decimal
    currency: str
    reason: str
    state: str
    requested_by: str
    is_return: bool
    parts: tuple[Part, ...]


def request(
    connection: Connection,
    *,
    shopping_trip_id: str,
    amount: Decimal | None,
    lines: Sequence[tuple[int, Decimal | None]] | None,
    reason: str,
    requested_by: str,
    asked_key: str,
    now: datetime,
    requested_at: datetime | None = None,
    note: str = "",
    goods_returned: bool = False,
) -> Request:
    """Asks for `amount`, or for lines (number, quantity; None: all that is left of it), or, without either, for all.

    One transaction, under the charge's lock: any number of requests at once share the same caps. The window is counted
    at `requested_at`, when the shopper asked; None: `now`. Both are business time. The same `asked_key` asks once:
    asked again, it gives the request that it made. Above the limit the request waits for `deciding.approve`. Raises
    RefundRefused.
    """
    who = named("who asks", requested_by)
    since = requested_at or now
    if since > now:
        raise RefundRefused(f"the shopper can't have asked at {since:%Y-%m-%d %H:%M} UTC: that is yet to come")
    if not asked_key.strip() or asked_key.startswith(_RETURN):
        raise RefundRefused(f"{asked_key!r} can't be the key of a request; use one of your own, such as a ticket's")
    trip = lock(connection, shopping_trip_id)
    ask = Ask(amount, tuple(lines or ()))
    fingerprint = {
        "amount": None if amount is None else f"{amount.normalize():f}",
        "lines": [[number, None if part is None else f"{part.normalize():f}"] for number, part in ask.lines],
        "reason": reason,
        "goods_returned": goods_returned,
    }
    if earlier := _asked(connection, asked_key):
        return _same(connection, earlier, shopping_trip_id, fingerprint)
    may = eligible(trip.facts(connection), ask, reason=reason, requested_at=since)
    row = _write(
        connection,
        asked_key=asked_key,
        shopping_trip_id=shopping_trip_id,
        store_id=trip.store_id,
        currency=trip.currency,
        amount=may.amount,
        reason=reason,
        note=note,
        requested_by=who,
        requested_at=since,
        needs_approval=may.needs_approval,
        goods_returned=goods_returned,
        asked=fingerprint,
        state="AWAITING_APPROVAL" if may.needs_approval else "APPROVED",
    )
    _write_lines(connection, row, may)
    if may.needs_approval:
        parking.ask_approval(connection, row, now=now)
    else:
        rest = place(connection, trip, row, now=now)
        if rest > 0:
            raise RefundRefused(f"trip {shopping_trip_id}: {rest:f} {trip.currency} have nothing to come from")
        goods.bring_back(connection, row, now=now)
    trail.record(
        connection,
        at=now,
        actor=who,
        action="refund.request",
        subject=shopping_trip_id,
        reason=note or reason,
        details={
            "request_id": row["request_id"],
            "amount": f"{may.amount:f}",
            "needs_approval": may.needs_approval,
            "requested_at": since.isoformat(),
        },
    )
    return get(connection, row["request_id"])


def request_return(
    connection: Connection, *, shopping_trip_id: str, instrument: str, amount: Decimal, why: str, now: datetime
) -> Request:
    """Sends money back that came although nothing was owed: no window, no approval, no debt, one instrument alone.

    The same trip, instrument and `why` ask once. What the instrument can't give (it was given back already) is told to
    finance, never raised: who found the money must be able to write that down. Raises RefundRefused for an amount that
    is not above zero.
    """
    if amount <= 0:
        raise RefundRefused(f"trip {shopping_trip_id}: {amount:f} can't be sent back")
    trip = lock(connection, shopping_trip_id)
    key = f"{_RETURN}{shopping_trip_id}:{instrument}:{why}"
    if earlier := _asked(connection, key):
        return get(connection, earlier["request_id"])
    row = _write(
        connection,
        asked_key=key,
        shopping_trip_id=shopping_trip_id,
        store_id=trip.store_id,
        currency=trip.currency,
        amount=amount,
        reason="OTHER",
        note=why,
        requested_by=SYSTEM,
        requested_at=now,
        is_return=True,
        asked={},
        state="APPROVED",
    )
    rest = place(connection, trip, row, now=now, pinned_to=instrument)
    if rest > 0:
        parking.tell_left_over(connection, row, f"{rest:f}", f"{instrument} can't give it", now=now)
    trail.record(
        connection,
        at=now,
        actor=SYSTEM,
        action="refund.return",
        subject=shopping_trip_id,
        reason=why,
        details={"request_id": row["request_id"], "amount": f"{amount:f}", "instrument": instrument},
    )
    return get(connection, row["request_id"])


def get(connection: Connection, request_id: int) -> Request:
    """The request with its parts. Raises RefundRefused where there is none."""
    row = request_row(connection, request_id)
    if row is None:
        raise RefundRefused(f"there is no refund request {request_id}; `backroom refunds list` shows them")
    parts = connection.execute(
        select(refund).where(refund.c.request_id == request_id).order_by(refund.c.refund_id)
    ).mappings()
    return Request(
        request_id=row["request_id"],
        shopping_trip_id=row["shopping_trip_id"],
        amount=row["amount"],
        currency=row["currency"],
        reason=row["reason"],
        state=row["state"],
        requested_by=row["requested_by"],
        is_return=row["is_return"],
        parts=tuple(
            Part(one["refund_id"], one["instrument"], one["amount"], one["state"], one["refund_request_key"])
            for one in parts
        ),
    )


def _asked(connection: Connection, asked_key: str) -> RowMapping | None:
    return (
        connection.execute(select(refund_request).where(refund_request.c.asked_key == asked_key))
        .mappings()
        .one_or_none()
    )


def _same(connection: Connection, earlier: RowMapping, shopping_trip_id: str, fingerprint: dict[str, Any]) -> Request:
    if earlier["shopping_trip_id"] != shopping_trip_id or earlier["asked"] != fingerprint:
        raise RefundRefused(
            f"the key {earlier['asked_key']!r} has asked for something else already (request {earlier['request_id']});"
            " use another key"
        )
    return get(connection, earlier["request_id"])


def _write(connection: Connection, **values: Any) -> RowMapping:
    return connection.execute(insert(refund_request).values(**values).returning(refund_request)).mappings().one()


def _write_lines(connection: Connection, row: RowMapping, may: Eligible) -> None:
    if may.lines:
        connection.execute(
            insert(refund_request_line),
            [
                {
                    "request_id": row["request_id"],
                    "line_number": line.number,
                    "quantity": line.quantity,
                    "amount": line.amount,
                }
                for line in may.lines
            ],
        )
