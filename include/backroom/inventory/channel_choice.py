"""Which channels a store's point of sale is told by: BACKROOM_STOCK_EXPORT and the store's own URL."""

from __future__ import annotations

import httpx
from sqlalchemy import Connection, text

from backroom.errors import BackroomError
from backroom.inventory.channels import Channel, HttpChannel, file_channel
from backroom.settings import Settings


def channels_of(connection: Connection, store_id: str, *, config: Settings, client: httpx.Client) -> list[Channel]:
    """None where the store is told nothing. `client` bears the secret of the points of sale.

    Raises BackroomError for an unknown store, ConfigurationError for a wrong target of the files.
    """
    store = connection.execute(_STORE, {"store_id": store_id}).one_or_none()
    if store is None:
        raise BackroomError(f"there is no store {store_id!r}; see `backroom stores list`")
    url = store.point_of_sale_url
    chosen: list[Channel] = []
    if url and config.stock_export in {"auto", "http", "both"}:
        chosen.append(HttpChannel(client, url, config.stock_export_seconds))
    if config.stock_export in {"file", "both"} or (config.stock_export == "auto" and not url):
        chosen.append(file_channel(config.stock_export_target, s3=_s3))
    return chosen


def _s3() -> object:
    from backroom.feeds.aws import aws  # boto3 is slow to import, and most stores need none

    return aws().s3


_STORE = text("select point_of_sale_url from store where store_id = :store_id")
