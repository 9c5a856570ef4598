"""Payoffs that are open are looked up; Amazon is told what shoppers owe."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from backroom_airflow import payment_status_feedback_tasks, pools
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Payment status feedback
**What.** Looks up what became of payoffs whose outcome is open (never asks for the money again); then, for stores where
Amazon keeps the balance, tells Amazon of each trip whose total or settled amount is not what Amazon last accepted; then
books what is new. docs/debts.md explains.

**When.** Every minute, one run at a time: who has paid is let in again within that minute. **Its time** is "now": the
run's logical date.

**A rerun** reports nothing twice, unless a call's outcome was never heard: a repeat of a report is harmless. What is to
be told is derived from what is true, so that nothing is lost with a failed run.

**When it fails.** `look_up`, `find_due`, `post`: the database does not answer; the next run catches up. `report`: the
message says what is wrong (credentials, the host). A 429 or 403 does not fail a run: reports wait,
`backroom debts reports` shows them. Cases `PAYMENT_STATUS_REFUSED` and `UNKNOWN_PAYOFF`: `backroom review list`.
"""

with DAG(
    dag_id="payment_status_feedback",
    schedule=every("* * * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.DEBTS, Tag.EVERY_FEW_MINUTES, Tag.MOVES_MONEY, Tag.CALLS_AMAZON],
    doc_md=DOC,
    default_args={
        "owner": "finance",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "pool": pools.DEFAULT,
    },
):

    @task
    def look_up(**context: object) -> dict[str, int]:
        """Look up what became of open payoffs."""
        return payment_status_feedback_tasks.look_up_payoffs(**context)

    @task(trigger_rule="all_done")
    def find_due(**context: object) -> list[str]:
        """Which trips Amazon knows wrongly; the stores that have one."""
        return payment_status_feedback_tasks.find_due(**context)

    @task(pool=pools.AMAZON_PAYMENTS, map_index_template="{{ task.op_kwargs['store_id'] }}")
    def report(store_id: str, **context: Any) -> dict[str, Any]:
        """Tell Amazon of one store's trips."""
        return payment_status_feedback_tasks.report(store_id, **context)

    @task(trigger_rule="none_failed")
    def post(**context: object) -> int:
        """Book what is new."""
        return payment_status_feedback_tasks.post(**context)

    due = find_due()
    look_up() >> due
    report.expand(store_id=due) >> post()
