"""Amazon's intra-day order files, from its bucket into our orders."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from backroom_airflow import intraday_ingestion_tasks, pools
from backroom_airflow.assets import store_day
from backroom_airflow.schedules import every_or_rung
from backroom_airflow.tags import Tag

DOC = """
### Intra-day ingestion
**What.** Drains the queue of announcements, copies each file byte for byte to our bucket, brings every waiting file
into the orders (bad rows go to quarantine with file, line and reason), looks at what came, and releases each store's
day whose files are all there: the asset `store_day`, partition `STORE-001|2026-11-23`. A released day that late data
has changed is released again as a correction. Beside it, changed days land as Parquet, and windows that are overdue and
orders without a purchase of ours raise alerts.

**When.** Every 15 minutes; with `BACKROOM_INTRADAY_BELL_QUEUE` also as soon as a file is announced.
**Its time** is "now": it takes all that waits, whenever it was written. One task copies all files and brings them in:
a file takes a few milliseconds, a task of its own would take seconds, and what is copied need not be read again. The
look at what came is plain SQL for the same reason; the Great Expectations suites run in `data_quality`.

**A rerun** changes nothing that is in already: a file is known by key and version, a row by (updatedAt, window,
sequencer). What a failed run left in the queue or copied, the next run takes. A day is released once; a rerun of the
releasing run announces it again, which makes one more revision of its reconciliation.

**When it fails.** `take_in`: S3, SQS or the database does not answer; the next run catches up. A file that
is broken fails alone: `backroom feeds files --state FAILED`, `backroom feeds quarantine list`. `check_arrivals`:
`backroom quality results` names the rows. This run releases no day; a day whose data is not sound is held in later
runs too, with an alert, until it is mended, and the others are released. `land`: our bucket; the next run writes what
is missing. Missing windows: `backroom feeds gaps`. Messages that were given up: `backroom feeds dead-letters list`.
"""

with DAG(
    dag_id="intraday_ingestion",
    schedule=every_or_rung("*/15 * * * *", bell="intraday"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.FEEDS, Tag.EVERY_FEW_MINUTES],
    doc_md=DOC,
    default_args={
        "owner": "store-operations",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "pool": pools.DEFAULT,
    },
):

    @task
    def take_in(**context: object) -> list[int]:
        """Copy what is announced and bring in all that waits."""
        return intraday_ingestion_tasks.take_in(**context)

    @task
    def check_arrivals(file_ids: list[int], **context: object) -> int:
        """Look at what came."""
        return intraday_ingestion_tasks.check_arrivals(file_ids, **context)

    @task(outlets=[store_day])
    def release_complete_days(**context: object) -> list[str]:
        """Release the days that are complete."""
        return intraday_ingestion_tasks.release_complete_days(**context)

    @task
    def watch(**context: object) -> dict[str, int]:
        """Overdue windows, orders without a purchase."""
        return intraday_ingestion_tasks.watch(**context)

    @task
    def land(**context: object) -> int:
        """Orders as Parquet, by day and store."""
        return intraday_ingestion_tasks.land(**context)

    taken = take_in()
    taken >> [watch(), land()]
    check_arrivals(taken) >> release_complete_days()
