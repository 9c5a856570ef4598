"""The tasks of the DAG `price_sync`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backroom.clock import system_clock
from backroom_airflow import business_time


def sync_files(**context: Any) -> list[dict[str, Any]]:
    """Load what has changed at the source of price files; what became of each file."""
    from backroom.db.engine import engine
    from backroom.purchases.price_sync import sync_configured_files
    from backroom.settings import settings

    results = sync_configured_files(engine(), settings(), now=looked_at(context))
    return [dict(result.__dict__) for result in results]


def stores() -> list[str]:
    """The stores whose point of sale has the prices."""
    from backroom.db.engine import engine
    from backroom.purchases.price_sync import stores_with_point_of_sale

    return stores_with_point_of_sale(engine())


def sync_store(store_id: str, **context: Any) -> dict[str, Any]:
    """Bring one store's prices up to its point of sale; what became of it."""
    from backroom.db.engine import engine
    from backroom.purchases import current_prices
    from backroom.purchases.point_of_sale_client import make_client
    from backroom.settings import settings

    config = settings()
    with make_client(config) as client:
        result = current_prices.sync_store(
            engine(), client, store_id, now=looked_at(context), drop_percent=config.price_drop_percent
        )
    return dict(result.__dict__)


def looked_at(context: Mapping[str, Any]) -> datetime:
    """The instant from which an undated change counts: in a scheduled run the present, else the run's business time.

    A scheduled run's logical date is five minutes old when it begins, and older when it had to wait: a price that was
    changed meanwhile would be in force before its change.
    """
    return system_clock() if context["dag_run"].run_type == "scheduled" else business_time.of(context)
