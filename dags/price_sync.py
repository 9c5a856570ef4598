"""The price book, kept up to the retailer's sources of prices."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from backroom_airflow import pools, price_sync_tasks
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Price synchronisation
**What.** Looks at `prices.csv`, `promotions.csv` and `taxes.csv` at `BACKROOM_PRICE_SOURCE` and at the prices of each
store's own point of sale. What has changed is loaded, the files of one look together or not at all. A price that was
in force stays in the book: a trip is priced as of its end, however late its cart comes. A source that is invalid,
does not answer, or would take the price from many products leaves the old prices in force and raises an alert.

**When.** Every 5 minutes. **Its time** is "now": the moment of the look in a scheduled run, the logical date in one
that is asked for. A change that its source does not date counts from then.

**A rerun** finds the same content and changes nothing, or takes in what has been changed since.

**When it fails.** The database does not answer; clear the task, or leave it to the next run. A source that is not
loaded fails no task: the alert names file, line and reason, `backroom prices sources` shows what was loaded when, and
`backroom review list` holds the cases (`PRICE_DROP`) that wait for a decision.
"""

with DAG(
    dag_id="price_sync",
    schedule=every("*/5 * * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.CATALOG, Tag.EVERY_FEW_MINUTES],
    doc_md=DOC,
    default_args={
        "owner": "store-operations",
        "retries": 2,
        "retry_delay": timedelta(seconds=20),
        "execution_timeout": timedelta(minutes=10),
        "pool": pools.DEFAULT,
    },
):

    @task
    def sync_files(**context: object) -> list[dict[str, object]]:
        """Load what has changed at the source of price files."""
        return price_sync_tasks.sync_files(**context)

    @task
    def stores() -> list[str]:
        """The stores whose point of sale has the prices."""
        return price_sync_tasks.stores()

    @task(map_index_template="{{ task.op_kwargs['store_id'] }}")
    def sync_store(store_id: str, **context: object) -> dict[str, object]:
        """Bring one store's prices up to its point of sale."""
        return price_sync_tasks.sync_store(store_id, **context)

    listed = stores()
    sync_files() >> listed
    sync_store.expand(store_id=listed)
