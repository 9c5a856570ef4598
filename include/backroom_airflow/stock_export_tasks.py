"""Tasks of the DAG stock_export."""

from __future__ import annotations

from typing import Any

from backroom_airflow import business_time


def stores_to_tell() -> list[str]:
    """Posts what carts have taken; the stores whose point of sale has something to be told."""
    from backroom.db.engine import transaction
    from backroom.inventory.export import stores_to_tell as with_news
    from backroom.inventory.posting import post_due
    from backroom.settings import settings

    with transaction() as connection:
        post_due(connection)
    if settings().stock_export == "off":
        return []
    with transaction() as connection:
        return with_news(connection)


def tell(store_id: str, **context: Any) -> dict[str, int]:
    """Tells one store's point of sale what it has not taken yet; what became of it, in figures."""
    from backroom.db.engine import engine, transaction
    from backroom.inventory.channel_choice import channels_of
    from backroom.inventory.export import export_store
    from backroom.purchases.point_of_sale_client import make_client
    from backroom.settings import settings

    config = settings()
    with make_client(config) as client:
        with transaction() as connection:
            channels = channels_of(connection, store_id, config=config, client=client)
        return export_store(
            engine(),
            channels,
            store_id=store_id,
            now=business_time.of(context),
            most_movements=config.stock_export_movements,
        ).as_json()
