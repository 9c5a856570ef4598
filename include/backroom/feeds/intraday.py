"""Amazon's intra-day files, from the queue into the orders: `collect` copies them, `ingest` brings their rows in."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, cast

import structlog
from sqlalchemy import Connection, Engine, Row, text

from backroom.alerts import raise_alert
from backroom.feeds import lanes
from backroom.feeds.announcement import parse_key
from backroom.feeds.aws import Aws
from backroom.feeds.collecting import Copied, collect, copies
from backroom.feeds.judging import judge
from backroom.feeds.layout import WrongHeader
from backroom.feeds.staging import Undecodable, prepare, stage
from backroom.orders.merge import Merged, merge

__all__ = ["FileResult", "collect", "ingest", "ingest_all", "read_ahead", "take_in", "waiting"]

_READERS = 8
_IN_MEMORY = 4_000_000  # bytes of a file; a larger one waits in a temporary file
_AHEAD = 16  # files read ahead of the one that is being brought in
_log = structlog.get_logger()


@dataclass(frozen=True)
class FileResult:
    """What came of a file. States: INGESTED, SAME_CONTENT (of another key), FAILED. Rows are order lines."""

    file_id: int
    state: str
    rows_read: int = 0
    rows_applied: int = 0
    rows_stale: int = 0
    rows_quarantined: int = 0
    reason: str | None = None


def take_in(engine: Engine, aws: Aws, *, now: datetime) -> list[FileResult]:
    """Copy what is announced and bring it in, after what earlier runs have copied and left: one result per file.

    A message is deleted once its file is copied and written down; the file's rows come in, in one transaction with its
    row of the ledger, while the next ones are copied. Raises as `collect` and `ingest_all` do; what was done until
    then is done, and what was copied waits for the next run.
    """
    with engine.connect() as connection:
        left = waiting(connection)
    results = ingest_all(engine, aws, file_ids=left, now=now)
    with closing(copies(engine, aws, now=now)) as batches, ThreadPoolExecutor(1) as copier:
        return results + _ingest_each(engine, _one_batch_ahead(copier, batches), now, again=False)


def waiting(connection: Connection) -> list[int]:
    """Files that are copied and not yet brought in, in order of announcement."""
    return list(
        connection.execute(
            text("select file_id from feed_file where state = 'COPIED' order by announced_at, file_id")
        ).scalars()
    )


def ingest(engine: Engine, aws: Aws, *, file_id: int, now: datetime) -> FileResult:
    """Bring one copied file in, in one transaction with its row of the ledger. Again: the result that is there."""
    return ingest_all(engine, aws, file_ids=[file_id], now=now)[0]


def ingest_all(
    engine: Engine, aws: Aws, *, file_ids: Sequence[int], now: datetime, again: bool = False
) -> list[FileResult]:
    """The same for many files, in their order; the copies are read ahead by threads.

    `again`: files that were taken in, or failed, are taken from our copies anew; what is newer than they stays, and
    their rows in quarantine are RETRIED, or wait on where they still break a rule.

    A file that can't be read as an order file is FAILED, with its reason and an alert, and the others go on. Raises
    botocore's errors where our own bucket does not answer; what was done until then is done.
    """
    if not file_ids:
        return []
    with engine.begin() as connection:
        rows = connection.execute(_COPIES, {"ids": list(file_ids)}).all()
        _find_stores(connection, rows)
    with ThreadPoolExecutor(_READERS) as readers:
        kept = {row.file_id: row.copy_key for row in rows}
        return _ingest_each(engine, read_ahead(readers, aws, file_ids, kept), now, again)


def read_ahead(
    readers: ThreadPoolExecutor, aws: Aws, file_ids: Sequence[int], kept: Mapping[int, str | None]
) -> Iterator[tuple[int, BinaryIO]]:
    """Our copies of the files, in order; threads read the next ones meanwhile. Raises botocore's errors."""

    def read(file_id: int) -> BinaryIO:
        content = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by who takes it
        if key := kept.get(file_id):
            for block in aws.s3.get_object(Bucket=aws.feeds_bucket, Key=key)["Body"].iter_chunks(1_000_000):
                content.write(block)
            content.seek(0)
        return cast("BinaryIO", content)

    reading: list[tuple[int, Future[BinaryIO]]] = []
    for file_id in file_ids:
        reading.append((file_id, readers.submit(read, file_id)))
        if len(reading) >= _AHEAD:
            first, future = reading.pop(0)
            yield first, future.result()
    for file_id, future in reading:
        yield file_id, future.result()


def _one_batch_ahead(copier: ThreadPoolExecutor, batches: Iterator[list[Copied]]) -> Iterator[tuple[int, BinaryIO]]:
    coming = copier.submit(next, batches, None)
    while (batch := coming.result()) is not None:
        coming = copier.submit(next, batches, None)
        for one in batch:
            yield one.file_id, one.content


def _find_stores(connection: Connection, rows: Sequence[Row]) -> None:
    """A store that was added since a file of its came is found by the file's key."""
    for row in rows:
        if row.store_id is None and (name := parse_key(row.key)) is not None:
            connection.execute(_OWN, {"file": row.file_id, "store": name.store_id, "merchant": name.merchant})


def _ingest_each(engine: Engine, files: Iterator[tuple[int, BinaryIO]], now: datetime, again: bool) -> list[FileResult]:
    def each(connection: Connection, one: tuple[int, BinaryIO], turn: Callable[[], None]) -> FileResult:
        with one[1] as content:
            return _ingest(connection, one[0], content, now, again, turn)

    return lanes.run(engine, files, each, prepare)


def _ingest(
    connection: Connection, file_id: int, content: BinaryIO, now: datetime, again: bool, turn: Callable[[], None]
) -> FileResult:
    """Before its `turn` a file goes into staging, which is the session's own; all else comes after it."""
    try:
        with connection.begin():
            file = connection.execute(_FILE, {"file": file_id}).one()
            if not _is_wanted(file, again):
                return _result(file)
            if file.store_id is None:
                raise WrongHeader(f"its key names no store of ours: {file.key}")
            read = stage(connection, content, store_id=file.store_id, currency=file.currency)
            turn()
            connection.execute(_SHARE_ORDERS, {"store": file.store_id})
            file = connection.execute(_LOCK, {"file": file_id}).one()
            if not _is_wanted(file, again):  # another session has brought it in meanwhile
                return _result(file)
            if again:
                connection.execute(_RETRIED, {"file": file_id})
            return _bring_in(connection, file, read, now)
    except (WrongHeader, Undecodable) as error:
        turn()
        with connection.begin():
            return _fail(connection, file_id, str(error), now)


def _is_wanted(file: Row, again: bool) -> bool:
    return file.copy_key is not None and (file.state == "COPIED" or again)


def _bring_in(connection: Connection, file: Row, read: int, now: datetime) -> FileResult:
    state, reason, bad, merged = "INGESTED", None, 0, Merged(0, 0)
    if read:
        if file.same_as is not None:
            state, reason = "SAME_CONTENT", f"as {file.same_as}"
        bad = judge(
            connection, file_id=file.file_id, store_id=file.store_id, currency=file.currency, keep=state == "INGESTED"
        )
    if read > bad:
        # The same content under another key is a newer version of the same rows, so it is merged like any other:
        # otherwise what stays would depend on which of the two came first.
        merged = merge(
            connection,
            file_id=file.file_id,
            window_end=file.window_end,
            sequencer=file.sequencer,
            time_zone=file.time_zone,
        )
        connection.execute(
            _DAYS,
            [
                {"file": file.file_id, "store": file.store_id, "day": day, "changed": changed}
                for day, changed in merged.days.items()
            ],
        )
    result = FileResult(file.file_id, state, read, merged.applied, merged.stale, bad, reason)
    _settle(connection, result, now)
    if bad and state == "INGESTED":
        _alert(connection, file, "warning", f"{bad} rows of {file.key} are in quarantine", now)
    return result


def _fail(connection: Connection, file_id: int, reason: str, now: datetime) -> FileResult:
    file = connection.execute(_LOCK, {"file": file_id}).one()
    result = FileResult(file_id, "FAILED", reason=reason)
    _settle(connection, result, now)
    _alert(connection, file, "critical", f"The intra-day file {file.key} can't be taken in: {reason}", now)
    _log.warning("file_failed", file_id=file_id, file=file.key, reason=reason)
    return result


def _settle(connection: Connection, result: FileResult, now: datetime) -> None:
    connection.execute(
        text(
            "update feed_file set state = :state, reason = :reason, rows_read = :rows_read,"
            " rows_applied = :rows_applied, rows_stale = :rows_stale, rows_quarantined = :rows_quarantined,"
            " ingested_at = :now where file_id = :file_id"
        ),
        {**result.__dict__, "now": now},
    )


def _alert(connection: Connection, file: Row, severity: str, title: str, now: datetime) -> None:
    raise_alert(
        connection,
        key=f"feeds:file:{file.file_id}",
        severity="critical" if severity == "critical" else "warning",
        title=title[:500],
        what_to_do="See `backroom feeds quarantine list` and `backroom feeds files`; ask Amazon to send it again.",
        now=now,
        subject=str(file.file_id),
        store_id=file.store_id,
    )


def _result(file: Row) -> FileResult:
    return FileResult(
        file.file_id,
        file.state,
        file.rows_read,
        file.rows_applied,
        file.rows_stale,
        file.rows_quarantined,
        file.reason,
    )


_DAYS = text(
    "insert into feed_file_day (file_id, store_id, business_date, to_release, to_land)"
    " values (:file, :store, :day, :changed, :changed) on conflict (file_id, business_date) do update"
    " set to_release = feed_file_day.to_release or excluded.to_release,"
    " to_land = feed_file_day.to_land or excluded.to_land"
)
_RETRIED = text("update feed_quarantine set state = 'RETRIED' where file_id = :file and state = 'WAITING'")
_OWN = text(
    "update feed_file f set store_id = s.store_id from store s"
    " where f.file_id = :file and s.store_id = :store and s.merchant = :merchant"
)
# A day that is rebuilt (feeds/replay.py) must not lose what comes in meanwhile.
_SHARE_ORDERS = text("select pg_advisory_xact_lock_shared(hashtext('orders ' || :store))")
_COPIES = text("select file_id, key, store_id, copy_key from feed_file where file_id = any(:ids)")
_FILE = text(
    "select f.*, s.time_zone, s.currency from feed_file f left join store s using (store_id) where f.file_id = :file"
)
_LOCK = text(
    """
    select f.*, s.time_zone, s.currency, (
        select o.key from feed_file o
        where o.sha256 = f.sha256 and (o.bucket, o.key) <> (f.bucket, f.key) and o.state = 'INGESTED' limit 1
    ) as same_as
    from feed_file f left join store s on s.store_id = f.store_id
    where f.file_id = :file for update of f
    """
)
