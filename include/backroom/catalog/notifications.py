"""Amazon's news of uploads: SNS → our SQS queue, at least once, in any order, or never.

News is kept by its ingestion id before its message is deleted, so that one that comes before we know the id (the
process that sent the batch may have died) is not lost. News of an ingestion that no batch knows tells what became of a
batch of unknown outcome, where its report names exactly that batch's items.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import Engine, text

from backroom.catalog import following, reports
from backroom.errors import BackroomError
from backroom.feeds.queues import dead_letter, delete, receive
from backroom.settings import Settings

AT_ONCE: Final = 500  # messages of one look
_log = structlog.get_logger()


@dataclass(frozen=True)
class Inbox:
    """Where the news comes: boto3's SQS client and our queue's name."""

    sqs: Any
    queue: str


class NotNews(ValueError):
    """A message that is no news of an upload."""


def inbox(config: Settings) -> Inbox | None:
    """By the settings; None where no queue is named: polling alone."""
    if not config.catalog_queue:
        return None
    from backroom.feeds.aws import aws

    return Inbox(aws().sqs, config.catalog_queue)


def take_in(engine: Engine, box: Inbox, *, now: datetime, fetch: Callable[[str], bytes | None] = reports.fetch) -> int:
    """Drains the queue and notes what it says about batches; how many batches it was news to.

    A queue that does not answer is only logged: polling is enough on its own.
    """
    try:
        url = str(box.sqs.get_queue_url(QueueName=box.queue)["QueueUrl"])
        for messages in receive(box.sqs, url, max_messages=AT_ONCE):
            delete(box.sqs, url, [message for message in messages if _keep(engine, box, url, message)])
    except (BotoCoreError, ClientError) as error:
        _log.warning("catalog_queue_unreachable", queue=box.queue, reason=str(error))
    return apply_kept(engine, now=now, fetch=fetch)


def apply_kept(engine: Engine, *, now: datetime, fetch: Callable[[str], bytes | None] = reports.fetch) -> int:
    """Notes what the news so far says; how many batches it was news to."""
    _attach_orphans(engine, fetch)
    with engine.begin() as connection:
        told = connection.execute(_FOR_BATCHES).all()
        return sum(
            following.heard(
                connection,
                ingestion_id=row.ingestion_id,
                status=row.processing_status,
                link=row.report_link,
                link_at=row.received_at,
                now=now,
            )
            is not None
            for row in told
        )


def parse(body: str) -> tuple[str, str, str | None]:
    """(ingestion id, status, the report's link) of an SQS message's body: SNS's envelope. Raises NotNews."""
    try:
        envelope = json.loads(body)
        news = json.loads(envelope["Message"])
        ingestion_id, status, link = news["ingestionId"], news["processingStatus"], news.get("reportDownloadLink")
    except (ValueError, KeyError, TypeError) as error:
        raise NotNews(f"no news of an upload: {error}") from error
    if not (isinstance(ingestion_id, str) and 0 < len(ingestion_id) <= 255 and isinstance(status, str)):
        raise NotNews("no news of an upload: ingestionId and processingStatus must be text")
    if "\x00" in ingestion_id + status or (link is not None and not isinstance(link, str)):
        raise NotNews("no news of an upload: NUL characters, or a link that is no text")
    return ingestion_id, status, link or None


def _keep(engine: Engine, box: Inbox, url: str, message: dict[str, Any]) -> bool:
    """Whether the message may be deleted now."""
    try:
        ingestion_id, status, link = parse(message["Body"])
    except NotNews as error:
        _log.error("catalog_message_not_understood", message_id=message.get("MessageId"), reason=str(error))
        dead_letter(box.sqs, url, message, str(error))
        return False
    if status in following.ENDED:
        with engine.begin() as connection:
            connection.execute(_KEEP, {"ingestion": ingestion_id, "status": status, "link": link})
    return True


def _attach_orphans(engine: Engine, fetch: Callable[[str], bytes | None]) -> None:
    """News that no batch knows, while a batch's outcome is unknown: does its report name that batch's items?"""
    with engine.connect() as connection:
        orphans = connection.execute(_ORPHANS).all()
    for orphan in orphans:
        content: bytes | None = None
        try:
            content = fetch(orphan.report_link)
            items = [] if content is None else reports.items_of(orphan.ingestion_id, content)
        except BackroomError as error:
            _log.warning("catalog_report_not_compared", ingestion_id=orphan.ingestion_id, reason=str(error))
            continue
        with engine.begin() as connection:
            reports.stage(connection, items)
            batch_id = connection.execute(_ATTACH, {"ingestion": orphan.ingestion_id}).scalar_one_or_none()
            connection.execute(text("drop table reported_item"))
            connection.execute(_COMPARED, {"ingestion": orphan.ingestion_id})
        if batch_id is not None:
            _log.info("catalog_batch_found", batch_id=batch_id, ingestion_id=orphan.ingestion_id)


_KEEP = text(
    "insert into catalog_notification (ingestion_id, processing_status, report_link)"
    " values (:ingestion, :status, :link) on conflict (ingestion_id) do nothing"
)
_FOR_BATCHES = text(
    "select n.ingestion_id, n.processing_status, n.report_link, n.received_at from catalog_notification n"
    " join catalog_batch b on b.ingestion_id = n.ingestion_id where b.state = 'SENT' and b.settled_at is null"
)
_ORPHANS = text(
    """
    select n.ingestion_id, n.report_link from catalog_notification n
    where n.report_link is not null and not n.compared
        and not exists (select from catalog_batch b where b.ingestion_id = n.ingestion_id)
        and exists (
            select from catalog_batch b
            where b.settled_at is null and b.state = 'UNKNOWN' and b.called_at < n.received_at)
    order by n.received_at
    """
)
# The oldest call comes first. An archive's report names every store; what counts is the SKUs.
_ATTACH = text(
    """
    update catalog_batch set ingestion_id = :ingestion, state = 'SENT', sent_at = called_at, not_before = null,
        reason = null
    where batch_id = (
        select b.batch_id from catalog_batch b
        where b.settled_at is null and b.state = 'UNKNOWN' and b.ingestion_id is null
            and exists (select from reported_item)
            and not exists (
                (select item_sku, case b.kind when 'UPLOAD' then store_id end from reported_item
                 except
                 select item_sku, case b.kind when 'UPLOAD' then store_id end from catalog_batch_item i
                 where i.batch_id = b.batch_id)
                union all
                (select item_sku, case b.kind when 'UPLOAD' then store_id end from catalog_batch_item i
                 where i.batch_id = b.batch_id
                 except
                 select item_sku, case b.kind when 'UPLOAD' then store_id end from reported_item))
        order by b.batch_id limit 1 for update)
    returning batch_id
    """
)
_COMPARED = text("update catalog_notification set compared = true where ingestion_id = :ingestion")
