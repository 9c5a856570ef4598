"""Showing cases to people elsewhere (Airflow): which ones, in which words, and what they answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, func, select, text, update

from backroom.reviews.cases import CaseError, decide, get_case
from backroom.reviews.tables import review_case

MOST_SHOWN: Final = 200  # cases that wait there at once; the others follow, the most urgent first
AT_ONCE: Final = 25

_TO_SHOW: Final = text(
    """
    select case_id from review_case where decision is null and shown_at is null
    order by due_at asc nulls last, opened_at, case_id
    limit greatest(least(:at_once, :most - (
        select count(*) from review_case where decision is null and shown_at is not null)), 0)
    """
)


def to_show(connection: Connection, *, at_once: int = AT_ONCE, most: int = MOST_SHOWN) -> Sequence[int]:
    """Open cases that are not shown yet, the most urgent first; none while `most` are shown and undecided."""
    return list(connection.execute(_TO_SHOW, {"at_once": at_once, "most": most}).scalars())


def mark_shown(connection: Connection, case_id: int, *, now: datetime) -> None:
    """The case is before people's eyes. Marking it again changes nothing."""
    connection.execute(
        update(review_case)
        .where(review_case.c.case_id == case_id)
        .values(shown_at=func.coalesce(review_case.c.shown_at, now))
    )


@dataclass(frozen=True)
class Decision:
    """What was decided about a case, and whether it is this answer that counted."""

    case_id: int
    decision: str
    decided_by: str
    counted: bool = True

    def as_json(self) -> dict[str, Any]:
        """For Airflow's XCom."""
        return {
            "case_id": self.case_id, "decision": self.decision, "decided_by": self.decided_by, "counted": self.counted,
        }  # fmt: skip


def decision_of(connection: Connection, case_id: int) -> Decision | None:
    """The decision that stands; None while the case is open. Raises CaseError where there is no such case."""
    case = get_case(connection, case_id)
    if case["decision"] is None:
        return None
    return Decision(case_id, case["decision"], case["decided_by"], counted=False)


def decided_among(connection: Connection, case_ids: Sequence[int]) -> dict[int, str]:
    """Those of the cases that are decided, with their decision."""
    rows = select(review_case.c.case_id, review_case.c.decision).where(
        review_case.c.case_id.in_(case_ids), review_case.c.decision.is_not(None)
    )
    return {case_id: decision for case_id, decision in connection.execute(rows)}


def answer(connection: Connection, case_id: int, choice: str, *, by: str, reason: str, now: datetime) -> Decision:
    """Decides the case as `by`; where it is decided already, returns the decision that stands.

    Raises CaseError for a choice that the case does not offer, and where there is no such case.
    """
    try:
        with connection.begin_nested():
            decide(connection, case_id, choice, by=by, reason=reason, now=now)
    except CaseError:
        standing = decision_of(connection, case_id)
        if standing is None:
            raise
        return standing
    return Decision(case_id, choice, by)


def as_markdown(case: RowMapping | Mapping[str, Any]) -> str:
    """The case for a person: the question, what is known, what each choice brings about, until when."""
    lines = [case["question"], "", f"Asked by `{case['asked_by']}`, about `{case['subject']}`."]
    if case["store_id"]:
        lines[-1] += f" Store `{case['store_id']}`."
    lines += ["", "| known | |", "|---|---|"]
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in case["known"].items()]
    lines += ["", "| choice | what it does |", "|---|---|"]
    lines += [f"| **{_cell(one['choice'])}** | {_cell(one['effect'])} |" for one in case["choices"]]
    if case["due_at"] is not None:
        then = case["when_overdue"] or "the case stays open"
        lines += ["", f"Until {case['due_at']:%Y-%m-%d %H:%M} UTC; then: {then}."]
    lines += ["", f"Also: `backroom review decide {case['case_id']} CHOICE --reason …`. The first decision wins."]
    return "\n".join(lines)


def _cell(value: object) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return shown.replace("|", "\\|").replace("\n", " ")
