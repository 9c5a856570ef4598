"""The assets by which one pipeline releases another."""

from __future__ import annotations

from datetime import date
from typing import Final

from airflow.sdk import Asset

# a scheme of one's own begins with x-: for any other, each task would load every provider's handlers of URIs
store_day: Final = Asset(name="store_day", uri="x-backroom://store-day")
"""A store's business day whose data is all in. Its partition key names both: `STORE-001|2026-11-23`."""


def store_day_key(store_id: str, business_date: date) -> str:
    """The partition key of a store's day."""
    return f"{store_id}|{business_date.isoformat()}"
