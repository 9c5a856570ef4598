"""Tasks of the DAG charge_lifecycle: evidence, then calls, then the books."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from backroom_airflow import business_time


def settle_carts(**context: Any) -> None:
    """Takes in decisions on carts, charges those that are late, and takes in refused carts from the disk.

    Each part commits by itself: a late cart is charged also where what comes after fails. Where one fails there is an
    alert, and the money of all other trips moves on.
    """
    from backroom.alerts import raise_alert
    from backroom.db.engine import transaction

    now = business_time.of(context)
    try:
        _settle_carts(now)
    except Exception as error:
        with transaction() as connection:
            raise_alert(
                connection,
                key=f"settle-carts:{now.date()}",
                severity="critical",
                title=f"Carts that wait for a decision or on disk could not be settled: {type(error).__name__}",
                what_to_do="open the log of charge_lifecycle's task settle_carts; other charges go on meanwhile",
                now=now,
            )
        raise


def _settle_carts(now: datetime) -> None:
    from backroom.db.engine import engine, transaction
    from backroom.purchases import bad_carts, refusals, unbilled
    from backroom.purchases.refused_spool import collect_spool
    from backroom.settings import settings

    with transaction() as connection:
        bad_carts.apply_decisions(connection, now=now)
    more = True
    while more:
        with transaction() as connection:
            more = unbilled.charge_overdue(connection, now=now)["carts"] == unbilled.AT_ONCE
    with transaction() as connection:
        bad_carts.warn_of_waiting(connection, now=now)
    collect_spool(engine(), settings().refused_spool_folder, now=now)
    with transaction() as connection:
        refusals.settle_sent_again(connection, now=now)


def gather(**context: Any) -> list[str]:
    """Takes in what is known of captures and cancels; returns the stores with a charge due."""
    from backroom.charges.lifecycle import gather_evidence, stores_with_due
    from backroom.db.engine import transaction

    now = business_time.of(context)
    with transaction() as connection:
        gather_evidence(connection, now=now)
        return stores_with_due(connection, now=now)


def work(store_id: str, **context: Any) -> dict[str, Any]:
    """Moves the money of the store's charges that are due; returns what was done."""
    from backroom.amazon.payments import PaymentsClient
    from backroom.charges.lifecycle import work_due
    from backroom.db.engine import engine
    from backroom.settings import settings

    now = business_time.of(context)
    with PaymentsClient(settings()) as client:
        return work_due(engine(), client, store_id=store_id, now=now).as_json()


def post(**context: Any) -> int:
    """Books what is new of every charge; returns the number of ledger transactions made."""
    from backroom.db.engine import transaction
    from backroom.ledger.book import post_new

    now = business_time.of(context)
    with transaction() as connection:
        return post_new(connection, now=now)
