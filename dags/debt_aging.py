"""How old the debts are, and whom that concerns."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from backroom_airflow import debt_aging_tasks, pools
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Debt aging
**What.** Gives every open debt its age in whole days of its store's calendar, and its bucket: 0-30, 31-60, 61-90,
over 90 days. Returns what is open by store and bucket. Then writes off what people have decided to, hands each debt
that has become old (or large) to a person, once, and books what is new. docs/debts.md explains.

**When.** Daily at 09:00 UTC, when a new day has begun in every American store. **Its time** is "now": each store's
own day at the run's logical date.

**A rerun** gives the same ages; a rerun of an older day leaves alone what a later one has aged. Nothing is written off
or handed over twice.

**When it fails.** The database does not answer; clear the task. `backroom debts list` shows the debts,
`backroom review list` the cases (`OLD_DEBT`).
"""

with DAG(
    dag_id="debt_aging",
    schedule=every("0 9 * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.DEBTS, Tag.DAILY],
    doc_md=DOC,
    default_args={
        "owner": "finance",
        "retries": 3,
        "retry_delay": timedelta(minutes=2),
        "pool": pools.DEFAULT,
    },
):

    @task
    def age(**context: object) -> list[dict[str, str | int]]:
        """Age every open debt."""
        return debt_aging_tasks.age(**context)

    @task
    def escalate(**context: object) -> dict[str, int]:
        """Take in decisions; hand over what is old or large."""
        return debt_aging_tasks.escalate(**context)

    @task
    def post(**context: object) -> int:
        """Book what is new."""
        return debt_aging_tasks.post(**context)

    age() >> escalate() >> post()
