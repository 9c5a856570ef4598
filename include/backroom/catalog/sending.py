"""One batch to Amazon: the intent is written already, here comes the call and its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.amazon.catalog import CatalogClient
from backroom.amazon.outcomes import CallFailed, Outcome, Problem

MAX_TRIES: Final = 8
_LONGEST_PAUSE = 300  # seconds between tries, unless Amazon asks for more
_log = structlog.get_logger()


@dataclass(frozen=True)
class Batch:
    """A batch as it stands. `store_id` is None for an archive, which is for all stores."""

    batch_id: int
    run_id: int
    kind: str
    store_id: str | None
    ingestion_id: str | None
    tries: int


def send(engine: Engine, client: CatalogClient, batch: Batch, *, now: datetime) -> bool:
    """Try once. True where Amazon took it. Refused: settled, with an alert; anything else: another try is due later."""
    try:
        ingestion_id = _call(engine, client, batch)
    except CallFailed as error:
        _log.warning("catalog_batch_not_sent", batch_id=batch.batch_id, tries=batch.tries + 1, reason=str(error))
        _record_failure(engine, batch, error, now)
        return False
    with engine.begin() as connection:
        connection.execute(
            text(
                "update catalog_batch set state = 'SENT', ingestion_id = :ingestion, sent_at = :now, reason = null,"
                " tries = tries + 1, not_before = null where batch_id = :batch"
            ),
            {"batch": batch.batch_id, "ingestion": ingestion_id, "now": now},
        )
    return True


def _call(engine: Engine, client: CatalogClient, batch: Batch) -> str:
    with engine.connect() as connection:
        if batch.kind == "UPLOAD":
            records = list(connection.execute(_RECORDS, {"batch": batch.batch_id}).scalars())
        else:
            skus = list(connection.execute(_SKUS, {"batch": batch.batch_id}).scalars())
            stores = list(connection.execute(text("select store_id from store order by store_id")).scalars())
    return client.upload(records) if batch.kind == "UPLOAD" else client.archive(skus, stores)


def _record_failure(engine: Engine, batch: Batch, error: CallFailed, now: datetime) -> None:
    answer, tries = error.answer, batch.tries + 1
    refused = answer.outcome is Outcome.REFUSED and answer.problem is not Problem.THROTTLED
    unknown = answer.outcome is Outcome.UNKNOWN
    over = refused or tries >= MAX_TRIES
    pause = answer.retry_after if answer.retry_after is not None else min(2**tries, _LONGEST_PAUSE)
    with engine.begin() as connection:
        connection.execute(
            text(
                "update catalog_batch set state = case when :refused then 'REFUSED' when :unknown then 'UNKNOWN'"
                " else state end, reason = :reason, tries = :tries,"
                " settled_at = case when :over then cast(:now as timestamptz) end,"
                " not_before = clock_timestamp() + make_interval(secs => :pause) where batch_id = :batch"
            ),
            {
                "batch": batch.batch_id,
                "refused": refused,
                "unknown": unknown,
                "reason": str(error),
                "tries": tries,
                "over": over,
                "now": now,
                "pause": pause,
            },
        )
        if over:
            _alert(connection, batch, error, now)


def _alert(connection: Connection, batch: Batch, error: CallFailed, now: datetime) -> None:
    raise_alert(
        connection,
        key=f"catalog:batch:{batch.batch_id}",
        severity="critical",
        title=f"Catalog batch {batch.batch_id} ({batch.kind}) is not at Amazon: {error}"[:500],
        what_to_do="Correct what the answer names (store, rights) and run `backroom catalog sync`; nothing is lost.",
        now=now,
        subject=str(batch.batch_id),
        store_id=batch.store_id,
    )


_RECORDS = text(
    "select i.record from catalog_batch_item b join catalog_item i using (store_id, item_sku)"
    " where b.batch_id = :batch order by i.item_sku"
)
_SKUS = text("select distinct item_sku from catalog_batch_item where batch_id = :batch order by item_sku")
