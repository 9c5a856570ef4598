"""Purchases, charges, Amazon's orders and the ledger, held together for one store's day."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from backroom_airflow import reconciliation_tasks
from backroom_airflow.assets import store_day
from backroom_airflow.tags import Tag

DOC = """
### Reconciliation of a store's day
**What.** Judges every trip of the day: matched, expected (one side only, not yet late), or a break; closes breaks that
later data has mended; goes over the store's earlier days again that are unsettled or that something was booked about
since; writes the finance report of the store and of all stores (`reports/<day>/<store>.html`, `company.html`, their
workbooks, CSV and Parquet files); copies them to `BACKROOM_REPORTS_BUCKET` and tells `BACKROOM_REPORTS_RECIPIENTS` by
e-mail, where these are set. Does the same for each month that was closed since, for the company's month once all its
stores' are closed, and for the reports of any days that staff have asked for in the console.

**When.** Once for each release of the asset `store_day`, whose partition key is `STORE-001|2026-11-23`. By hand:
conf `{"store_id": "STORE-001", "business_date": "2026-11-23", "now": "2026-11-24T12:00:00Z"}`.

**Its time** is "now": the moment of the day's release, or conf's `now`. What is late is judged as of then.

**A rerun** is a new revision of the same day, or none where nothing is new. It opens no break twice and deletes none;
the reports are replaced. The same report is stored and announced once.

**When it fails.** The database, the reports' folder, S3 or SES can't be reached: mend that and clear the run. Breaks
do not fail a run: see `backroom reconcile breaks --open` and docs/reconciliation.md.
"""

with DAG(
    dag_id="reconciliation",
    schedule=PartitionedAssetTimetable(assets=store_day),
    max_active_runs=1,
    tags=[Tag.RECONCILIATION, Tag.RELEASED],
    doc_md=DOC,
    default_args={"owner": "finance", "retries": 3, "retry_delay": timedelta(seconds=30), "pool": "default_pool"},
):

    @task
    def reconcile(**context: object) -> list[int]:
        """Judge the day's trips."""
        return reconciliation_tasks.reconcile(**context)

    @task
    def write_reports(runs: list[int]) -> list[str]:
        """Write the reports."""
        return reconciliation_tasks.write_reports(runs)

    @task
    def deliver(pages: list[str], **context: object) -> list[str]:
        """Store the reports and announce them."""
        return reconciliation_tasks.deliver(pages, **context)

    @task
    def deliver_months(**context: object) -> list[str]:
        """Store and announce the reports of months that were closed, and those that staff want."""
        return reconciliation_tasks.deliver_months(**context)

    deliver(write_reports(reconcile())) >> deliver_months()
