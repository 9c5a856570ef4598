"""Lets a held catalog on once a person has said that it is meant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, task

from backroom_airflow import catalog_sync_tasks, pools
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Catalog release
**What.** Starts a run of `catalog_sync` for each store whose source was held back (it lacked or changed a large share
of the store's products) and which a person has let on since, so that nobody has to wait for the night. The run reads
the source again: other content than the one that was decided about is judged anew.

**When.** Every 10 minutes, one run at a time. **Its time** is "now".

**A rerun** starts nothing for a store that a run has read since its decision, nor a second run within the hour.

**When it fails.** The database or Airflow's API does not answer; the next run catches up, and so does the night's
`catalog_sync`.
"""

with DAG(
    dag_id="catalog_release",
    schedule=every("*/10 * * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.CATALOG, Tag.EVERY_FEW_MINUTES],
    doc_md=DOC,
    default_args={
        "owner": "store-operations",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "pool": pools.DEFAULT,
    },
):

    @task
    def released_stores(**context: Any) -> list[dict[str, Any]]:
        """Which stores may go on."""
        return catalog_sync_tasks.released_stores(**context)

    TriggerDagRunOperator.partial(
        task_id="start",
        trigger_dag_id="catalog_sync",
        logical_date=None,
        wait_for_completion=False,
        skip_when_already_exists=True,
    ).expand_kwargs(released_stores())
