"""The audit trail: who did what, when and why. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from backroom.audit.tables import audit_entry


def record(
    connection: Connection,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Adds one entry in the caller's transaction: it stands or falls with what it tells of. `at` is business time."""
    connection.execute(
        insert(audit_entry).values(
            at=at, actor=actor, action=action, subject=subject, reason=reason, details=dict(details or {})
        )
    )
