"""Amazon's near-real-time events, from the queue into our tables."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task

from backroom_airflow import event_feed_tasks, pools
from backroom_airflow.schedules import every_or_rung
from backroom_airflow.tags import Tag

DOC = """
### Event feed
**What.** Drains the queue of EventBridge events: each is kept once, by its id, as it came. Declines raise an alert,
and so do trips of Amazon's that have no purchase of ours half an hour later (`order_without_purchase_minutes`). What an
event means for a charge, `charge_lifecycle` judges.

**When.** Every minute, so that a decline alerts within one; with `BACKROOM_EVENTS_BELL_QUEUE` also as soon as an event
comes. **Its time** is "now": it takes all that waits.

**A rerun** finds the queue empty, or events that are known already.

**When it fails.** SQS or the database does not answer: nothing is lost, a message is deleted only after the commit;
the next run catches up. What is no event at all is in the dead-letter queue `backroom-events-dead`, with the reason
as an attribute; `backroom feeds events` counts what came.
"""

with DAG(
    dag_id="event_feed",
    schedule=every_or_rung("* * * * *", bell="events"),
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
    def drain(**context: object) -> dict[str, int]:
        """Take in all events that wait."""
        return event_feed_tasks.drain(**context)

    drain()
