"""What people decided about requests above the limit and parked refunds, acted on: once each, wherever they did."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.audit import trail
from backroom.errors import BackroomError
from backroom.refunds import deciding, history, parking, queue
from backroom.refunds.eligibility import RefundRefused, named
from backroom.refunds.history import ParkedFor, subject_of
from backroom.refunds.parking import ASKED_BY
from backroom.refunds.placing import request_row
from backroom.reviews import cases

# A refund that is parked again gets a new case, so that only the last one of each counts.
_DECIDED: Final = text(
    """
    select r.refund_id, r.shopping_trip_id, c.case_id, c.kind, c.decision, c.decided_by
    from refund r
    join lateral (
        select * from review_case c
        where c.asked_by = :asked_by and c.subject = 'refund' || chr(58) || r.refund_id
        order by c.case_id desc limit 1
    ) c on true
    where r.state = 'PARKED' and c.decision is not null and c.decision <> 'SETTLED'
    order by r.shopping_trip_id, r.refund_id
    """
)
_APPROVALS: Final = text(
    """
    select q.request_id, c.case_id, c.decision, c.decided_by, c.decision_reason
    from refund_request q
    join lateral (
        select * from review_case c
        where c.asked_by = :asked_by and c.kind = :kind and c.subject = 'refund request' || chr(58) || q.request_id
        order by c.case_id desc limit 1
    ) c on true
    where q.state = 'AWAITING_APPROVAL' and c.decision is not null and c.decision <> 'SETTLED'
    order by q.shopping_trip_id, q.request_id
    """
)
_BY_ID: Final = text("select refund_id, shopping_trip_id, instrument from refund where refund_id = :refund")
_MAY_HAVE_WORKED: Final = text(
    "select exists (select from refund_attempt where refund_id = :refund"
    " and (outcome is null or outcome in ('SUCCEEDED', 'UNKNOWN')))"
)
GIVEN: Final = frozenset({"refunded", "given_otherwise", "paid_back"})
NOT_GIVEN: Final = frozenset({"not_refunded", "not_given", "not_paid_back"})


def apply_decisions(connection: Connection, *, now: datetime) -> int:
    """Does what each decided case means, and returns how many there were."""
    approvals = connection.execute(_APPROVALS, {"asked_by": ASKED_BY, "kind": parking.APPROVAL}).mappings().all()
    for case in approvals:
        _apply_approval(connection, case, now)
    decided = connection.execute(_DECIDED, {"asked_by": ASKED_BY}).mappings().all()
    for case in decided:
        one = queue.lock(connection, case["shopping_trip_id"], case["refund_id"])
        _apply(connection, one, str(case["decision"]), f"case:{case['case_id']}", now)
    return len(approvals) + len(decided)


def _apply_approval(connection: Connection, case: RowMapping, now: datetime) -> None:
    """A decision that can't count (who asked has taken it, or less is left to give back) is asked for anew."""
    decide = deciding.approve if case["decision"] == "approve" else deciding.reject
    try:
        with connection.begin_nested():
            decide(connection, case["request_id"], by=case["decided_by"], reason=case["decision_reason"], now=now)
    except RefundRefused as error:
        request = request_row(connection, case["request_id"])
        assert request is not None
        parking.ask_approval(connection, request, now=now, why_again=str(error))


def retry(connection: Connection, refund_id: int, *, by: str, reason: str, now: datetime) -> None:
    """Has a parked refund asked for once more, by the same key. Raises RefundRefused where it is not parked."""
    who, why = named("who retries", by), named("the reason", reason)
    known = connection.execute(_BY_ID, {"refund": refund_id}).one_or_none()
    if known is None:
        raise RefundRefused(
            f"there is no refund {refund_id}; `backroom refunds show REQUEST` shows a request's refunds"
        )
    one = queue.lock(connection, known.shopping_trip_id, refund_id)
    if one["state"] != "PARKED":
        raise RefundRefused(f"refund {refund_id} is {one['state']}; only a parked one is asked for again")
    open_cases = [kind for kind in ParkedFor if _settle(connection, kind, refund_id, who, why, now)]
    if ParkedFor.PAY_BACK_BY_HAND in open_cases:
        raise RefundRefused(f"refund {refund_id} is paid back by hand; decide its case with `backroom review decide`")
    _ask_again(connection, one, now)
    trail.record(
        connection, at=now, actor=who, action="refund.retry", subject=known.shopping_trip_id, reason=why,
        details={"refund_id": refund_id},
    )  # fmt: skip


def _settle(connection: Connection, kind: ParkedFor, refund_id: int, by: str, reason: str, now: datetime) -> bool:
    subject = subject_of(refund_id)
    return cases.settle(connection, kind=kind.value, subject=subject, by=by, reason=reason, now=now) is not None


def _apply(connection: Connection, one: RowMapping, decision: str, source: str, now: datetime) -> None:
    if decision == "ask_again":
        _ask_again(connection, one, now)
    elif decision in GIVEN:
        history.make_final(connection, one, source=source, happened_at=now)
    elif decision in NOT_GIVEN:
        history.make_refused(connection, one, source=source, happened_at=now)
    else:
        raise BackroomError(f"refund {one['refund_id']}: {decision!r} is no decision that refunds know")


def _ask_again(connection: Connection, one: RowMapping, now: datetime) -> None:
    doubtful = connection.execute(_MAY_HAVE_WORKED, {"refund": one["refund_id"]}).scalar_one()
    history.move(connection, one, "UNKNOWN" if doubtful else "DUE", next_attempt_at=now)
