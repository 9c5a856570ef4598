"""Tasks of the DAG preauthorizations: what processors have told by themselves, then what they are to be asked."""

from __future__ import annotations

from typing import Any

from backroom_airflow import business_time


def take_in(**context: Any) -> list[str]:
    """Applies webhooks and people's decisions; returns the processors that have something to be asked."""
    from backroom.db.engine import engine, transaction
    from backroom.processors import preauthorizing, webhooks
    from backroom.processors.evidence import open_captures
    from backroom.processors.instruments import PROCESSORS

    now = business_time.of(context)
    webhooks.apply_new(engine(), now=now)
    with transaction() as connection:
        preauthorizing.apply_decisions(connection, now=now)
        due = set(preauthorizing.processors_with_due(connection, now=now))
        return sorted(due | {name for name in PROCESSORS if open_captures(connection, name, now=now)})


def work(processor: str, **context: Any) -> dict[str, Any]:
    """Looks up open captures, then works on the gate's holds that are due; returns what was done."""
    from backroom.db.engine import engine
    from backroom.processors.choosing import processor_of
    from backroom.processors.evidence import look_up_captures
    from backroom.processors.preauthorizing import work_due
    from backroom.settings import settings

    now = business_time.of(context)
    with processor_of(processor, settings()) as client:
        looked_up = look_up_captures(engine(), client, now=now)
        return {"captures_looked_up": looked_up, "holds": work_due(engine(), client, now=now)}
