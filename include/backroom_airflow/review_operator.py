"""Asks a person in Airflow about one case, and notices where it is decided elsewhere meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from backroom_airflow import business_time
from backroom_airflow.review_trigger import ReviewTrigger


class ReviewOperator(HITLOperator):
    """A human-in-the-loop task with the case's own question and choices; the answer goes to XCom.

    The answer is `{"case_id", "choice", "by", "reason", "at"}`, or `{"case_id"}` alone where the case was decided
    elsewhere. Nothing is written to the case but that it is shown.
    """

    template_fields: Sequence[str] = ("case_id",)

    def __init__(self, *, case_id: str, **kwargs: Any) -> None:
        """`case_id` is a template, such as a value of the run's conf."""
        reason = Param("", type="string", title="Reason", description="why; kept in the audit log")
        super().__init__(subject="a case", options=["a choice of the case"], params={"reason": reason}, **kwargs)
        self.case_id = case_id

    def execute(self, context: Any) -> dict[str, Any]:
        """Show the case; wait, deferred, where it is open."""
        from backroom.db.engine import transaction
        from backroom.reviews import cases, showing
        from backroom.settings import settings

        case_id = int(self.case_id)
        with transaction() as connection:
            case = cases.get_case(connection, case_id)
            showing.mark_shown(connection, case_id, now=business_time.of(context))
        if case["decision"] is not None:
            return {"case_id": case_id}
        task_instance = context["task_instance"].id
        options = [choice["choice"] for choice in case["choices"]]
        upsert_hitl_detail(
            ti_id=task_instance,
            options=options,
            subject=f"Case {case_id}: {case['kind']} about {case['subject']}",
            body=showing.as_markdown(case),
            params=self.serialized_params,
        )
        self.defer(
            trigger=ReviewTrigger(
                case_id=case_id,
                poll_seconds=settings().review_poll_seconds,
                ti_id=task_instance,
                options=options,
                params=self.serialized_params,
                timeout_datetime=None,
            ),
            method_name="execute_complete",
        )
        return {}  # `defer` does not return

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """After an answer in Airflow, or a decision elsewhere."""
        case_id = int(self.case_id)
        if "error" in event:
            self.process_trigger_event_error(event)
        if event.get("decided_elsewhere"):
            return {"case_id": case_id}
        person = event.get("responded_by_user") or {}
        at = event["responded_at"]
        return {
            "case_id": case_id,
            "choice": event["chosen_options"][0],
            "by": person.get("name") or person.get("id") or "Airflow",
            "reason": str((event.get("params_input") or {}).get("reason") or "").strip(),
            "at": at.isoformat() if isinstance(at, datetime) else str(at),
        }
