"""The connections to the stores' points of sale: one pool a process, safe to share between threads."""

from __future__ import annotations

import httpx

from backroom.settings import Settings


def make_client(config: Settings) -> httpx.Client:
    """A client with the configured time-outs and bearer secret. It follows no redirect and uses no proxy."""
    headers = {"User-Agent": "backroom"}
    if config.point_of_sale_secret is not None:
        headers["Authorization"] = f"Bearer {config.point_of_sale_secret.get_secret_value()}"
    return httpx.Client(
        headers=headers,
        timeout=httpx.Timeout(config.point_of_sale_read_seconds, connect=config.point_of_sale_connect_seconds),
        limits=httpx.Limits(max_connections=128, max_keepalive_connections=64, keepalive_expiry=5),
        trust_env=False,
    )
