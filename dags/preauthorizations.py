"""Stores with their own processor: the gate's holds, the processor's news, captures without an outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from backroom_airflow import pools, preauthorizations_tasks
from backroom_airflow.schedules import every
from backroom_airflow.tags import Tag

DOC = """
### Pre-authorizations
**What.** For stores that charge through their own processor (docs/processors.md): applies its signed webhooks; then,
processor by processor, looks up captures whose outcome is open, and works on the gate's holds that are due: asks for
those that the gate wants, looks up the unknown, voids those that no cart is charged by. A decline flags the shopper.
It books nothing: what it learns of captures is evidence, which charge_lifecycle takes in.

**When.** Every minute, one run at a time. **Its time** is "now": the run's logical date decides what is due. It is a
DAG of its own, and not a task of charge_lifecycle, so that a hold is placed while the shopper is still at the shelves,
and a slow processor does not keep captures waiting.

**A rerun** does nothing twice: a hold is claimed by its state, each call is written down before it is made, and what
has no outcome is looked up before it is asked for again.

**When it fails.** `take_in`: the database does not answer; the next run catches up. `work`: the message says what is
wrong (the key, the address); clear it once that is mended. A processor that does not answer fails no run: its holds are
asked for again, later and later. `backroom processors preauthorizations` shows them, `backroom review list` what waits
for a person.
"""

with DAG(
    dag_id="preauthorizations",
    schedule=every("* * * * *"),
    catchup=False,
    max_active_runs=1,
    tags=[Tag.CHARGES, Tag.EVERY_FEW_MINUTES, Tag.MOVES_MONEY],
    doc_md=DOC,
    default_args={
        "owner": "finance",
        "retries": 1,
        "retry_delay": timedelta(seconds=15),
        "pool": pools.DEFAULT,
    },
):

    @task
    def take_in(**context: object) -> list[str]:
        """Take in webhooks and decisions; which processors are to be asked something."""
        return preauthorizations_tasks.take_in(**context)

    @task(pool=pools.CARD_PROCESSOR, map_index_template="{{ task.op_kwargs['processor'] }}")
    def work(processor: str, **context: Any) -> dict[str, Any]:
        """Ask one processor for what is due."""
        return preauthorizations_tasks.work(processor, **context)

    work.expand(processor=take_in())
