"""The files of a closed month's report: written once, at the close, kept in the database, and read from there after.

Kept in the transaction that closes the month, so that there is no closed month without them; a store's at its close,
the company's once all its stores are closed. Whoever asks for the report gets these bytes, held against their SHA-256.
"""

from __future__ import annotations

import hashlib
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, text

from backroom.errors import BackroomError
from backroom.reconciliation.pages import StoreDay

if TYPE_CHECKING:
    from backroom.reconciliation.report import Written

COMPANY: Final = "company"  # the stem of the report of all stores
_KEEP: Final = text("""
    insert into closed_month_file (report, month, kept_at, name, content_sha256, content)
    values (:report, :month, :kept_at, :name, :hash, :content)
""")
# of a company the newest: a store that turned up after all others were closed has been added to it
_KEPT: Final = text("""
    select name, content_sha256, content from closed_month_file
    where report = :report and month = :month and kept_at = (
        select max(kept_at) from closed_month_file where report = :report and month = :month)
    order by name
""")


def keep(connection: Connection, days: list[StoreDay], *, stem: str, title: str, now: datetime) -> None:
    """Writes the report of that month, of one store or of the company's, and keeps its files; `now` in UTC."""
    from backroom.reconciliation import report  # loads what draws, for a second

    with tempfile.TemporaryDirectory(prefix="backroom-close-") as folder:
        written = report.write_period(
            connection, days, stem=stem, folder=Path(folder), title=title, as_of=max(day.as_of for day in days)
        )
        for path in written.all:
            content = path.read_bytes()
            connection.execute(
                _KEEP,
                {
                    "report": stem,
                    "month": days[0].business_date,
                    "kept_at": now,
                    "name": path.name,
                    "hash": _hash(content),
                    "content": content,
                },
            )


def take_out(connection: Connection, *, stem: str, month: date, folder: Path) -> Written | None:
    """The kept files, copied into `folder`; None where none are. `month` is its first day.

    Raises BackroomError where one is not what was kept.
    """
    from backroom.reconciliation.report import Written

    kept = {row.name: row for row in connection.execute(_KEPT, {"report": stem, "month": month})}
    if not kept:
        return None
    for row in kept.values():
        if _hash(row.content) != row.content_sha256:
            raise BackroomError(
                f"{row.name} of {month:%B %Y} is not what was kept when the month was closed; restore the table "
                "closed_month_file from a backup"
            )
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for row in kept.values():
        beside = folder / f".{row.name}.part"
        beside.write_bytes(row.content)
        paths.append(beside.replace(folder / row.name))  # a reader never sees half a file
    page, book = (folder / f"{stem}.{kind}" for kind in ("html", "xlsx"))
    return Written(page, book, tuple(path for path in paths if path not in (page, book)))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
