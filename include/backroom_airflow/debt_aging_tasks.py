"""Tasks of the DAG debt_aging: ages, then what is old or large to people, then the books."""

from __future__ import annotations

from typing import Any

from backroom_airflow import business_time


def age(**context: Any) -> list[dict[str, str | int]]:
    """Ages every open debt as of its store's day; returns what is open by store and bucket (amounts as exact text)."""
    from backroom.db.engine import transaction
    from backroom.debts.aging import age_debts

    now = business_time.of(context)
    with transaction() as connection:
        summary = age_debts(connection, now=now)
    return [
        {
            "store_id": row.store_id,
            "bucket": row.bucket,
            "debts": row.debts,
            "outstanding": f"{row.outstanding:f}",
            "currency": row.currency,
        }
        for row in summary
    ]


def escalate(**context: Any) -> dict[str, int]:
    """Writes off what people have decided to, and asks them about what has become old or large; returns how many."""
    from backroom.db.engine import transaction
    from backroom.debts import escalation
    from backroom.settings import settings

    now = business_time.of(context)
    with transaction() as connection:
        written_off = escalation.apply_decisions(connection, now=now)
        escalated = escalation.escalate(
            connection, days=settings().debt_escalation_days, amount=settings().debt_escalation_amount, now=now
        )
    return {"written_off": written_off, "escalated": escalated}


def post(**context: Any) -> int:
    """Books what is new; returns the number of ledger transactions made."""
    from backroom.db.engine import transaction
    from backroom.ledger.book import post_new

    now = business_time.of(context)
    with transaction() as connection:
        return post_new(connection, now=now)
