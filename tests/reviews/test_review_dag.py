"""The DAGs review_start and review: each open case is asked about once, the first decision wins in both directions."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor
from airflow.triggers.base import TriggerEvent
from sqlalchemy import Engine, text

from backroom.reviews.cases import CaseError, decide, get_case
from backroom.settings import settings
from backroom_airflow import review_tasks
from backroom_airflow.review_operator import ReviewOperator
from backroom_airflow.review_trigger import ReviewTrigger, Watch
from tests.reviews.test_cases import NOW, answer, ask

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


@pytest.fixture(autouse=True)
def _quick(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BACKROOM_REVIEW_POLL_SECONDS", "0.1")
    settings.cache_clear()
    with database.begin() as connection:
        connection.execute(text("delete from review_case"))
    yield
    settings.cache_clear()


def case(engine: Engine, case_id: int) -> dict[str, Any]:
    with engine.connect() as connection:
        return dict(get_case(connection, case_id))


def open_one(engine: Engine, subject: str = "trip-1") -> int:
    case_id = ask(engine, subject)
    assert case_id is not None
    return case_id


def runs_of(dag_id: str) -> list[str]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return sorted(session.scalars(select(DagRun.run_id).where(DagRun.dag_id == dag_id)))


def test_a_run_is_started_for_each_open_case_and_never_twice(database: Engine, dag_bag: DagBag) -> None:
    case_id, decided = open_one(database), open_one(database, "trip-3")
    answer(database, decided, "drop")
    dag = dag_bag.dags["review_start"]
    assert dag.test(logical_date=NOW).state == "success"
    assert [run for run in runs_of("review") if run.startswith("case-")] == [f"case-{case_id}"]
    again = dag.test(logical_date=NOW + timedelta(minutes=5))
    assert again.state == "success"
    assert {ti.state for ti in again.get_task_instances() if ti.task_id == "start"} == {"skipped"}
    assert [run for run in runs_of("review") if run.startswith("case-")] == [f"case-{case_id}"]


def test_the_most_urgent_are_shown_first_and_no_more_than_there_is_room_for(database: Engine) -> None:
    from backroom.reviews import showing

    ids = [open_one(database, f"trip-{number}") for number in range(5)]
    with database.begin() as connection:
        connection.execute(text("update review_case set due_at = :at where case_id = :id"), {"at": NOW, "id": ids[3]})
        assert showing.to_show(connection, most=2) == [ids[3], ids[0]]
        for case_id in (ids[3], ids[0]):
            showing.mark_shown(connection, case_id, now=NOW)
            showing.mark_shown(connection, case_id, now=NOW + timedelta(days=1))
        assert showing.to_show(connection, most=2) == []
    answer(database, ids[3], "drop")
    with database.connect() as connection:
        assert showing.to_show(connection, most=2) == [ids[1]]
    assert case(database, ids[0])["shown_at"] == NOW


def test_a_decision_on_the_command_line_ends_the_waiting_task(database: Engine, dag_bag: DagBag) -> None:
    case_id = open_one(database)

    def later() -> None:
        for _ in range(600):
            if case(database, case_id)["shown_at"] is not None:
                break
            time.sleep(0.05)
        answer(database, case_id, "drop", by="ben")

    elsewhere = threading.Thread(target=later)
    elsewhere.start()
    run = dag_bag.dags["review"].test(run_conf={"case_id": case_id})
    elsewhere.join()
    assert run.state == "success"
    row = case(database, case_id)
    assert (row["decision"], row["decided_by"], row["shown_at"] is not None) == ("drop", "ben", True)


def test_a_case_that_is_decided_already_is_not_asked_about(database: Engine, dag_bag: DagBag) -> None:
    case_id = open_one(database)
    answer(database, case_id, "keep")
    assert dag_bag.dags["review"].test(run_conf={"case_id": case_id}).state == "success"
    assert case(database, case_id)["decision"] == "keep"


def given(case_id: int, choice: str, *, by: str = "carla", reason: str = "it was a sticker") -> dict[str, Any]:
    """What the task `ask` hands on after an answer in Airflow, as Airflow's API resumes it."""
    event = {
        "chosen_options": [choice],
        "params_input": {"reason": reason},
        "responded_at": NOW + timedelta(hours=1),
        "responded_by_user": {"id": "7", "name": by},
        "timedout": False,
    }
    return ReviewOperator(task_id="ask", case_id=str(case_id)).execute_complete({}, event)


def test_an_answer_in_airflow_decides_as_the_person_who_answered(database: Engine) -> None:
    case_id = open_one(database)
    done = review_tasks.decide(given(case_id, "keep"))
    assert done == {"case_id": case_id, "decision": "keep", "decided_by": "carla", "counted": True}
    row = case(database, case_id)
    assert (row["decision"], row["decided_by"], row["decision_reason"], row["decided_at"]) == (
        "keep", "carla", "it was a sticker", NOW + timedelta(hours=1),
    )  # fmt: skip
    with database.connect() as connection:
        entry = connection.execute(
            text("select actor, action, reason from audit_entry where details ->> 'case_id' = :id"),
            {"id": str(case_id)},
        ).one()
    assert tuple(entry) == ("carla", "review.decide", "it was a sticker")


def test_an_answer_in_airflow_that_comes_second_does_not_count(database: Engine) -> None:
    case_id = open_one(database)
    answer(database, case_id, "drop", by="ben")
    done = review_tasks.decide(given(case_id, "keep"))
    assert done == {"case_id": case_id, "decision": "drop", "decided_by": "ben", "counted": False}
    assert case(database, case_id)["decided_by"] == "ben"


def test_a_second_try_of_the_task_that_decides_changes_nothing(database: Engine) -> None:
    case_id = open_one(database)
    first, again = (review_tasks.decide(given(case_id, "keep", reason=" ")) for _ in range(2))
    assert (first["counted"], again["counted"], again["decided_by"]) == (True, False, "carla")
    assert "without a reason" in case(database, case_id)["decision_reason"]


def test_airflow_shows_the_cases_question_choices_and_what_is_known(
    database: Engine, dag_bag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session
    from sqlalchemy import select

    case_id = open_one(database, "trip-shown")

    def at_once(**_: object) -> TriggerEvent:
        answer(database, case_id, "drop", by="ben")
        return TriggerEvent({"decided_elsewhere": True})

    monkeypatch.setattr(InProcessTestSupervisor, "run_trigger_in_process", at_once)
    dag_bag.dags["review"].test(run_conf={"case_id": case_id})
    with create_session() as session:
        shown = session.scalars(select(HITLDetail).where(HITLDetail.subject.contains(f"Case {case_id}:"))).one()
        assert shown.options == ["drop", "keep"]
        for words in ("What was it?", "the line is left out", "trip-shown", "first decision wins"):
            assert words in shown.body


def trigger(case_id: int) -> ReviewTrigger:
    return ReviewTrigger(
        case_id=case_id, poll_seconds=0.05, ti_id=uuid4(), options=["drop", "keep"], params={}, timeout_datetime=None
    )


def test_the_trigger_can_be_made_again_from_what_it_serializes_to() -> None:
    made = trigger(7)
    path, arguments = made.serialize()
    assert path == f"{ReviewTrigger.__module__}.{ReviewTrigger.__name__}"
    assert ReviewTrigger(**arguments).serialize() == (path, arguments)


def test_the_trigger_fires_with_an_answer_that_airflow_holds_already(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answered(_: ReviewTrigger) -> TriggerEvent:
        return TriggerEvent({"chosen_options": ["keep"]})

    monkeypatch.setattr(ReviewTrigger, "_handle_response", answered)
    event = asyncio.run(anext(trigger(7).run()))
    assert event.payload == {"chosen_options": ["keep"]}


def test_the_trigger_outlives_a_database_that_is_away(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    case_id = open_one(database)
    answer(database, case_id, "drop")
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "airflow.sdk.execution_time.hitl.update_hitl_detail_response", lambda **given: told.append(given)
    )
    looked: list[int] = []

    def look(case_ids: Any) -> dict[int, str]:
        looked.append(len(case_ids))
        if len(looked) < 3:
            raise ConnectionError("away")
        return dict.fromkeys(case_ids, "drop")

    monkeypatch.setattr("backroom_airflow.review_trigger.WATCH", Watch(look))
    event = asyncio.run(anext(trigger(case_id).run()))
    assert event.payload == {"decided_elsewhere": True}
    assert len(looked) >= 3
    assert told[0]["chosen_options"] == ["drop"]


def test_many_waiting_tasks_look_by_one_query(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def look(case_ids: Any) -> dict[int, str]:
        looked.append(len(case_ids))
        return dict.fromkeys(case_ids, "drop") if len(looked) > 4 else {}

    monkeypatch.setattr("backroom_airflow.review_trigger.WATCH", Watch(look))
    monkeypatch.setattr("airflow.sdk.execution_time.hitl.update_hitl_detail_response", lambda **_: None)

    async def together() -> None:
        await asyncio.gather(*(anext(trigger(number).run()) for number in range(50)))

    asyncio.run(together())
    assert len(looked) <= 8
    assert max(looked) == 50


def test_decisions_here_and_in_airflow_at_the_same_moment_leave_one(database: Engine) -> None:
    from concurrent.futures import ThreadPoolExecutor

    for number in range(10):
        case_id = open_one(database, f"race-{number}")

        def here(by: str, case_id: int = case_id) -> bool:
            try:
                answer(database, case_id, "drop", by=by)
            except CaseError:
                return False
            return True

        def there(by: str, case_id: int = case_id) -> bool:
            return bool(review_tasks.decide(given(case_id, "keep", by=by))["counted"])

        with ThreadPoolExecutor(4) as pool:
            counted = [
                future.result()
                for future in [pool.submit(one, f"p{i}") for i, one in enumerate((here, there, here, there))]
            ]
        assert sum(counted) == 1


def test_an_overdue_case_raises_one_alert_a_day_and_stays_open(database: Engine) -> None:
    case_id = open_one(database, "trip-late")
    with database.begin() as connection:
        connection.execute(
            text("update review_case set due_at = :at, when_overdue = 'it stays unbilled' where case_id = :id"),
            {"at": NOW, "id": case_id},
        )
    for minutes in (5, 10):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(review_tasks.business_time, "of", lambda _, at=minutes: NOW + timedelta(minutes=at))
            review_tasks.open_cases()
    with database.connect() as connection:
        alerts = connection.execute(
            text("select title, what_to_do, times from alert where deduplication_key like 'review-overdue%'")
        ).all()
    assert len(alerts) == 1
    assert alerts[0].times == 2
    assert "it stays unbilled" in alerts[0].what_to_do
    assert case(database, case_id)["decision"] is None


def test_who_asks_too_late_is_told_who_decided(database: Engine) -> None:
    case_id = open_one(database)
    answer(database, case_id, "drop", by="ben")
    with pytest.raises(Exception, match="decided already: drop by ben"), database.begin() as connection:
        decide(connection, case_id, "keep", by="ana", reason="seen", now=datetime.now(UTC))
