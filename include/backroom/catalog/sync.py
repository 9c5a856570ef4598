"""One night's synchronisation: read and compare, send batches, wait for Amazon, record each item's result.

Every call is safe to repeat: an upload replaces whole records, so a batch whose outcome stays unknown is sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, text

from backroom.alerts import raise_alert
from backroom.amazon.catalog import CatalogClient
from backroom.amazon.outcomes import CallFailed
from backroom.catalog import applying, difference, following, guard_rail, notifications, reports, sending, staging
from backroom.catalog.reports import Summary
from backroom.catalog.sending import Batch
from backroom.catalog.source import Source, opened
from backroom.errors import BackroomError
from backroom.settings import Settings, settings
from backroom.stores.registry import all_stores, require_store

WORK_MEMORY: Final = "128MB"  # of each sort and hash join while a source is compared
_LOCK = 5_417_001  # of pg_advisory_xact_lock: one catalog is read, and one difference planned, at a time
_log = structlog.get_logger()


class CatalogRunMissing(BackroomError):
    """There is no run of that id."""


def start_run(
    engine: Engine, *, source: Source, business_date: date, now: datetime, store_id: str | None = None
) -> int:
    """Read the source, judge each row, bring catalog_item up to date, compare. Returns the run's id.

    With `store_id`, that store's rows alone. A store whose source goes beyond the guard rails stays as it was and waits
    for a person. Raises SourceFileError where the source is missing or broken; then the catalog is as it was and the
    run FAILED.
    """
    with engine.begin() as connection:
        require_store(connection, store_id)
        run_id = int(
            connection.execute(
                _START, {"day": business_date, "source": source.place, "now": now, "store": store_id}
            ).scalar_one()
        )
    try:
        with engine.begin() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            read = _take_in(connection, run_id, source, store_id, now)
            found = difference.count(connection, store_id)
            connection.execute(_COMPARED, {"run": run_id, **read.__dict__, **found.__dict__})
            if read.rejected:
                _alert_rejections(connection, run_id, read.rejected, business_date, now)
    except Exception as error:
        reason = str(error) if isinstance(error, BackroomError) else f"{type(error).__name__}; see the task's log"
        with engine.begin() as connection:
            connection.execute(_FAILED, {"run": run_id, "reason": reason, "now": now})
        raise
    _log.info("catalog_compared", run_id=run_id, **found.__dict__, rejected=read.rejected)
    return run_id


def upload(engine: Engine, client: CatalogClient, *, run_id: int, now: datetime) -> list[int]:
    """Write the batches of the difference down and try to send each once. Returns the ids of those that were sent.

    What could not be sent, and what may or may not have arrived, is tried again by `poll`.
    """
    plan(engine, run_id=run_id, now=now)
    return sending.send_due(engine, client, run_id=run_id, now=now)


def plan(engine: Engine, *, run_id: int, now: datetime) -> None:
    """Write the batches of the difference down, once."""
    config = settings()
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        run = connection.execute(_LOCK_RUN, {"run": run_id}).one_or_none()
        if run is None:
            raise _missing(run_id)
        if run.state == "COMPARED":
            connection.execute(_SUPERSEDE, {"run": run_id, "now": now, "store": run.store_id})
            difference.plan_batches(
                connection,
                run_id=run_id,
                size=config.catalog_batch_items,
                archive_retry_days=config.catalog_archive_retry_days,
                now=now,
                store_id=run.store_id,
            )
            connection.execute(text("update catalog_run set state = 'UPLOADING' where run_id = :run"), {"run": run_id})


def poll(
    engine: Engine,
    client: CatalogClient,
    *,
    run_id: int,
    now: datetime,
    box: notifications.Inbox | None = None,
) -> bool:
    """Take the news in, send what is due again, ask about what was sent. True once Amazon is done with all of it.

    What an earlier run has left open is followed up too.
    """
    if box is not None:
        notifications.take_in(engine, box, now=now)
    sending.send_due(engine, client, run_id=run_id, now=now)
    following.ask_for_all(engine, client, run_id=run_id, now=now)
    following.warn_of_late(engine, now=now)
    with engine.connect() as connection:
        return not connection.execute(_ANYTHING_OPEN, {"run": run_id}).scalar_one()


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
    with engine.connect() as connection:
        reported = [Batch(**row._mapping) for row in connection.execute(_REPORTED, {"run": run_id})]
    for batch in reported:
        try:
            reports.apply(engine, client, batch, now=now, fetch=fetch)
        except (reports.ReportMissing, CallFailed) as error:
            if not reports.give_up(engine, batch, str(error), now=now):
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
        raise _missing(run_id)
    return Summary(**{**row._mapping, "held": tuple(row.held)})


def _take_in(
    connection: Connection, run_id: int, source: Source, store_id: str | None, now: datetime
) -> staging.Staged:
    stores = all_stores(connection)
    wanted = [store.store_id for store in stores if store.active and store_id in (None, store.store_id)]
    config: Settings = settings()
    connection.execute(text("select set_config('work_mem', :memory, true)"), {"memory": WORK_MEMORY})
    with opened(source, wanted, store_id) as parts:
        read = staging.stage(
            connection,
            run_id=run_id,
            parts=parts,
            currencies={store.store_id: store.currency for store in stores},
            stores=wanted,
            only_store=store_id,
        )
    limits = guard_rail.Limits(
        config.catalog_archive_percent, config.catalog_change_percent, config.catalog_guard_items
    )
    applying.find_differences(connection, run_id=run_id)
    held = guard_rail.hold_back(connection, run_id=run_id, limits=limits, now=now)
    connection.execute(
        text("update catalog_run set held_stores = :held where run_id = :run"), {"run": run_id, "held": held}
    )
    applying.apply(connection, run_id=run_id)
    return staging.Staged(read, staging.rejected(connection, run_id))


def _missing(run_id: int) -> CatalogRunMissing:
    return CatalogRunMissing(f"there is no catalog run {run_id}; see `backroom catalog status`")


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


_START = text(
    "insert into catalog_run (business_date, source, state, started_at, store_id)"
    " values (:day, :source, 'READING', :now, :store) returning run_id"
)
_COMPARED = text(
    "update catalog_run set state = 'COMPARED', items_read = :read, items_rejected = :rejected, items_new = :new,"
    " items_changed = :changed, items_unchanged = :unchanged, items_gone = :gone, items_refused = :refused"
    " where run_id = :run"
)
_FAILED = text("update catalog_run set state = 'FAILED', reason = :reason, finished_at = :now where run_id = :run")
_LOCK_RUN = text("select state, store_id from catalog_run where run_id = :run for update")

# What an earlier run had not begun to send is in this run's difference, in its newest version. What may have arrived
# stays open until it is known what became of it.
_SUPERSEDE = text(
    "update catalog_batch set state = 'SUPERSEDED', settled_at = :now, reason = 'superseded by run ' || :run"
    " where run_id < :run and settled_at is null and state = 'INTENT'"
    " and (cast(:store as text) is null or store_id = :store)"
)
_ANYTHING_OPEN = text(
    "select exists (select from catalog_batch where run_id <= :run and settled_at is null and state <> 'DONE')"
)
# A link that has lived for nearly its 60 minutes is not tried any more.
_REPORTED = text(
    "select batch_id, run_id, kind, store_id, ingestion_id, tries,"
    " case when link_at > clock_timestamp() - interval '59 minutes' then report_link end as link"
    " from catalog_batch where settled_at is null and run_id <= :run and state = 'DONE' order by batch_id"
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
    select r.run_id, r.state, r.held_stores as held,
        (select count(*) from catalog_batch b where b.run_id = r.run_id) as batches,
        (select count(*) from catalog_batch b where b.run_id = r.run_id and b.settled_at is not null
            and b.state not in ('DONE', 'SUPERSEDED')) as batches_failed,
        count(i.item_sku) as items_sent,
        count(i.item_sku) filter (where i.status = 'ACCEPTED') as accepted,
        count(i.item_sku) filter (where i.status = 'REJECTED') as rejected
    from catalog_run r
    left join catalog_batch b on b.run_id = r.run_id and b.sent_at is not null
    left join catalog_batch_item i on i.batch_id = b.batch_id
    where r.run_id = :run group by r.run_id
    """
)
