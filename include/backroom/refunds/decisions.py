"""What people decided about parked refunds, acted on: once each, whoever decided and wherever."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.audit import trail
from backroom.errors import BackroomError
from backroom.refunds import history, queue
from backroom.refunds.eligibility import RefundRefused, named
from backroom.refunds.history import ParkedFor, subject_of
from backroom.refunds.parking import ASKED_BY
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
_BY_ID: Final = text("select refund_id, shopping_trip_id, instrument from refund where refund_id = :refund")
_MAY_HAVE_WORKED: Final = text(
    "select exists (select from refund_attempt where refund_id = :refund"
    " and (outcome is null or outcome in ('SUCCEEDED', 'UNKNOWN')))"
)
GIVEN: Final = frozenset({"refunded", "given_otherwise", "paid_back"})
NOT_GIVEN: Final = frozenset({"not_refunded", "not_given", "not_paid_back"})


def apply_decisions(connection: Connection, *, now: datetime) -> int:
    """Does what each decided case means, and returns how many there were."""
    decided = connection.execute(_DECIDED, {"asked_by": ASKED_BY}).mappings().all()
    for case in decided:
        one = queue.lock(connection, case["shopping_trip_id"], case["refund_id"])
        _apply(connection, one, str(case["decision"]), f"case:{case['case_id']}", now)
    return len(decided)


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
