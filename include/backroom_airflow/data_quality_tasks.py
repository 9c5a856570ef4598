"""The tasks of the DAG `data_quality`."""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from backroom_airflow import business_time


def check(**context: Any) -> int:
    """Run every suite; how many expectations failed. Fails for good where a critical one did, after recording all."""
    from backroom.db.engine import engine
    from backroom.quality import suites
    from backroom.settings import settings

    results = suites.check(
        engine(),
        data_sets=suites.names(),
        run=context["run_id"],
        now=business_time.of(context),
        docs_folder=settings().reports_folder / "quality",
    )
    if critical := [f"{result.data_set}: {result.meaning}" for result in results if result.is_critical]:
        raise AirflowFailException(f"{len(critical)} critical expectations failed: {'; '.join(critical[:5])}")
    return sum(not result.success for result in results)


def purge_tokens(**context: Any) -> dict[str, int]:
    """Delete recognition tokens that expired a day ago, and the uses of codes that are four days old; how many."""
    from backroom.db.engine import engine, transaction
    from backroom.entry.issuing import purge_expired_tokens
    from backroom.entry.used_codes import purge_used_codes

    now = business_time.of(context)
    with transaction() as connection:
        tokens = purge_expired_tokens(connection, now=now)
    return {"tokens": tokens, "used codes": purge_used_codes(engine(), now=now)}
