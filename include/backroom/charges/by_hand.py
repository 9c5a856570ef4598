"""One turn of the money by hand: what the DAG charge_lifecycle does every few minutes, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Engine

from backroom.charges.lifecycle import Worked, gather_evidence, stores_with_due, work_due
from backroom.ledger.book import post_new
from backroom.processors.choosing import payments_for
from backroom.purchases import settling_carts
from backroom.settings import settings
from backroom.stores.registry import all_stores


def work(engine: Engine, *, store_id: str | None, now: datetime) -> Iterator[tuple[str, Worked]]:
    """Decided carts and evidence of all stores, then the calls that are due, store by store, or in one store alone.

    It may run beside the DAG: both claim what they work on. `now` is business time. Raises ConfigurationError where
    a store's payments can't be reached as configured.
    """
    settling_carts.settle(engine, now=now)
    with engine.begin() as connection:
        gather_evidence(connection, now=now)
        due = set(stores_with_due(connection, now=now))
        stores = [store for store in all_stores(connection) if store.store_id in due]
    for store in stores:
        if store_id in (None, store.store_id):
            with payments_for(store, engine, settings(), now=now) as client:
                yield store.store_id, work_due(engine, client, store_id=store.store_id, now=now)


def book(engine: Engine, *, now: datetime) -> int:
    """What is new goes into the ledger; how many transactions."""
    with engine.begin() as connection:
        return post_new(connection, now=now)
