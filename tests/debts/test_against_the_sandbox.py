"""Payment status over HTTP against the sandbox: what it takes, rejects, loses and turns away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine

from backroom.amazon.payment_status_client import PaymentStatusClient
from backroom.debts import payment_status, reporting
from backroom.settings import settings
from tests.charges.conftest import hours, minutes
from tests.debts.conftest import Debts, add_store
from tests.sandbox_fixtures import SandboxClient

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

EVENING = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
STORE = "STORE-002"


@pytest.fixture(scope="module")
def aws_endpoint() -> str:
    """No AWS stand-in: a world without feeds needs none."""
    return ""


@pytest.fixture(scope="module")
def theirs(database: Engine) -> Debts:
    add_store(database, STORE, risk_strategy="AMAZON_MANAGED")
    return Debts(database, STORE)


@pytest.fixture
def client(sandbox: SandboxClient) -> Iterator[PaymentStatusClient]:
    with PaymentStatusClient(settings().model_copy(update={"amazon_timeout_seconds": 1.0})) as made:
        yield made


@pytest.fixture
def begin(theirs: Debts, sandbox: SandboxClient, world_without_feeds: Path) -> Callable[..., str]:
    """A trip at the sandbox that nobody has paid, and our debt for it; the fault befalls its first report."""

    def _begin(fault: str = "") -> str:
        plan: dict[str, Any] = {"rates": {"payment_status": {fault: 1.0}} if fault else {}, "retry_after_seconds": 600}
        sandbox.post("/sandbox/load", {"world": str(world_without_feeds), "seed": 1, "faults": plan})
        sandbox.post("/sandbox/clock", {"now": EVENING.isoformat()})
        trip = str(sandbox.post("/sandbox/trips", {"store_id": STORE})["shoppingTripId"])
        theirs.run("delete from api_hold")
        return theirs.owe(named=trip, at=EVENING)

    return _begin


def run(theirs: Debts, client: PaymentStatusClient, at: datetime) -> None:
    with theirs.engine.begin() as connection:
        reporting.apply_decisions(connection, now=at)
        payment_status.find_due(connection, now=at)
    reporting.report_due(theirs.engine, client, store_id=STORE, now=at, concurrency=2)


def states(theirs: Debts, trip: str) -> list[str]:
    rows = theirs.rows("select state from payment_status_report where shopping_trip_id = :t order by report_id", t=trip)
    return [row["state"] for row in rows]


def outcomes(theirs: Debts, trip: str) -> list[tuple[str, int | None]]:
    rows = theirs.rows(
        "select a.outcome, a.http_status from payment_status_attempt a join payment_status_report using (report_id)"
        " where shopping_trip_id = :t order by attempt_id",
        t=trip,
    )
    return [(row["outcome"], row["http_status"]) for row in rows]


def their_books(sandbox: SandboxClient, trip: str) -> Any:
    """What Amazon takes to be (total, settled), and what it holds against its callers."""
    money = sandbox.get("/sandbox/money")
    assert [call for call in money["forbidden"] if call["shopping_trip_id"] == trip] == []
    return next((one["reported"] for one in money["trips"] if one["shopping_trip_id"] == trip), None)


def test_a_debt_and_its_payoff_are_accepted(
    theirs: Debts, sandbox: SandboxClient, client: PaymentStatusClient, begin: Callable[..., str]
) -> None:
    trip = begin()
    run(theirs, client, EVENING)
    assert outcomes(theirs, trip) == [("SUCCEEDED", 200)]
    sandbox.post("/sandbox/till", {"shopping_trip_id": trip, "amount": "12.30"})
    theirs.pay(trip, at=EVENING + minutes(1))
    for minute in (5, 10):
        run(theirs, client, EVENING + minutes(minute))
    assert states(theirs, trip) == ["ACCEPTED", "ACCEPTED"]
    their_books(sandbox, trip)


@pytest.mark.parametrize("fault", ["HANGS_AFTER", "DROPPED_AFTER", "DROPPED_BEFORE", "SERVER_ERROR", "UNAVAILABLE"])
def test_an_answer_that_is_lost_is_asked_for_again(
    theirs: Debts, sandbox: SandboxClient, client: PaymentStatusClient, begin: Callable[..., str], fault: str
) -> None:
    trip = begin(fault)
    for hour in (0, 1, 2):
        run(theirs, client, EVENING + hours(hour))
    assert [outcome for outcome, _ in outcomes(theirs, trip)] == ["UNKNOWN", "SUCCEEDED"]
    assert states(theirs, trip) == ["ACCEPTED"]
    their_books(sandbox, trip)


def test_a_429_is_waited_out(
    theirs: Debts, sandbox: SandboxClient, client: PaymentStatusClient, begin: Callable[..., str]
) -> None:
    trip = begin("THROTTLED")
    for minute in (0, 5, 9, 11):
        run(theirs, client, EVENING + minutes(minute))
    assert outcomes(theirs, trip) == [("REFUSED", 429), ("SUCCEEDED", 200)]


def test_what_is_rejected_is_reported_again_before_a_person_is_asked(
    theirs: Debts, sandbox: SandboxClient, client: PaymentStatusClient, begin: Callable[..., str]
) -> None:
    trip = begin("REJECTED")
    for hour in range(3):
        run(theirs, client, EVENING + hours(hour))
    assert outcomes(theirs, trip) == [("SUCCEEDED", 200), ("SUCCEEDED", 200)]
    assert states(theirs, trip) == ["ACCEPTED"]


def test_what_is_rejected_too_often_is_a_persons_question(
    theirs: Debts,
    sandbox: SandboxClient,
    client: PaymentStatusClient,
    begin: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once = settings().model_copy(update={"payment_status_rejections": 1})
    monkeypatch.setattr(reporting, "settings", lambda: once)
    trip = begin("REJECTED")
    for hour in range(3):
        run(theirs, client, EVENING + hours(hour))
    assert (outcomes(theirs, trip), states(theirs, trip)) == ([("SUCCEEDED", 200)], ["PARKED"])
    (case,) = theirs.cases(trip, "PAYMENT_STATUS_REFUSED")
    assert case["known"]["rejected"] == 1


def test_the_pipeline_looks_up_reports_and_posts(
    theirs: Debts, sandbox: SandboxClient, begin: Callable[..., str], dag_bag: DagBag
) -> None:
    trip = begin()
    run_of = dag_bag.dags["payment_status_feedback"].test(logical_date=EVENING + hours(1))
    assert {one.task_id: one.state for one in run_of.get_task_instances()} == dict.fromkeys(
        ("look_up", "find_due", "report", "post"), "success"
    )
    assert states(theirs, trip) == ["ACCEPTED"]
    assert outcomes(theirs, trip) == [("SUCCEEDED", 200)]
