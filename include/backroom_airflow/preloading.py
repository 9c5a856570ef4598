"""What the tasks import, loaded once in the process that Airflow forks them from.

A listener of Airflow's (the plugin registers it). The LocalExecutor forks its workers, and they the tasks, from the
scheduler; it loads these modules before it does so. Where tasks run elsewhere (Celery, Kubernetes) nothing is loaded.
What opens a connection or starts a thread when it is imported has no place here: children share nothing but code.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

from airflow.listeners import hookimpl

MODULES: Final = (
    # what the process of a task and the one that watches over it are made of
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.dagbag",
    # what the frequent tasks do, with all that it is built on
    "backroom_airflow.schedules",
    "backroom.charges.lifecycle",
    "backroom.feeds.mending",
    "backroom.feeds.watching",
    "backroom.ledger.book",
    "backroom.orders.landing",
    "backroom.processors.choosing",
    "backroom.purchases.refused_spool",
    "backroom.purchases.unbilled",
    "backroom.quality.arrivals",
    # pandas, pyarrow and matplotlib
    "backroom.reconciliation.report",
)


@hookimpl
def on_starting(component: Any) -> None:
    """Called in each of Airflow's processes as it starts, the scheduler's among them, and in each task."""
    if sys.argv[1:2] == ["scheduler"] and _tasks_are_forked():
        for module in MODULES:
            importlib.import_module(module)


def _tasks_are_forked() -> bool:
    from airflow.configuration import conf

    return "LocalExecutor" in conf.get("core", "executor")
