"""A shopper of the demo who owes something, and a link by which to be them in the portal."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from rich.console import Console
from sqlalchemy import Engine, text

from backroom.settings import Settings
from backroom.shoppers import contacts, sign_in
from backroom.shoppers.sealing import Seal

LIFE = timedelta(days=1)
_DEBTOR = text(
    "select shopper_id from debt where outstanding > 0 and shopper_id is not null"
    " order by outstanding desc, shopping_trip_id limit 1"
)


def show(engine: Engine, console: Console, config: Settings, privacy_key: str, now: datetime) -> None:
    """Gives the debtor an address and prints how to look at the portal as them; nothing where nobody by name owes."""
    seal, token = Seal(privacy_key), secrets.token_urlsafe(32)
    with engine.begin() as connection:
        shopper_id = connection.execute(_DEBTOR).scalar_one_or_none()
        if shopper_id is None:
            return
        address = f"{shopper_id}@shopper.example"
        contacts.keep(connection, seal, "SHOPPER", shopper_id, address, source="RETAILER", now=now)
        sign_in.make_link(connection, seal, address, token, life=LIFE, now=datetime.now(UTC))
    console.print(f"{shopper_id} owes something. To see the portal as they do, start what it needs, and open the link:")
    console.print(f'  BACKROOM_HOME={config.home} make up SERVICES="db aws sandbox portal"', markup=False)
    console.print(f"  http://127.0.0.1:{config.portal_port}/sign-in/{token}", markup=False)
