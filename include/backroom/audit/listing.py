"""The audit trail as a person looks through it: the newest first."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from backroom.db.keyset import Order, Page, page

_ENTRIES: Final = """
    select entry_id, at, actor, action, subject, reason, details from audit_entry
    where (cast(:actor as text) is null or actor = :actor)
      and (cast(:subject as text) is null or subject = :subject)
      and (cast(:action as text) is null or starts_with(action, :action))
"""
_NEWEST: Final = Order({"entry_id": "bigint"}, descending=True)


def entries(
    connection: Connection,
    *,
    actor: str | None = None,
    subject: str | None = None,
    action: str | None = None,
    after: str = "",
    size: int = 50,
) -> Page:
    """Who did what, when and why; `action` is how it begins, such as `debt.`."""
    values = {"actor": actor, "subject": subject, "action": action}
    return page(connection, _ENTRIES, values, _NEWEST, after=after, size=size)
