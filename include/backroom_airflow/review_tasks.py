"""Tasks of the DAGs review and review_start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backroom_airflow import business_time


def open_cases(**context: Any) -> list[dict[str, Any]]:
    """Alerts on overdue cases; the runs of the DAG review that are to be started, one for each case not shown yet."""
    from backroom.db.engine import transaction
    from backroom.reviews import overdue, showing

    now = business_time.of(context)
    with transaction() as connection:
        overdue.warn_of_overdue(connection, now=now)
        case_ids = showing.to_show(connection)
    return [{"trigger_run_id": run_id(case_id), "conf": {"case_id": case_id}} for case_id in case_ids]


def run_id(case_id: int) -> str:
    """The case's one run: started twice, it is the same run."""
    return f"case-{case_id}"


def decide(answer: Mapping[str, Any], **context: Any) -> dict[str, Any]:
    """Decides the case as the person who answered; returns the decision that stands, whoever made it."""
    from backroom.clock import parse_instant
    from backroom.db.engine import transaction
    from backroom.reviews import showing

    case_id = int(answer["case_id"])
    with transaction() as connection:
        if "choice" not in answer:
            standing = showing.decision_of(connection, case_id)
            return standing.as_json() if standing else {"case_id": case_id}
        return showing.answer(
            connection,
            case_id,
            answer["choice"],
            by=answer["by"],
            reason=answer["reason"] or "answered in Airflow, without a reason",
            now=parse_instant(answer["at"]),
        ).as_json()
