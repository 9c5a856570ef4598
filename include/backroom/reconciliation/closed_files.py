"""The files of a closed month's report: written once, at the close, kept in the database, and read from there after.

Kept in the transaction that closes the month, so that there is no closed month without them; a store's at its close,
the company's once all its stores are closed. They may have been drawn before (closing.py): then they are kept only
where what they show is what the month is closed with. Whoever asks for the report gets these bytes, held against their
SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, text

from backroom.errors import BackroomError
from backroom.reconciliation import periods
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


_NEWEST_RUN: Final = text("""
    select max(run_id) from reconciliation_run where store_id = :store_id and business_date between :first and :last
""")


class FiguresMoved(Exception):
    """What the drawn files show is not, or not any more, what the month would be closed with."""


@dataclass(frozen=True)
class Drawn:
    """A report's files, and what they `show` (as `shown`)."""

    shows: str
    paths: tuple[Path, ...]


def draw(connection: Connection, days: Sequence[StoreDay], *, stem: str, title: str, folder: Path) -> Drawn:
    """Writes the report of that month, of one store or of the company's, into `folder`."""
    from backroom.reconciliation import report  # loads what draws, for a second

    as_of = max(day.as_of for day in days)
    written = report.write_period(connection, list(days), stem=stem, folder=folder, title=title, as_of=as_of)
    return Drawn(shown(connection, days), written.all)


def shown(connection: Connection, days: Sequence[StoreDay]) -> str:
    """One line that is the same for the same figures of the same stores, by the same runs over the same days."""
    said = []
    for day in days:
        given = {"store_id": day.store_id, "first": day.business_date, "last": day.last_date}
        said.append([day.store_id, connection.execute(_NEWEST_RUN, given).scalar_one(), periods.as_kept(day)])
    return _hash(json.dumps(said, sort_keys=True).encode())


def keep(
    connection: Connection,
    days: Sequence[StoreDay],
    *,
    stem: str,
    title: str,
    now: datetime,
    drawn: Mapping[str, Drawn] | None,
) -> None:
    """Keeps the files of that report (`now` in UTC): those `drawn` by its stem, or, for None, drawn here.

    Raises FiguresMoved where it was not drawn, or where what was drawn shows something else.
    """
    if drawn is None:
        with tempfile.TemporaryDirectory(prefix="backroom-close-") as folder:
            made = draw(connection, days, stem=stem, title=title, folder=Path(folder))
            _insert(connection, made, stem=stem, month=days[0].business_date, now=now)
        return
    before = drawn.get(stem)
    if before is None or before.shows != shown(connection, days):
        raise FiguresMoved(stem)
    _insert(connection, before, stem=stem, month=days[0].business_date, now=now)


def _insert(connection: Connection, drawn: Drawn, *, stem: str, month: date, now: datetime) -> None:
    for path in drawn.paths:
        content = path.read_bytes()
        connection.execute(
            _KEEP,
            {
                "report": stem,
                "month": month,
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
