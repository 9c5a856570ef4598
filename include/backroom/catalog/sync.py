"""One night's synchronisation: read and compare, send batches, wait for Amazon, record each item's result.

Every call is safe to repeat: an upload replaces whole records, so a batch whose outcome is unknown is sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.amazon.catalog import CatalogClient
from backroom.amazon.outcomes import CallFailed, Outcome
from backroom.catalog import difference, reports, snapshot
from backroom.catalog.reports import Summary
from backroom.catalog.sending import Batch, send
from backroom.catalog.source import check_stores, source_files
from backroom.errors import BackroomError
from backroom.settings import settings
from backroom.stores.registry import all_stores

_LOCK = 5_417_001  # of pg_advisory_xact_lock: one catalog is read at a time
_log = structlog.get_logger()


class CatalogRunMissing(BackroomError):
    """There is no run of that id."""


def start_run(engine: Engine, *, folder: Path, business_date: date, now: datetime) -> int:
    """Read the folder, judge each row, bring catalog_item up to date, compare. Returns the run's id.

    Raises SourceFileError where a file is missing or broken; then the catalog is as it was and the run FAILED.
    """
    with engine.begin() as connection:
        run_id = int(
            connection.execute(
                text(
                    "insert into catalog_run (business_date, source, state, started_at)"
                    " values (:day, :source, 'READING', :now) returning run_id"
                ),
                {"day": business_date, "source": str(folder), "now": now},
            ).scalar_one()
        )
    try:
        with engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            stores = all_stores(connection)
            files = source_files(folder)
            check_stores(folder, files, [store.store_id for store in stores if store.active])
            currencies = {store.store_id: store.currency for store in stores}
            read = snapshot.take(connection, run_id=run_id, files=files, currencies=currencies)
            found = difference.count(connection)
            _record(connection, run_id, read, found)
            if read.rejected:
                _alert_rejections(connection, run_id, read.rejected, business_date, now)
    except BackroomError as error:
        with engine.begin() as connection:
            connection.execute(
                text(
                    "update catalog_run set state = 'FAILED', reason = :reason, finished_at = :now where run_id = :run"
                ),
                {"run": run_id, "reason": str(error), "now": now},
            )
        raise
    _log.info("catalog_compared", run_id=run_id, **found.__dict__, rejected=read.rejected)
    return run_id


def upload(engine: Engine, client: CatalogClient, *, run_id: int, now: datetime) -> list[int]:
    """Write the batches of the difference down and try to send each once. Returns the ids of those that were sent.

    What could not be sent, and what may or may not have arrived, is tried again by `poll`.
    """
    with engine.begin() as connection:
        if _lock_run(connection, run_id) == "COMPARED":
            connection.execute(_SUPERSEDE, {"run": run_id, "now": now})
            difference.plan_batches(connection, run_id=run_id, size=settings().catalog_batch_items, now=now)
            connection.execute(text("update catalog_run set state = 'UPLOADING' where run_id = :run"), {"run": run_id})
    return [batch.batch_id for batch in _due(engine, run_id) if send(engine, client, batch, now=now)]


def poll(engine: Engine, client: CatalogClient, *, run_id: int, now: datetime) -> bool:
    """Send what is due again, ask for the status of what was sent. True once Amazon is done with all of it."""
    for batch in _due(engine, run_id):
        send(engine, client, batch, now=now)
    for batch in _sent(engine, run_id):
        _ask(engine, client, batch, now)
    with engine.connect() as connection:
        return not connection.execute(
            text(
                "select exists (select from catalog_batch where run_id <= :run and settled_at is null"
                " and state <> 'DONE')"
            ),
            {"run": run_id},
        ).scalar_one()


def apply_reports(
    engine: Engine,
    client: CatalogClient,
    *,
    run_id: int,
    now: datetime,
    fetch: Callable[[str], bytes | None] = reports.fetch,
) -> Summary:
    """Fetch each report that is ready, record it once, and close the run when nothing is open.

    Raises ReportMissing where a report can't be fetched or read: it is there to be tried again.
    """
    failed = ""
    for batch in _reported(engine, run_id):
        try:
            reports.apply(engine, client, batch, now=now, fetch=fetch)
        except (reports.ReportMissing, CallFailed) as error:
            failed = failed or str(error)
    with engine.begin() as connection:
        connection.execute(_CLOSE, {"run": run_id, "now": now})
    if failed:
        raise reports.ReportMissing(failed)
    return summary(engine, run_id=run_id)


def summary(engine: Engine, *, run_id: int) -> Summary:
    """Where a run stands."""
    with engine.connect() as connection:
        row = connection.execute(_SUMMARY, {"run": run_id}).one_or_none()
    if row is None:
        raise CatalogRunMissing(f"there is no catalog run {run_id}; see `backroom catalog status`")
    return Summary(**row._mapping)


def _lock_run(connection: Connection, run_id: int) -> str:
    state = connection.execute(
        text("select state from catalog_run where run_id = :run for update"), {"run": run_id}
    ).scalar_one_or_none()
    if state is None:
        raise CatalogRunMissing(f"there is no catalog run {run_id}; see `backroom catalog status`")
    return str(state)


def _record(connection: Connection, run_id: int, read: snapshot.Snapshot, found: difference.Difference) -> None:
    connection.execute(
        text(
            "update catalog_run set state = 'COMPARED', items_read = :read, items_rejected = :rejected,"
            " items_new = :new, items_changed = :changed, items_unchanged = :unchanged, items_gone = :gone"
            " where run_id = :run"
        ),
        {"run": run_id, **read.__dict__, **found.__dict__},
    )


def _alert_rejections(connection: Connection, run_id: int, count: int, day: date, now: datetime) -> None:
    raise_alert(
        connection,
        key=f"catalog:rejections:{day}",
        severity="warning",
        title=f"{count} rows of the catalog of {day} can't be sent to Amazon",
        what_to_do=f"See `backroom catalog rejections --run {run_id}`; have the source corrected.",
        now=now,
        subject=str(run_id),
    )


def _due(engine: Engine, run_id: int) -> list[Batch]:
    return _batches(
        engine,
        run_id,
        "run_id = :run and state in ('INTENT', 'UNKNOWN') and coalesce(not_before, '-infinity') <= clock_timestamp()",
    )


def _sent(engine: Engine, run_id: int) -> list[Batch]:
    return _batches(engine, run_id, "run_id <= :run and state = 'SENT'")


def _reported(engine: Engine, run_id: int) -> list[Batch]:
    return _batches(engine, run_id, "run_id <= :run and state = 'DONE'")


def _batches(engine: Engine, run_id: int, condition: str) -> list[Batch]:
    """Open batches only; a batch of an earlier run that Amazon had not finished is followed up too."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select batch_id, run_id, kind, store_id, ingestion_id, tries from catalog_batch"  # noqa: S608
                f" where settled_at is null and {condition} order by batch_id"
            ),
            {"run": run_id},
        ).all()
    return [Batch(**row._mapping) for row in rows]


def _ask(engine: Engine, client: CatalogClient, batch: Batch, now: datetime) -> None:
    assert batch.ingestion_id is not None
    try:
        status, _ = client.status(batch.ingestion_id)
    except CallFailed as error:
        _log.warning("catalog_status_failed", batch_id=batch.batch_id, reason=str(error))
        if error.answer.outcome is Outcome.REFUSED and error.answer.status == 400:
            # Amazon does not know the id any more: what became of the batch is unknown, so it goes again.
            _set(engine, batch, "UNKNOWN", str(error))
        return
    if status == "DONE":
        _set(engine, batch, "DONE", None)
    elif status in ("FATAL", "CANCELLED"):
        _set(engine, batch, status, f"Amazon ended it as {status}", settled_at=now)
        with engine.begin() as connection:
            raise_alert(
                connection,
                key=f"catalog:batch:{batch.batch_id}",
                severity="critical",
                title=f"Amazon ended catalog batch {batch.batch_id} ({batch.ingestion_id}) as {status}",
                what_to_do="Its items go again with the next run; if that ends so too, ask Amazon with the id.",
                now=now,
                subject=str(batch.batch_id),
                store_id=batch.store_id,
            )


def _set(engine: Engine, batch: Batch, state: str, reason: str | None, *, settled_at: datetime | None = None) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "update catalog_batch set state = :state, reason = :reason, settled_at = :settled_at,"
                " ingestion_id = case when :state = 'UNKNOWN' then null else ingestion_id end"
                " where batch_id = :batch and state = 'SENT'"
            ),
            {"batch": batch.batch_id, "state": state, "reason": reason, "settled_at": settled_at},
        )


# What an earlier run had not sent is in this run's difference, in its newest version.
_SUPERSEDE = text(
    "update catalog_batch set settled_at = :now, reason = 'superseded by run ' || :run"
    " where run_id < :run and settled_at is null and state in ('INTENT', 'UNKNOWN')"
)

_CLOSE = text(
    """
    update catalog_run r set state = 'DONE', finished_at = :now,
        reason = (select string_agg(format('batch %s %s: %s', batch_id, state, reason), '; ' order by batch_id)
            from catalog_batch b where b.run_id = r.run_id and b.state <> 'DONE')
    where r.run_id <= :run and r.state = 'UPLOADING'
        and not exists (select from catalog_batch b where b.run_id = r.run_id and b.settled_at is null)
    """
)

_SUMMARY = text(
    """
    select r.run_id, r.state,
        (select count(*) from catalog_batch b where b.run_id = r.run_id) as batches,
        (select count(*) from catalog_batch b where b.run_id = r.run_id and b.settled_at is not null
            and b.state <> 'DONE') as batches_failed,
        count(i.item_sku) as items_sent,
        count(i.item_sku) filter (where i.status = 'ACCEPTED') as accepted,
        count(i.item_sku) filter (where i.status = 'REJECTED') as rejected
    from catalog_run r
    left join catalog_batch b on b.run_id = r.run_id and b.sent_at is not null
    left join catalog_batch_item i on i.batch_id = b.batch_id
    where r.run_id = :run group by r.run_id
    """
)
