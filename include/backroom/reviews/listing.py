"""Cases as a person looks through them: filtered, the most urgent first, page by page."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from backroom.db.keyset import Order, Page, page

_CASES: Final = """
    select case_id, kind, subject, store_id, asked_by, question, choices, opened_at, due_at, decision, decided_by,
           decided_at, coalesce(due_at, timestamptz '9999-01-01 00:00Z') as urgent_at
    from review_case
    where (decision is null) = :open
      and (cast(:store_id as text) is null or store_id = :store_id)
      and (cast(:kind as text) is null or kind = :kind)
      and (cast(:asked_by as text) is null or asked_by = :asked_by)
      and (cast(:subject as text) is null or subject = :subject)
      and (cast(:due_by as timestamptz) is null or due_at <= :due_by)
"""
_URGENT: Final = Order({"urgent_at": "timestamptz", "case_id": "bigint"})
_LATEST: Final = Order({"decided_at": "timestamptz", "case_id": "bigint"}, descending=True)


def cases(
    connection: Connection,
    *,
    decided: bool = False,
    store_id: str | None = None,
    kind: str | None = None,
    asked_by: str | None = None,
    subject: str | None = None,
    due_by: datetime | None = None,
    after: str = "",
    size: int = 50,
) -> Page:
    """Open cases, the most urgent first; or decided ones, the latest first."""
    values = {
        "open": not decided, "store_id": store_id, "kind": kind, "asked_by": asked_by, "subject": subject,
        "due_by": due_by,
    }  # fmt: skip
    return page(connection, _CASES, values, _LATEST if decided else _URGENT, after=after, size=size)


def kinds(connection: Connection) -> list[str]:
    """The kinds of case that there have been."""
    return list(connection.execute(text("select distinct kind from review_case order by kind")).scalars())


def open_about(connection: Connection, subject: str) -> int | None:
    """The open case about this trip, refund or batch, if there is one."""
    found = text("select case_id from review_case where subject = :subject and decision is null order by case_id")
    return connection.execute(found, {"subject": subject}).scalars().first()
