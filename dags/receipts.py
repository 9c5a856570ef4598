"""Receipts by e-mail, once each capture is final."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from backroom_airflow import pools, receipts_tasks
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Receipts
**What.** Finds the trips whose capture has become final; asks Amazon, store by store, how each trip's card was read
(Get Transactional Data; also for trips that are a debt, so that their holder can find them by the card); looks up the
shopper's address (ours, else Get Shopper Identity); renders the receipt and sends it by SES, once per trip, and those
that were asked for again; takes in SES's notices of bounces. docs/portal.md tells what a shopper gets.

**When.** Every 5 minutes, one run at a time. **Its time** is "now": the run's logical date.

**A rerun** sends nothing twice: each message is written down before it is sent, and one whose fate is not known stays
`UNKNOWN` until somebody asks for it again. Questions to Amazon are repeated only where they were not answered.

**When it fails.** `gather`: the database does not answer; the next run catches up. `fetch_cards`: the message says what
is wrong (credentials, the payment host); a 429 or 403 does not fail a run, it holds everyone, or the store. After
`BACKROOM_RECEIPT_DATA_HOURS` receipts go without the card's data. `send`: `BACKROOM_PRIVACY_KEYS` or
`BACKROOM_MAIL_SENDER` is wrong. `backroom receipts list --state BOUNCED` (or `UNKNOWN`, `REFUSED`) shows what did not
arrive.
"""

with DAG(
    dag_id="receipts",
    schedule=every("*/5 * * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.SHOPPERS, Tag.EVERY_FEW_MINUTES, Tag.CALLS_AMAZON],
    doc_md=DOC,
    default_args={
        "owner": "customer-service",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "pool": pools.DEFAULT,
    },
):

    @task
    def gather(**context: object) -> list[str]:
        """Make due what is final; which stores have a card to ask about."""
        return receipts_tasks.gather(**context)

    @task(pool=pools.AMAZON_PAYMENTS, map_index_template="{{ task.op_kwargs['store_id'] }}")
    def fetch_cards(store_id: str, **context: Any) -> dict[str, int]:
        """Ask how the cards of the store's trips were read."""
        return receipts_tasks.fetch_cards(store_id, **context)

    @task(trigger_rule="all_done")
    def send(**context: object) -> dict[str, int]:
        """Send what is due."""
        return receipts_tasks.send(**context)

    @task(trigger_rule="all_done")
    def take_in_bounces(**context: object) -> dict[str, int]:
        """Mark what came back."""
        return receipts_tasks.take_in_bounces(**context)

    fetch_cards.expand(store_id=gather()) >> send() >> take_in_bounces()
