"""What each source of prices held when it was loaded last, and when it was looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, text

State = Literal["LOADED", "UNCHANGED", "WAITS", "REFUSED", "BEING_WRITTEN", "MISSING", "UNREACHABLE", "NOT_OFFERED"]
STOPPED: frozenset[State] = frozenset({"WAITS", "REFUSED", "UNREACHABLE"})


@dataclass(frozen=True)
class SourceResult:
    """What became of one source: `rows` where it was loaded, `reason` where it was not."""

    source: str
    state: State
    rows: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Known:
    """The content that is loaded, by its SHA-256, and the last look at which the source still had it."""

    content_hash: str
    seen_at: datetime


def lock(connection: Connection) -> None:
    """One synchronisation at a time, until the end of the transaction."""
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended('backroom.price_sync', 0))"))


def known(connection: Connection) -> dict[str, Known]:
    """By source; one that was never loaded is absent."""
    rows = connection.execute(text("select source, content_hash, checked_at from price_source"))
    return {row.source: Known(row.content_hash, row.checked_at) for row in rows}


def unchanged(connection: Connection, sources: Iterable[str], *, now: datetime) -> None:
    """Notes that they were looked at and still hold what is loaded."""
    connection.execute(
        text("update price_source set checked_at = greatest(checked_at, :now) where source = any(:sources)"),
        {"now": now, "sources": list(sources)},
    )


def loaded(connection: Connection, source: str, *, content_hash: str, rows: int, now: datetime) -> None:
    """Notes what was loaded, in the transaction that loads it."""
    connection.execute(
        text(
            "insert into price_source (source, content_hash, rows, loaded_at, checked_at)"
            " values (:source, :hash, :rows, :now, :now) on conflict (source) do update set"
            " content_hash = :hash, rows = :rows, loaded_at = :now,"
            " checked_at = greatest(price_source.checked_at, :now)"
        ),
        {"source": source, "hash": content_hash, "rows": rows, "now": now},
    )


def files_loaded(connection: Connection, folder: Path, rows: Mapping[str, int], *, now: datetime) -> None:
    """Notes that the files of a folder were loaded as they are, with so many `rows` each, in that transaction."""
    for name, count in rows.items():
        with (folder / name).open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        loaded(connection, name, content_hash=digest, rows=count, now=now)


def forget_content(connection: Connection, sources: Iterable[str]) -> None:
    """Makes the next look load these sources again, whatever they hold."""
    connection.execute(
        text("update price_source set content_hash = '' where source = any(:sources)"), {"sources": list(sources)}
    )
