"""The money of every trip: evidence, then calls to Amazon, then the books."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from backroom_airflow import charge_lifecycle_tasks, pools
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Charge lifecycle
**What.** Prices the carts that people have decided, and charges for their known lines those that nobody has resolved in
time (docs/bad-carts.md); takes in what order rows, events and people's decisions say about captures and cancels; then,
all stores side by side, works on every charge that is due (adjust, then capture; or cancel; declines to debt; the
undecidable to `backroom review list`); then books what is new in the ledger. docs/money.md draws the states.
`settle_carts` also takes in the refused carts that the connector put aside while the database was away.

**When.** Every 5 minutes, one run at a time. **Its time** is "now": the run's logical date decides what is due. What
waits is taken whole, whichever run it was meant for.

**A rerun** does nothing twice: work is claimed by state, each call is written down before it is made, and a capture
whose outcome is unknown is never repeated without evidence.

**When it fails.** `settle_carts`: an alert says so, and the rest goes on. `gather`, `post`: the database does not
answer; the next run catches up. `work`: the message says what is wrong (credentials, the payment host); a call that was
under way is treated as unknown once its lease has ended. Amazon's 429 and 403 do not fail a run: a 429 holds every
store, a 403 its own; `backroom charges list` shows until when. Alert `charge-parked`: `backroom review list`. Alerts
`bad-carts-before-expiry` and `unbilled-lines`: `backroom carts list`, `backroom carts unbilled`; `refused-cart`:
`backroom carts refused list`. `backroom ledger verify` tells whether the books are right.
"""

with DAG(
    dag_id="charge_lifecycle",
    schedule=every("*/5 * * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.CHARGES, Tag.EVERY_FEW_MINUTES, Tag.MOVES_MONEY, Tag.CALLS_AMAZON],
    doc_md=DOC,
    default_args={
        "owner": "finance",
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "pool": pools.DEFAULT,
    },
):

    @task
    def settle_carts(**context: object) -> None:
        """Take in decisions on carts; what is late is charged."""
        charge_lifecycle_tasks.settle_carts(**context)

    @task(trigger_rule="all_done")
    def gather(**context: object) -> list[dict[str, Any]]:
        """Take in evidence; which stores have charges due, in how many shares."""
        return charge_lifecycle_tasks.gather(**context)

    @task(
        pool=pools.AMAZON_PAYMENTS, map_index_template="{{ task.op_kwargs['store_id'] }} {{ task.op_kwargs['share'] }}"
    )
    def work(store_id: str, share: int, **context: Any) -> dict[str, Any]:
        """Move the money that is due in one store, or a share of it where much is due."""
        return charge_lifecycle_tasks.work(store_id, share, **context)

    @task(trigger_rule="none_failed")
    def post(**context: object) -> int:
        """Book what is new."""
        return charge_lifecycle_tasks.post(**context)

    due = gather()
    settle_carts() >> due
    work.expand_kwargs(due) >> post()
