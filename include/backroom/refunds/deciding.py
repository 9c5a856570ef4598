"""A second person's word on a refund above the limit. The first decision stands."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, RowMapping, update

from backroom.audit import trail
from backroom.refunds import goods, parking
from backroom.refunds.eligibility import RefundRefused, named
from backroom.refunds.placing import place, request_row
from backroom.refunds.requesting import Request, get
from backroom.refunds.tables import refund_request
from backroom.refunds.trip import lock
from backroom.reviews import cases


def approve(connection: Connection, request_id: int, *, by: str, reason: str, now: datetime) -> Request:
    """Lets the refund go its way: the debt is reduced, the rest goes to the instruments that paid.

    Raises RefundRefused where who approves is who asked, where it was decided already, or where less is left to give
    back than was asked for.
    """
    row = _awaiting(connection, request_id, by)
    trip = lock(connection, row["shopping_trip_id"])
    decided = _decide(connection, request_id, "APPROVED", by, reason, now)
    rest = place(connection, trip, decided, now=now)
    if rest > 0:
        raise RefundRefused(
            f"request {request_id} asks for {row['amount']:f} {row['currency']}, of which {rest:f} have nothing to come"
            " from any more; reject it, and let a smaller one be asked for"
        )
    goods.bring_back(connection, decided, now=now, lenient=True)
    return get(connection, request_id)


def reject(connection: Connection, request_id: int, *, by: str, reason: str, now: datetime) -> Request:
    """Ends the request: nothing goes back. Raises RefundRefused as `approve` does."""
    row = _awaiting(connection, request_id, by)
    lock(connection, row["shopping_trip_id"])
    _decide(connection, request_id, "REJECTED", by, reason, now)
    return get(connection, request_id)


def _awaiting(connection: Connection, request_id: int, by: str) -> RowMapping:
    row = request_row(connection, request_id)
    if row is None:
        raise RefundRefused(f"there is no refund request {request_id}; `backroom refunds list` shows them")
    if same_person(by, row["requested_by"]):
        raise RefundRefused(f"request {request_id} was made by {row['requested_by']}; someone else must decide it")
    return row


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's: case and blanks make no difference."""
    return one.strip().casefold() == other.strip().casefold()


def _decide(connection: Connection, request_id: int, state: str, by: str, reason: str, now: datetime) -> RowMapping:
    who = named("who decides", by)
    decided = (
        connection.execute(
            update(refund_request)
            .where(refund_request.c.request_id == request_id, refund_request.c.state == "AWAITING_APPROVAL")
            .values(
                state=state,
                decided_by=who,
                decided_at=now,
                decision_reason=named("the reason", reason),
            )
            .returning(refund_request)
        )
        .mappings()
        .one_or_none()
    )
    if decided is None:
        row = request_row(connection, request_id)
        assert row is not None
        told = f" by {row['decided_by']}" if row["decided_by"] else " without needing anyone's word"
        raise RefundRefused(f"request {request_id} is {row['state']}{told}; there is nothing to decide")
    trail.record(
        connection,
        at=now,
        actor=who,
        action="refund.approve" if state == "APPROVED" else "refund.reject",
        subject=decided["shopping_trip_id"],
        reason=reason,
        details={"request_id": request_id, "amount": f"{decided['amount']:f}"},
    )
    cases.settle(
        connection,
        kind=parking.APPROVAL,
        subject=parking.approval_subject(request_id),
        by=who,
        reason=f"{state.lower()}: {reason}",
        now=now,
    )
    return decided
