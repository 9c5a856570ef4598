"""The task of the DAG debt_aging."""

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
