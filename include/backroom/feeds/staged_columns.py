"""The columns of the staging tables, and PostgreSQL's type of each."""

from __future__ import annotations

from typing import Final

from backroom.feeds.layout import columns

OURS: Final = tuple(columns().values())
INSTANTS: Final = ("trip_started_at", "trip_ended_at", "updated_at")
AMOUNTS: Final = (
    "order_total",
    "authorized",
    "captured",
    "refunded",
    "list_price",
    "price",
    "promotion",
    "tax",
)
SHORT_TEXTS: Final = ("card_brand", "reconciliation_id", "unit")


def sql_type(name: str) -> str:
    """As in orders/tables.py; what an order repeats on each of its lines stays text until one of them is chosen."""
    if name in AMOUNTS:
        return "text" if name in ("order_total", "authorized", "captured", "refunded") else "numeric(14,4)"
    types = {"quantity": "numeric(18,8)", "line_number": "integer"} | dict.fromkeys(INSTANTS, "timestamptz")
    return types.get(name, "varchar(255)" if name in ("store_id", "order_id", "item_sku") else "text")
