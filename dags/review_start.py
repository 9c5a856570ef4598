"""Shows the cases that wait for a person in Airflow: one run of the DAG review for each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, task

from backroom_airflow import pools, review_tasks
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Review start
**What.** Starts a run of the DAG `review` for each open case that is not shown yet, the most urgent first, and raises
an alert (`review-overdue`) for cases that nobody has decided in time. At most 200 cases are shown at once; the others
follow as those are decided, and `backroom review list` has them all.

**When.** Every 5 minutes, one run at a time. **Its time** is "now": the run's logical date decides what is overdue.

**A rerun** starts nothing twice: the run's id is the case's, and a run that exists is left alone (the task is skipped).

**When it fails.** The database or Airflow's API does not answer; the next run catches up. A case is marked as shown by
its own run, so that one whose start failed is started again.
"""

with DAG(
    dag_id="review_start",
    schedule=every("*/5 * * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.REVIEWS, Tag.EVERY_FEW_MINUTES],
    doc_md=DOC,
    default_args={
        "owner": "finance",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "pool": pools.DEFAULT,
    },
):

    @task
    def open_cases(**context: Any) -> list[dict[str, Any]]:
        """Which cases are to be shown."""
        return review_tasks.open_cases(**context)

    TriggerDagRunOperator.partial(
        task_id="start",
        trigger_dag_id="review",
        logical_date=None,
        skip_when_already_exists=True,
        map_index_template="{{ task.trigger_run_id }}",
    ).expand_kwargs(open_cases())
