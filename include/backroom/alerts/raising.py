"""Raising an alert: one row per key, however often the same thing is noticed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, text

Severity = Literal["critical", "warning", "info"]

_COUNT_AGAIN = text(
    "update alert set times = times + 1, last_at = greatest(last_at, :now), severity = :severity, title = :title,"
    " what_to_do = :what_to_do where deduplication_key = :key"
)
_RAISE = text(
    "insert into alert (deduplication_key, severity, title, subject, store_id, what_to_do, first_at, last_at)"
    " values (:key, :severity, :title, :subject, :store_id, :what_to_do, :now, :now)"
    " on conflict (deduplication_key) do nothing"
)


def raise_alert(
    connection: Connection,
    *,
    key: str,
    severity: Severity,
    title: str,
    what_to_do: str,
    now: datetime,
    subject: str | None = None,
    store_id: str | None = None,
) -> None:
    """Raises the alert named `key`, or counts it once more and moves its `last_at` (business time) forward.

    `what_to_do` is for who reads it at night: one sentence, the command or the page to open.
    """
    values = {
        "key": key, "severity": severity, "title": title, "what_to_do": what_to_do, "now": now,
        "subject": subject, "store_id": store_id,
    }  # fmt: skip
    if connection.execute(_COUNT_AGAIN, values).rowcount == 0 and connection.execute(_RAISE, values).rowcount == 0:
        connection.execute(_COUNT_AGAIN, values)  # another session raised it between the two statements
