"""Airflow's pools: one per outside system, so that a slow one does not starve the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

AMAZON_PAYMENTS: Final = "amazon_payments"
AMAZON_CATALOG: Final = "amazon_catalog"
POINT_OF_SALE: Final = "point_of_sale"
CARD_PROCESSOR: Final = "card_processor"
DEFAULT: Final = "default_pool"


@dataclass(frozen=True)
class PoolSize:
    """Slots: how many tasks of the pool run at once."""

    slots: int
    description: str


POOLS: Final = {
    AMAZON_PAYMENTS: PoolSize(4, "tasks that move money through Amazon's payment service"),
    AMAZON_CATALOG: PoolSize(2, "tasks that call the catalog API (10 requests a second in all)"),
    POINT_OF_SALE: PoolSize(4, "tasks that tell stores' points of sale what moved"),
    CARD_PROCESSOR: PoolSize(2, "tasks that ask the stores' own payment processors for holds"),
    DEFAULT: PoolSize(32, "everything else"),
}


def as_import_file() -> dict[str, dict[str, int | str | bool]]:
    """What `airflow pools import FILE` reads, once written as JSON."""
    return {
        name: {"slots": pool.slots, "description": pool.description, "include_deferred": False}
        for name, pool in POOLS.items()
    }
