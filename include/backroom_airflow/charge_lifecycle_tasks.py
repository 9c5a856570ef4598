"""Tasks of the DAG charge_lifecycle: evidence, then calls, then the books."""

from __future__ import annotations

from typing import Any

from backroom_airflow import business_time


def settle_carts(**context: Any) -> None:
    """Takes in decisions on carts, charges those that are late, and takes in refused carts from the disk.

    Each part commits by itself: a late cart is charged also where what comes after fails. Where one fails there is an
    alert, and the money of all other trips moves on.
    """
    from backroom.alerts import raise_alert
    from backroom.db.engine import engine, transaction
    from backroom.purchases import settling_carts

    now = business_time.of(context)
    try:
        settling_carts.settle(engine(), now=now)
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


def gather(**context: Any) -> list[dict[str, Any]]:
    """Takes in what is known of captures and cancels; returns each worker's share: a store and the share's number."""
    from backroom.charges.lifecycle import gather_evidence, shares_due
    from backroom.db.engine import transaction
    from backroom.settings import settings

    now, config = business_time.of(context), settings()
    with transaction() as connection:
        gather_evidence(connection, now=now)
        shares = shares_due(connection, now=now, trips=config.charge_trips_a_share, most=config.charge_shares_a_store)
    return [{"store_id": share.store_id, "share": share.number} for share in shares]


def work(store_id: str, share: int, **context: Any) -> dict[str, Any]:
    """Moves the money of the store's charges that are due, beside the store's other shares; returns what was done."""
    from backroom.charges.lifecycle import work_due
    from backroom.db.engine import engine, transaction
    from backroom.processors.choosing import payments_for
    from backroom.settings import settings
    from backroom.stores.registry import get_store, require_store

    now = business_time.of(context)
    with transaction() as connection:
        require_store(connection, store_id)
        store = get_store(connection, store_id)
    assert store is not None
    with payments_for(store, engine(), settings(), now=now) as client:
        return {"share": share, **work_due(engine(), client, store_id=store_id, now=now).as_json()}


def post(**context: Any) -> int:
    """Books what is new of every charge; returns the number of ledger transactions made."""
    from backroom.db.engine import transaction
    from backroom.ledger.book import post_new

    now = business_time.of(context)
    with transaction() as connection:
        return post_new(connection, now=now)
