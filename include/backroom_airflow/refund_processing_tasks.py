"""Tasks of the DAG refund_processing: evidence, then calls, then the books."""

from __future__ import annotations

from typing import Any

from backroom_airflow import business_time


def gather(**context: Any) -> list[str]:
    """Takes in what is known of refunds; returns the stores with one that is due, or begun at a processor."""
    from backroom.db.engine import transaction
    from backroom.refunds.evidence import gather_evidence
    from backroom.refunds.looking_up import stores_with_begun
    from backroom.refunds.working import stores_with_due

    now = business_time.of(context)
    with transaction() as connection:
        gather_evidence(connection, now=now)
        return sorted({*stores_with_due(connection, now=now), *stores_with_begun(connection)})


def work(store_id: str, **context: Any) -> dict[str, Any]:
    """Asks about the store's refunds that a processor has begun, then for those that are due; returns what was done."""
    from backroom.amazon.refund_client import RefundClient
    from backroom.db.engine import engine
    from backroom.refunds.looking_up import look_up_begun
    from backroom.refunds.processor_refunds import refund_ports
    from backroom.refunds.working import work_due
    from backroom.settings import settings

    now = business_time.of(context)
    with RefundClient(settings()) as client, refund_ports(engine(), settings(), now=now) as processors:
        looked_up = look_up_begun(engine(), processors, store_id=store_id, now=now)
        worked = work_due(engine(), client, store_id=store_id, now=now, processors=processors)
        return {**worked.as_json(), "looked_up": dict(looked_up)}


def post(**context: Any) -> int:
    """Books what is new of every refund; returns the number of ledger transactions made."""
    from backroom.db.engine import transaction
    from backroom.ledger.book import post_new

    now = business_time.of(context)
    with transaction() as connection:
        return post_new(connection, now=now)
