"""What a person says about files: take one again, a row is not needed, a day is released as it is.

Each is kept with its audit entry, and the pipeline `intraday_ingestion` does it at its next run: who says so needs no
way to the files themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Connection, Engine, text

from backroom.audit import trail
from backroom.clock import business_day_bounds
from backroom.errors import BackroomError
from backroom.feeds.aws import Aws
from backroom.feeds.completeness import coverage, margin
from backroom.feeds.intraday import FileResult
from backroom.feeds.replay import retry, retryable
from backroom.stores.registry import get_store


class MendingRefused(BackroomError):
    """There is nothing of the kind that waits; nothing was changed."""


def ask_retry(connection: Connection, file_id: int, *, by: str, reason: str, now: datetime) -> None:
    """Wants the file taken from our copy again. Audited. Raises MendingRefused where none of its rows waits."""
    if not retryable(connection, file_id=file_id):
        raise MendingRefused(f"file {file_id} has no row that waits, or there is no copy of it")
    connection.execute(
        text("update feed_file set retry_asked_at = :now where file_id = :file"), {"now": now, "file": file_id}
    )
    _audit(connection, "feeds.quarantine.retry", f"file {file_id}", by=by, reason=reason, now=now)


def dismiss(connection: Connection, file_id: int, line: int, *, by: str, reason: str, now: datetime) -> None:
    """Nothing is to be done about the row. It stays as it came. Audited. Raises MendingRefused where it is settled."""
    done = connection.execute(
        text(
            "update feed_quarantine set state = 'DISMISSED'"
            " where file_id = :file and line = :line and state = 'WAITING'"
        ),
        {"file": file_id, "line": line},
    )
    if done.rowcount == 0:
        raise MendingRefused(f"line {line} of file {file_id} does not wait in quarantine")
    _audit(connection, "feeds.quarantine.dismiss", f"file {file_id}, line {line}", by=by, reason=reason, now=now)


def want_release(connection: Connection, store_id: str, day: date, *, by: str, reason: str, now: datetime) -> int:
    """Wants the business day released with the windows that it has; how many it lacks. Audited.

    Late files correct it, as ever. Raises MendingRefused where the day is not over, lacks nothing, or was released.
    """
    store = get_store(connection, store_id)
    if store is None or "FILES" not in store.feeds:
        raise MendingRefused(f"{store_id!r} is not a store that gets files")
    if now < business_day_bounds(day, store.time_zone)[1] + margin():
        raise MendingRefused(f"{day} of {store_id} is not over, or its last files may still come")
    missing = coverage(connection, store=store, day=day).missing
    if not missing:
        raise MendingRefused(f"{day} of {store_id} lacks no file: it is released by itself")
    this = {"store": store_id, "day": day, "now": now, "by": by}
    if connection.execute(_RELEASED, this).first():
        raise MendingRefused(f"{day} of {store_id} was released already; late files correct it")
    if connection.execute(_WANT, this).rowcount == 0:
        raise MendingRefused(f"{day} of {store_id} is to be released already, at the pipeline's next run")
    _audit(
        connection, "feeds.release", f"{store_id}|{day}", by=by, reason=reason, now=now, missing_windows=len(missing)
    )
    return len(missing)


def retry_asked(engine: Engine, aws: Aws, *, now: datetime) -> list[FileResult]:
    """Takes the files that somebody wants again from our copies. Raises botocore's errors: they are wanted still."""
    with engine.connect() as connection:
        asked = connection.execute(_ASKED).all()
    results = retry(engine, aws, file_ids=[row.file_id for row in asked], now=now) if asked else []
    with engine.begin() as connection:
        for row in asked:  # who asked once more meanwhile is heard at the next run
            connection.execute(_DONE, row._asdict())
    return results


def wanted(connection: Connection) -> Sequence[tuple[str, date]]:
    """The (store, business day) that somebody wants released and that are not."""
    return [(row.store_id, row.business_date) for row in connection.execute(_WANTED)]


def _audit(
    connection: Connection, action: str, subject: str, *, by: str, reason: str, now: datetime, **details: object
) -> None:
    if not reason.strip():
        raise MendingRefused("the reason says nothing; write why, it is kept in the audit trail")
    trail.record(connection, at=now, actor=by, action=action, subject=subject, reason=reason.strip(), details=details)


_RELEASED = text("select 1 from day_release where store_id = :store and business_date = :day limit 1")
_WANT = text(
    "insert into day_release_wanted (store_id, business_date, wanted_at, wanted_by)"
    " values (:store, :day, :now, :by) on conflict do nothing"
)
_WANTED = text(
    "select store_id, business_date from day_release_wanted w where not exists (select from day_release r"
    " where (r.store_id, r.business_date) = (w.store_id, w.business_date)) order by 1, 2"
)
_ASKED = text(
    "select file_id, retry_asked_at from feed_file where retry_asked_at is not null order by announced_at, file_id"
)
_DONE = text("update feed_file set retry_asked_at = null where file_id = :file_id and retry_asked_at = :retry_asked_at")
