"""The Great Expectations suites over catalog, orders, purchases and money; and what has expired is taken out."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from backroom_airflow import data_quality_tasks, pools
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Data quality
**What.** Runs the suites of `expectations/` in PostgreSQL. Each expectation's result is a row of `quality_result`
with the keys of the rows that fail it; the Data Docs are a site, `reports/quality/index.html`. Beside it, recognition
tokens that expired a day ago and the uses of scan key codes of four days ago are deleted: their tables stay small.

**When.** Daily at 06:00 UTC. **Its time** is "now": it checks the data as it stands.

**A rerun** checks again and replaces the results of the same run; tokens that are gone already are no matter.

**When it fails.** A critical expectation does not hold; everything was recorded first. `backroom quality results` or
the Data Docs name the rows, `expectations/` says what each rule is for. Mend the data at its source and clear the
task. It fails too where the database can't be reached.
"""

with DAG(
    dag_id="data_quality",
    schedule=every("0 6 * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.QUALITY, Tag.DAILY],
    doc_md=DOC,
    default_args={
        "owner": "data-platform",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "pool": pools.DEFAULT,
    },
):

    @task
    def check(**context: object) -> int:
        """Run every suite."""
        return data_quality_tasks.check(**context)

    @task
    def purge_tokens(**context: object) -> dict[str, int]:
        """Delete the recognition tokens that expired a day ago, and uses of codes that are four days old."""
        return data_quality_tasks.purge_tokens(**context)

    check()
    purge_tokens()
