"""The stores as a shopper chooses among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import RowMapping, text

from backroom.db.engine import transaction

_CHOICES: Final = text("select store_id, name from store where active and not test order by name, store_id")


def store_choices() -> Sequence[RowMapping]:
    """(store_id, name) of each store that is open, by name."""
    with transaction() as connection:
        return connection.execute(_CHOICES).mappings().all()
