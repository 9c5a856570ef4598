"""What shoppers get back: evidence, then calls to Amazon, then the books."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from backroom_airflow import pools, refund_processing_tasks
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Refund processing
**What.** Takes in what people decided about parked refunds and what Amazon's order rows say of those that were begun;
lets go what waited for its capture to be final (or takes it off the debt, where the capture was declined); then, store
by store, asks what became of refunds that a processor has begun, and asks for every refund that is due, each by its
one key, of Amazon or of the processor that took the money; then books what is new in the ledger.
docs/refunds.md says who gets what back, and draws the states.

**When.** Every 5 minutes, one run at a time. **Its time** is "now": the run's logical date decides what is due.

**A rerun** does nothing twice: work is claimed by state, each call is written down before it is made, and a repeat has
the same `refundRequestId`.

**When it fails.** `gather`, `post`: the database does not answer; the next run catches up. `work`: the message says
what is wrong (credentials, the payment host); a call that was under way is asked for again by its key. Amazon's 429
and 403 do not fail a run: they hold everyone, or the store. Alert `refund-parked`: `backroom review list`; alert
`refund-left-over`: likewise; alert `refund-figures`: hold `backroom refunds list --trip` against Amazon's own page.
"""

with DAG(
    dag_id="refund_processing",
    schedule=every("*/5 * * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.REFUNDS, Tag.EVERY_FEW_MINUTES, Tag.MOVES_MONEY, Tag.CALLS_AMAZON],
    doc_md=DOC,
    default_args={
        "owner": "finance",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "pool": pools.DEFAULT,
    },
):

    @task
    def gather(**context: object) -> list[str]:
        """Take in decisions and evidence; which stores have a refund due."""
        return refund_processing_tasks.gather(**context)

    @task(pool=pools.AMAZON_PAYMENTS, map_index_template="{{ task.op_kwargs['store_id'] }}")
    def work(store_id: str, **context: Any) -> dict[str, Any]:
        """Ask about refunds that were begun, and for those that are due, in one store."""
        return refund_processing_tasks.work(store_id, **context)

    @task(trigger_rule="none_failed")
    def post(**context: object) -> int:
        """Book what is new."""
        return refund_processing_tasks.post(**context)

    work.expand(store_id=gather()) >> post()
