"""From Amazon's announcements to our own copies: byte for byte, one row of the ledger of files each."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, cast
from urllib.parse import quote

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.feeds import originals, queues
from backroom.feeds.announcement import Announcement, Malformed, parse, parse_key
from backroom.feeds.aws import Aws
from backroom.settings import settings

_COPIERS = 8
_IN_MEMORY = 4_000_000  # bytes; a larger file passes through a temporary file
_log = structlog.get_logger()


@dataclass(frozen=True)
class Copied:
    """A file that was copied: what was written to our bucket, from its start. Who takes it closes it."""

    file_id: int
    content: BinaryIO


def collect(engine: Engine, aws: Aws, *, now: datetime, max_messages: int = 10_000) -> list[int]:
    """Drain the intra-day queue. Returns the ids of the files that were copied, in order of announcement.

    A message is deleted after the commit of its file's row. A file that can't be read stays announced, and its
    message comes again until `intraday_max_receives`; then the file is FAILED, with an alert.
    """
    copied: list[int] = []
    for batch in copies(engine, aws, now=now, max_messages=max_messages):
        for one in batch:
            one.content.close()
            copied.append(one.file_id)
    return sorted(copied)


def copies(
    engine: Engine, aws: Aws, *, now: datetime, max_messages: int = 10_000
) -> Generator[list[Copied], None, None]:
    """`collect`, message batch by message batch, with what was copied: it need not be read from our bucket again."""
    url = aws.queue_url(aws.intraday_queue)
    with ThreadPoolExecutor(_COPIERS) as copiers:
        for messages in queues.receive(aws.sqs, url, max_messages=max_messages):
            readable = _readable(engine, aws, url, messages, now)
            with engine.begin() as connection:
                settled, copied = _take(connection, aws, copiers, readable, now)
            queues.delete(aws.sqs, url, settled)
            yield copied


@dataclass(frozen=True)
class _Copy:
    """What came of a copy: its key, digest, size and content; or why there is none.

    `superseded`: the file was rewritten since.
    """

    key: str = ""
    sha256: str = ""
    size: int = 0
    content: BinaryIO | None = None
    failure: str = ""
    superseded: bool = False


_Readable = list[tuple[dict[str, Any], list[Announcement]]]


def _readable(engine: Engine, aws: Aws, url: str, messages: list[dict[str, Any]], now: datetime) -> _Readable:
    readable: _Readable = []
    for message in messages:
        try:
            readable.append((message, parse(message["Body"])))
        except Malformed as error:
            moved = queues.dead_letter(aws.sqs, url, message, str(error))
            _log.warning("announcement_malformed", message_id=message["MessageId"], reason=str(error), moved=moved)
            with engine.begin() as connection:
                raise_alert(
                    connection,
                    key="feeds:malformed-announcement",
                    severity="warning",
                    title="A message of the intra-day queue is not an announcement",
                    what_to_do="Look at the dead-letter queue backroom-intraday-dead; each message says why.",
                    now=now,
                )
    return readable


def _take(
    connection: Connection,
    aws: Aws,
    copiers: ThreadPoolExecutor,
    readable: _Readable,
    now: datetime,
) -> tuple[list[dict[str, Any]], list[Copied]]:
    """Write down and copy what the messages announce. Returns the messages that are done with, and the copies."""
    wanted: dict[int, Announcement] = {}
    by_message: list[tuple[dict[str, Any], list[int]]] = []
    for message, announcements in readable:
        ids = []
        for announcement in announcements:
            file_id, has_copy = _announce(connection, announcement, now)
            ids.append(file_id)
            if not has_copy:
                wanted[file_id] = announcement
        by_message.append((message, ids))
    failed, copied = set(), []
    made = copiers.map(lambda announcement: _copy(aws, announcement), wanted.values())
    for (file_id, announcement), copy in zip(wanted.items(), made, strict=True):
        if copy.content is not None:
            copied.append(Copied(file_id, copy.content))
        elif not copy.superseded:
            failed.add(file_id)
        _record_copy(connection, file_id, announcement, copy)
    done = []
    for message, ids in by_message:
        if not failed.intersection(ids):
            done.append(message)
        elif int(message["Attributes"]["ApproximateReceiveCount"]) >= settings().intraday_max_receives:
            _give_up(connection, sorted(failed.intersection(ids)), now)
    return done, copied


def _announce(connection: Connection, announcement: Announcement, now: datetime) -> tuple[int, bool]:
    name = parse_key(announcement.key)
    row = connection.execute(
        _ANNOUNCE,
        {
            "bucket": announcement.bucket,
            "key": announcement.key,
            "version": announcement.version,
            "sequencer": announcement.sequencer,
            "announced_at": announcement.announced_at,
            "merchant": name.merchant if name else None,
            "store": name.store_id if name else None,
            "window_end": name.window_end if name else None,
            "now": now,
        },
    ).one()
    return row.file_id, row.has_copy


def _copy(aws: Aws, announcement: Announcement) -> _Copy:
    digest, size = hashlib.sha256(), 0
    key = f"intraday/{announcement.bucket}/{announcement.key}/{quote(announcement.version, safe='')}"
    content = cast("BinaryIO", tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - closed by who takes it
    try:
        with originals.open_original(aws, announcement) as blocks:
            for block in blocks:
                digest.update(block)
                size += content.write(block)
        if announcement.size not in (None, size):
            raise originals.NotReadable(f"{size} bytes came where {announcement.size} were announced")
        content.seek(0)
        # S3 checks what it writes against the digest that the ledger keeps
        checked = base64.b64encode(digest.digest()).decode()
        aws.s3.put_object(Bucket=aws.feeds_bucket, Key=key, Body=content, ContentLength=size, ChecksumSHA256=checked)
        content.seek(0)
    except originals.Rewritten:
        content.close()
        return _Copy(failure="it was rewritten before it was copied", superseded=True)
    except (ClientError, BotoCoreError, originals.NotReadable) as error:
        content.close()
        _log.warning("file_not_copied", file=announcement.key, version=announcement.version, reason=str(error))
        return _Copy(failure=f"can't be copied: {error}"[:500])
    return _Copy(key, digest.hexdigest(), size, content)


def _record_copy(connection: Connection, file_id: int, announcement: Announcement, copy: _Copy) -> None:
    state = "SUPERSEDED" if copy.superseded else "ANNOUNCED" if copy.failure else "COPIED"
    connection.execute(
        text(
            "update feed_file set state = :state, reason = :reason, copy_key = :key, sha256 = :sha256, size = :size"
            " where file_id = :file"
        ),
        {
            "file": file_id,
            "state": state,
            "reason": copy.failure or None,
            "key": copy.key or None,
            "sha256": copy.sha256 or None,
            "size": None if copy.failure else copy.size,
        },
    )


def _give_up(connection: Connection, file_ids: list[int], now: datetime) -> None:
    rows = connection.execute(
        text("update feed_file set state = 'FAILED' where file_id = any(:ids) returning file_id, key, store_id"),
        {"ids": file_ids},
    ).all()
    for row in rows:
        raise_alert(
            connection,
            key=f"feeds:file:{row.file_id}",
            severity="critical",
            title=f"The intra-day file {row.key} can't be copied",
            what_to_do="See `backroom feeds files`; check the role's rights on bucket and KMS key, then replay the "
            "message from the dead-letter queue.",
            now=now,
            subject=str(row.file_id),
            store_id=row.store_id,
        )


# A key whose folders name no store of ours keeps store_id null. A file covers the hour before its window's end.
_ANNOUNCE = text(
    """
    insert into feed_file (bucket, key, version, sequencer, announced_at, store_id, window_start, window_end, state,
        received_at)
    select :bucket, :key, :version, :sequencer, :announced_at,
        (select s.store_id from store s where s.store_id = :store and s.merchant = :merchant),
        cast(:window_end as timestamptz) - interval '1 hour', cast(:window_end as timestamptz), 'ANNOUNCED', :now
    on conflict (bucket, key, version) do update set announcements = feed_file.announcements + 1
    returning file_id, copy_key is not null or state = 'SUPERSEDED' as has_copy
    """
)
