"""What moved in the stock, told to each store's point of sale."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from backroom_airflow import pools, stock_export_tasks
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Stock export
**What.** Tells each store's point of sale, over HTTP or as a file (`BACKROOM_STOCK_EXPORT`), the sales, cancelled
lines, returns, deliveries and counts that it has not been told of. docs/inventory.md has the request and the file.

**When.** Every 5 minutes, one run at a time, store by store. **Its time** is "now": the run's logical date. Everything
that is not told yet is taken, whichever run it was meant for.

**A rerun** tells nothing twice under two keys: an export is written down before it is told, and one whose outcome is
unknown, or that was not sent, is told again with the same bytes under the same key. One that was refused stays.

**When it fails.** The database does not answer, or a setting is wrong (the message names it): mend it, the next run
catches up. A point of sale that is away, refuses or turns us away fails no run: see the alerts `stock-export-waiting`
and `stock-export-refused`, `backroom stock exports`, and `backroom stock export --again ID` for a refused one.
"""

with DAG(
    dag_id="stock_export",
    schedule=every("*/5 * * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.INVENTORY, Tag.EVERY_FEW_MINUTES],
    doc_md=DOC,
    default_args={
        "owner": "store-operations",
        "retries": 2,
        "retry_delay": timedelta(seconds=20),
        "execution_timeout": timedelta(minutes=20),
        "pool": pools.DEFAULT,
    },
):

    @task
    def stores_to_tell() -> list[str]:
        """Which stores have something new."""
        return stock_export_tasks.stores_to_tell()

    @task(pool=pools.POINT_OF_SALE, map_index_template="{{ task.op_kwargs['store_id'] }}")
    def tell(store_id: str, **context: Any) -> dict[str, int]:
        """Tell one store's point of sale."""
        return stock_export_tasks.tell(store_id, **context)

    tell.expand(store_id=stores_to_tell())
