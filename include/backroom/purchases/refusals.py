"""Carts that were turned away. Each is a lost sale until someone looks: the body is kept and an alert is raised."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import Connection, insert

from backroom.alerts import raise_alert
from backroom.card_numbers import remove_from_bytes
from backroom.purchases.tables import refused_cart


def keep_refused_cart(connection: Connection, *, status: int, reason: str, body: bytes, now: datetime) -> None:
    """Keeps what was answered, why, and the body as it came (the caller bounds it), without card numbers."""
    connection.execute(
        insert(refused_cart).values(status=status, reason=reason, body=remove_from_bytes(body), received_at=now)
    )
    raise_alert(
        connection,
        key=f"refused-cart:{status}:{re.sub(r'[0-9]+', '', reason.partition(':')[0])}",  # one for all lines of a cart
        severity="critical",
        title=f"A cart was refused with {status}: {reason}",
        what_to_do="Read its body in the table refused_cart; tell Amazon what is wrong with it, or correct our rule "
        "and have the trip sent again.",
        now=now,
    )
