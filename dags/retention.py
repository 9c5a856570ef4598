"""What belongs to a person is kept no longer than needed."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, task

from backroom_airflow import pools, retention_tasks
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Retention
**What.** Erases shoppers who asked for it (the books stay, the person goes; where money is still under way the wish is
held, and looked at again by the next run), then takes out what has been kept long enough: sign-ins, entry codes,
addresses of sent receipts, cards' data, addresses of cards that were not seen again. The times are settings
(`BACKROOM_RETENTION_…`); docs/portal.md lists them.

**When.** Daily at 04:30. **Its time** is "now": the run's logical date.

**A dry run** (`{"dry_run": true}` as the run's parameters) counts by the same conditions and changes nothing.

**A rerun** finds nothing more to do. **When it fails**, the database does not answer, or a person is still referred to
by something new: the message names the table; nothing of that person has changed, and the next run tries again.
"""

with DAG(
    dag_id="retention",
    schedule=every("30 4 * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.SHOPPERS, Tag.DAILY],
    params={"dry_run": Param(False, type="boolean", description="count only")},
    doc_md=DOC,
    default_args={
        "owner": "customer-service",
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "pool": pools.DEFAULT,
    },
):

    @task
    def erase(**context: object) -> dict[str, int]:
        """Erase who asked for it."""
        return retention_tasks.erase(**context)

    @task(trigger_rule="all_done")
    def keep_no_longer(**context: object) -> dict[str, int]:
        """Take out what has been kept long enough."""
        return retention_tasks.keep_no_longer(**context)

    erase() >> keep_no_longer()
