"""What becomes of batches that Amazon has: asked for, or told by a notification; whichever comes first counts, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.amazon.catalog import CatalogClient
from backroom.amazon.outcomes import CallFailed, Outcome
from backroom.catalog.sending import MAX_TRIES, Batch, pause_after
from backroom.settings import settings

ENDED = ("DONE", "FATAL", "CANCELLED")
_log = structlog.get_logger()


def ask_for_all(engine: Engine, client: CatalogClient, *, run_id: int, now: datetime) -> None:
    """Asks for the status of each batch of this run and of earlier ones that Amazon has not finished."""
    with engine.connect() as connection:
        batches = [Batch(**row._mapping) for row in connection.execute(_SENT, {"run": run_id})]
    if batches:
        with ThreadPoolExecutor(
            min(settings().catalog_concurrency, len(batches)), thread_name_prefix="catalog"
        ) as pool:
            list(pool.map(lambda batch: _ask(engine, client, batch, now), batches))


def heard(
    connection: Connection, *, ingestion_id: str, status: str, link: str | None, link_at: datetime | None, now: datetime
) -> int | None:
    """Notes what Amazon says of an ingestion; the batch's id where that was news, None where nothing waited for it.

    `link_at`: when the link came, by the database's clock; None: now.
    """
    batch_id = connection.execute(
        _HEARD, {"ingestion": ingestion_id, "state": status, "link": link, "link_at": link_at, "now": now}
    ).scalar_one_or_none()
    if batch_id is not None and status in ("FATAL", "CANCELLED"):
        _alert_ended(connection, batch_id, ingestion_id, status, now)
    return batch_id


def warn_of_late(engine: Engine, *, now: datetime) -> int:
    """Raises an alert for each batch that Amazon has worked on for longer than the deadline; how many there are."""
    with engine.begin() as connection:
        late = connection.execute(_LATE, {"minutes": settings().catalog_deadline_minutes}).all()
        for row in late:
            raise_alert(
                connection,
                key=f"catalog:late:{row.batch_id}",
                severity="critical",
                title=f"Amazon is not done with catalog batch {row.batch_id} ({row.ingestion_id}), sent"
                f" {row.called_at:%Y-%m-%d %H:%M} UTC"
                + (": its report is not recorded" if row.state == "DONE" else ""),
                what_to_do="See `backroom catalog status`; it is still asked for. If it stays so, tell Amazon.",
                now=now,
                subject=str(row.batch_id),
                store_id=row.store_id,
            )
    return len(late)


def _ask(engine: Engine, client: CatalogClient, batch: Batch, now: datetime) -> None:
    assert batch.ingestion_id is not None
    try:
        status, link = client.status(batch.ingestion_id)
    except CallFailed as error:
        _log.warning("catalog_status_failed", batch_id=batch.batch_id, reason=str(error))
        if error.answer.outcome is Outcome.REFUSED and error.answer.status == 400:
            _forgotten(engine, batch, error, now)
        return
    if status in ENDED:
        with engine.begin() as connection:
            heard(connection, ingestion_id=batch.ingestion_id, status=status, link=link, link_at=None, now=now)


def _forgotten(engine: Engine, batch: Batch, error: CallFailed, now: datetime) -> None:
    """Amazon does not know the id any more: what became of the batch is unknown, so it goes again, a few times."""
    given = {
        "batch": batch.batch_id, "ingestion": batch.ingestion_id, "reason": str(error), "now": now,
        "over": batch.tries >= MAX_TRIES, "pause": pause_after(batch.tries) if batch.tries > 1 else 0,
    }  # fmt: skip
    with engine.begin() as connection:
        if connection.execute(_FORGOTTEN, given).rowcount and given["over"]:
            raise_alert(
                connection,
                key=f"catalog:batch:{batch.batch_id}",
                severity="critical",
                title=f"Amazon does not know catalog batch {batch.batch_id}, sent {batch.tries} times: {error}"[:500],
                what_to_do="Ask Amazon with the id of `backroom catalog status`; its items go with the next run.",
                now=now,
                subject=str(batch.batch_id),
                store_id=batch.store_id,
            )


def _alert_ended(connection: Connection, batch_id: int, ingestion_id: str, status: str, now: datetime) -> None:
    raise_alert(
        connection,
        key=f"catalog:batch:{batch_id}",
        severity="critical",
        title=f"Amazon ended catalog batch {batch_id} ({ingestion_id}) as {status}",
        what_to_do="Its items go again with the next run; if that ends so too, ask Amazon with the id.",
        now=now,
        subject=str(batch_id),
    )


_SENT = text(
    "select batch_id, run_id, kind, store_id, ingestion_id, tries from catalog_batch"
    " where settled_at is null and run_id <= :run and state = 'SENT' order by batch_id"
)
_HEARD = text(
    """
    update catalog_batch set state = :state, report_link = :link,
        link_at = coalesce(cast(:link_at as timestamptz), clock_timestamp()),
        reason = case when :state = 'DONE' then null else 'Amazon ended it as ' || :state end,
        settled_at = case when :state = 'DONE' then null else cast(:now as timestamptz) end
    where ingestion_id = :ingestion and state = 'SENT' and settled_at is null
    returning batch_id
    """
)
_FORGOTTEN = text(
    "update catalog_batch set state = 'UNKNOWN', ingestion_id = null, reason = :reason,"
    " not_before = clock_timestamp() + make_interval(secs => :pause),"
    " settled_at = case when :over then cast(:now as timestamptz) end"
    " where batch_id = :batch and state = 'SENT' and settled_at is null and ingestion_id = :ingestion"
)
_LATE = text(
    "select batch_id, ingestion_id, store_id, called_at, state from catalog_batch"
    " where settled_at is null and state in ('SENT', 'DONE')"
    " and called_at < clock_timestamp() - make_interval(mins => :minutes) order by batch_id"
)
