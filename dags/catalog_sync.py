"""The product catalog, from the retailer's nightly files to Amazon."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from backroom_airflow import catalog_sync_tasks, pools
from backroom_airflow.catalog_operator import CatalogResultsOperator
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Catalog synchronisation
**What.** Reads the source (`BACKROOM_CATALOG_SOURCE`: files in a folder or S3, or a query), judges every row (bad ones
are kept with file, line and reason), holds back a store whose source lacks or changes a large share of its products
until a person has decided, compares with what Amazon last accepted, uploads what is new or changed in batches of at
most 10,000 items of one store, archives what is gone from all stores, waits without holding a worker slot (polling and
Amazon's notifications), and records Amazon's verdict on each item.

**When.** Nightly at 03:00 UTC; by hand at any time, for one store with the conf `{"store": "STORE-001"}`.
**Its time** is "now": the run's logical date; the source is read as it is.

**A rerun** reads the source again and sends what Amazon has not accepted yet: nothing, if nothing has changed. What is
under way is not sent again. The wait attaches again by the run's id.

**When it fails.** `read_and_compare`: a file is missing or broken, the message names it; nothing was changed.
`upload`, `wait_for_amazon`: Amazon or the database does not answer; clear the task. `record_results`: Amazon refused
a batch (`backroom catalog status --run N`, and the alert says what to do), or a report can't be read: clear the task.
"""

with DAG(
    dag_id="catalog_sync",
    schedule=every("0 3 * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.CATALOG, Tag.DAILY, Tag.CALLS_AMAZON],
    doc_md=DOC,
    default_args={
        "owner": "store-operations",
        "retries": 3,
        "retry_delay": timedelta(minutes=2),
        "retry_exponential_backoff": True,
        "pool": pools.AMAZON_CATALOG,
    },
):

    @task(pool=pools.DEFAULT)
    def read_and_compare(**context: object) -> int:
        """Read the source and compare it with what Amazon has."""
        return catalog_sync_tasks.read_and_compare(**context)

    @task
    def upload(catalog_run_id: int, **context: object) -> int:
        """Send what Amazon does not have."""
        return catalog_sync_tasks.upload(catalog_run_id, **context)

    wait_for_amazon = CatalogResultsOperator(
        task_id="wait_for_amazon", catalog_run_id="{{ ti.xcom_pull(task_ids='read_and_compare') }}"
    )

    @task
    def record_results(catalog_run_id: int, **context: object) -> dict[str, object]:
        """Record what became of each item."""
        return catalog_sync_tasks.record_results(catalog_run_id, **context)

    started = read_and_compare()
    upload(started) >> wait_for_amazon >> record_results(started)
