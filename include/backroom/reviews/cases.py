"""Cases that wait for a person: whoever asks opens one, the first decision wins.

A case only keeps the question and the answer. The room that asked reads its decided cases and acts on them, so that
the console, the command line and Airflow's human-in-the-loop task all decide the same row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from backroom.audit import trail
from backroom.errors import BackroomError
from backroom.reviews.tables import review_case


class CaseError(BackroomError):
    """There is no such case, it has no such choice, or it is decided already."""


def open_case(
    connection: Connection,
    *,
    kind: str,
    subject: str,
    store_id: str | None,
    asked_by: str,
    question: str,
    known: Mapping[str, Any],
    choices: Sequence[tuple[str, str]],
    now: datetime,
    due_at: datetime | None = None,
    when_overdue: str = "",
) -> int | None:
    """Opens a case in the caller's transaction and returns its id; None where one of that kind and subject is open.

    `known` is what helps to decide (JSON; money as exact text); `choices` are (choice, effect in words).
    """
    return connection.execute(
        upsert(review_case)
        .values(
            kind=kind,
            subject=subject,
            store_id=store_id,
            asked_by=asked_by,
            question=question,
            known=dict(known),
            choices=[{"choice": choice, "effect": effect} for choice, effect in choices],
            opened_at=now,
            due_at=due_at,
            when_overdue=when_overdue,
        )
        .on_conflict_do_nothing()
        .returning(review_case.c.case_id)
    ).scalar_one_or_none()


def decide(connection: Connection, case_id: int, decision: str, *, by: str, reason: str, now: datetime) -> None:
    """Records the decision and its audit entry. Raises CaseError where it is not this decision that counts."""
    if not reason.strip():
        raise CaseError(f"case {case_id}: a decision needs a reason; it is kept in the audit log")
    case = get_case(connection, case_id)
    offered = [choice["choice"] for choice in case["choices"]]
    if decision not in offered:
        raise CaseError(f"case {case_id} offers {', '.join(offered)}; {decision!r} is not among them")
    _close(connection, case, decision, by=by, reason=reason, now=now)


def settle(connection: Connection, *, kind: str, subject: str, by: str, reason: str, now: datetime) -> int | None:
    """Closes an open case whose question has answered itself (decision `SETTLED`). Returns its id, or None.

    Waits for a person who decides it at this moment: then that decision stands, and there is nothing to close.
    """
    case = (
        connection.execute(
            select(review_case)
            .where(review_case.c.kind == kind, review_case.c.subject == subject, review_case.c.decision.is_(None))
            .with_for_update()
        )
        .mappings()
        .one_or_none()
    )
    if case is None:
        return None
    _close(connection, case, "SETTLED", by=by, reason=reason, now=now)
    return int(case["case_id"])


def get_case(connection: Connection, case_id: int) -> RowMapping:
    """The case's row. Raises CaseError where there is none."""
    case = connection.execute(select(review_case).where(review_case.c.case_id == case_id)).mappings().one_or_none()
    if case is None:
        raise CaseError(f"there is no case {case_id}; `backroom review list` shows those that are open")
    return case


def open_cases(
    connection: Connection,
    *,
    store_id: str | None = None,
    kind: str | None = None,
    asked_by: str | None = None,
    overdue_at: datetime | None = None,
    limit: int | None = None,
) -> Sequence[RowMapping]:
    """What waits for a person, the most urgent first; with `overdue_at`, only what was due by then."""
    query = select(review_case).where(review_case.c.decision.is_(None))
    for column, value in (
        (review_case.c.store_id, store_id), (review_case.c.kind, kind), (review_case.c.asked_by, asked_by),
    ):  # fmt: skip
        if value is not None:
            query = query.where(column == value)
    if overdue_at is not None:
        query = query.where(review_case.c.due_at <= overdue_at)
    order = (review_case.c.due_at.asc().nulls_last(), review_case.c.opened_at, review_case.c.case_id)
    return connection.execute(query.order_by(*order).limit(limit)).mappings().all()


def decided_cases(
    connection: Connection, *, store_id: str | None = None, kind: str | None = None, limit: int = 100
) -> Sequence[RowMapping]:
    """What was decided, the latest first."""
    query = select(review_case).where(review_case.c.decision.is_not(None))
    if store_id is not None:
        query = query.where(review_case.c.store_id == store_id)
    if kind is not None:
        query = query.where(review_case.c.kind == kind)
    order = (review_case.c.decided_at.desc(), review_case.c.case_id.desc())
    return connection.execute(query.order_by(*order).limit(limit)).mappings().all()


def _close(connection: Connection, case: RowMapping, decision: str, *, by: str, reason: str, now: datetime) -> None:
    closed = connection.execute(
        update(review_case)
        .where(review_case.c.case_id == case["case_id"], review_case.c.decision.is_(None))
        .values(decision=decision, decided_by=by, decided_at=now, decision_reason=reason)
    )
    if closed.rowcount == 0:
        first = get_case(connection, case["case_id"])
        raise CaseError(
            f"case {case['case_id']} was decided already: {first['decision']} by {first['decided_by']}"
            f" at {first['decided_at']:%Y-%m-%d %H:%M} UTC; the first decision stands"
        )
    trail.record(
        connection,
        at=now,
        actor=by,
        action="review.decide",
        subject=case["subject"],
        reason=reason,
        details={"case_id": case["case_id"], "kind": case["kind"], "decision": decision},
    )
