"""A loyalty account as the loader leaves it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from backroom.settings import settings
from backroom.shoppers.loyalty import load_loyalty
from backroom.shoppers.sealing import Seal, seal_of


def add_account(
    connection: Connection,
    loyalty_id: str,
    card: str,
    provider: str = "club",
    shopper_id: str | None = None,
    promotions: Sequence[str] = (),
    *,
    active: bool = True,
    seal: Seal | None = None,
) -> None:
    """One account, which replaces that of the same id. `card`: what is scanned."""
    entry = {"loyalty_id": loyalty_id, "key": card, "provider": provider, "active": active}
    entry |= {"promotion_ids": list(promotions)} | ({"shopper_id": shopper_id} if shopper_id else {})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "loyalty.json"
        file.write_text(json.dumps([entry]))
        load_loyalty(connection, seal or seal_of(settings()), file)
