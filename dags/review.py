"""A case that waits for a person, as a human-in-the-loop task."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from backroom_airflow import pools, review_tasks
from backroom_airflow.review_operator import ReviewOperator
from backroom_airflow.tags import Tag

DOC = """
### Review
**What.** One run for one case of `backroom review list`: `ask` shows its question, what is known and its choices under
"Required Actions"; `decide` decides the case as the person who answered, with the reason that they gave. Where the case
is decided elsewhere first (the command line, the console, later news), `ask` ends by itself. The first decision wins;
the room that asked acts on it at its next run. docs/reviews.md tells more.

**When.** Started by `review_start`, once for each open case, with the case's id in the run's id (`case-42`) and conf
(`case_id`). While it waits, for days if need be, it holds no worker slot. **Its time** is "now": the case is decided at
the moment of the answer.

**A rerun** of a case that is decided changes nothing; of one that is open, it asks again.

**When it fails.** `ask`: the database does not answer, or there is no such case; clear the task. `decide`: the database
does not answer; clear the task, the answer is kept. Until then `backroom review decide` decides the case.
"""

with DAG(
    dag_id="review",
    schedule=None,
    catchup=False,
    max_active_runs=200,
    tags=[Tag.REVIEWS],
    doc_md=DOC,
    default_args={
        "owner": "finance",
        "retries": 5,
        "retry_delay": timedelta(minutes=1),
        "pool": pools.DEFAULT,
    },
):
    ask = ReviewOperator(task_id="ask", case_id="{{ dag_run.conf['case_id'] }}")

    @task
    def decide(answer: Any, **context: object) -> dict[str, Any]:
        """Record the decision."""
        return review_tasks.decide(answer, **context)

    decide(ask.output)
