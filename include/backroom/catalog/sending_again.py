"""Letting a product that Amazon refused go again as it is, with the next run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from backroom.audit import trail
from backroom.errors import BackroomError


class NotRefused(BackroomError):
    """Amazon has not refused the product."""


def send_again(
    connection: Connection, item_sku: str, *, store_id: str | None, by: str, reason: str, now: datetime
) -> int:
    """Forgets that Amazon refused the product, in one store or in all; how many items go again. Audited.

    Raises NotRefused where there is none, or where the reason says nothing.
    """
    if not reason.strip():
        raise NotRefused("the reason says nothing; write why it may be accepted now, it is kept in the audit trail")
    count = connection.execute(
        text(
            "delete from catalog_refusal where item_sku = :sku and (cast(:store as text) is null or store_id = :store)"
        ),
        {"sku": item_sku, "store": store_id},
    ).rowcount
    if not count:
        raise NotRefused(f"Amazon has not rejected {item_sku!r}; `backroom catalog refused` lists what it has")
    trail.record(
        connection, at=now, actor=by, action="catalog.retry", subject=item_sku, reason=reason.strip(),
        details={"store_id": store_id, "items": count},
    )  # fmt: skip
    return int(count)
