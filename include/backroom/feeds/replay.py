"""Taking in again from our own copies: files with rows in quarantine, or a whole business day of a store."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, Engine, Row, text

from backroom.errors import BackroomError
from backroom.feeds.aws import Aws
from backroom.feeds.intraday import FileResult, ingest_all, read_ahead
from backroom.feeds.judging import judge
from backroom.feeds.staging import clear, prepare, stage
from backroom.orders.merge import merge
from backroom.stores.registry import get_store

_READERS = 4


class NotReplayable(BackroomError):
    """There are no copies to rebuild from; nothing was changed."""


@dataclass(frozen=True)
class Replayed:
    """A day after its rebuilding. `same`: every row is as it was before."""

    files: int
    orders: int
    lines: int
    same: bool


def retryable(connection: Connection, *, store_id: str = "", file_id: int | None = None) -> list[int]:
    """Files with rows that wait in quarantine, and failed files of which we have a copy, the oldest first."""
    found = connection.execute(
        text(
            "select file_id from feed_file f where copy_key is not null and (:store = '' or store_id = :store"
            " or (store_id is null and split_part(key, '/', 2) = :store))"
            " and (cast(:file as bigint) is null or file_id = :file)"
            " and (state = 'FAILED' or exists (select from feed_quarantine q where q.file_id = f.file_id"
            " and q.state = 'WAITING')) order by announced_at, file_id"
        ),
        {"store": store_id, "file": file_id},
    )
    return list(found.scalars())


def retry(engine: Engine, aws: Aws, *, file_ids: Sequence[int], now: datetime) -> list[FileResult]:
    """Take these files from our copies anew. What a retried row brings obeys the same versions as any other.

    Rows that hold now are RETRIED; those that still break a rule wait on. Raises botocore's errors.
    """
    return ingest_all(engine, aws, file_ids=file_ids, now=now, again=True)


def replay_day(engine: Engine, aws: Aws, *, store_id: str, business_date: date) -> Replayed:
    """Rebuild the orders of a store's day from our copies, in one transaction; the same copies give the same rows.

    Where rows differ, the day is released again as a correction and lands again. Raises NotReplayable, and botocore's
    errors; then nothing has changed.
    """
    day = {"store": store_id, "day": business_date}
    with engine.begin() as connection, ThreadPoolExecutor(_READERS) as readers:
        prepare(connection)
        store = get_store(connection, store_id)
        if store is None:
            raise NotReplayable(f"{store_id!r} is not a store of ours; see `backroom stores list`")
        connection.execute(text("select pg_advisory_xact_lock(hashtext('orders ' || :store))"), day)
        files = _files(connection, day)
        before = connection.execute(_FINGERPRINT, day).one()
        for statement in _FORGET_ORDERS:
            connection.execute(text(statement), day)
        for file_id, content in read_ahead(readers, aws, list(files), {one: f.copy_key for one, f in files.items()}):
            file = files[file_id]
            with content:
                stage(connection, content, store_id=store_id, currency=store.currency)
            judge(connection, file_id=file_id, store_id=store_id, currency=store.currency, keep=False)
            connection.execute(_OTHER_DAYS, {**day, "zone": store.time_zone})
            merge(
                connection,
                file_id=file_id,
                window_end=file.window_end,
                sequencer=file.sequencer,
                time_zone=store.time_zone,
            )
            clear(connection)
        after = connection.execute(_FINGERPRINT, day).one()
        connection.execute(text("drop table replayed_order"))
        if tuple(before) != tuple(after):
            connection.execute(_CHANGED, day)
        return Replayed(len(files), after.orders, after.lines, tuple(before) == tuple(after))


def _files(connection: Connection, day: dict[str, object]) -> dict[int, Row]:
    files = {row.file_id: row for row in connection.execute(_FILES, day)}
    if not files:
        raise NotReplayable(f"no file that we took in speaks of {day['store']}, {day['day']}")
    if lost := [row.file_id for row in files.values() if row.copy_key is None]:
        raise NotReplayable(f"of {len(lost)} files of {day['store']}, {day['day']} there is no copy, such as {lost[0]}")
    return files


_FILES = text(
    """
    select f.file_id, f.copy_key, f.window_end, f.sequencer from (
        select file_id from feed_file_day where store_id = :store and business_date = :day
        union select l.file_id from amazon_order o join amazon_order_line l using (store_id, order_id)
        where o.store_id = :store and o.business_date = :day
    ) spoken_of left join feed_file f using (file_id) order by f.ingested_at, f.announced_at, f.file_id
    """
)
_FINGERPRINT = text(
    """
    select (select count(*) from amazon_order where store_id = :store and business_date = :day) as orders,
        (select sum(hashtextextended(cast(o as text), 0)) from amazon_order o
            where store_id = :store and business_date = :day),
        count(*) as lines,
        sum(hashtextextended(cast(row(l.order_id, l.line_number, l.item_sku, l.quantity, l.unit, l.list_price, l.price,
            l.promotion, l.tax, l.updated_at, l.window_end, l.sequencer, l.dropped) as text), 0))
    from amazon_order o join amazon_order_line l using (store_id, order_id)
    where o.store_id = :store and o.business_date = :day
    """
)
_FORGET_ORDERS = (
    "create temporary table replayed_order on commit drop as"
    " select store_id, order_id from amazon_order where store_id = :store and business_date = :day",
    "delete from amazon_order_line l using replayed_order r where (l.store_id, l.order_id) = (r.store_id, r.order_id)",
    "delete from amazon_order o using replayed_order r where (o.store_id, o.order_id) = (r.store_id, r.order_id)",
)
# Files overlap days: of each, only the orders of this day, and those that were in it.
_OTHER_DAYS = text(
    """
    delete from staged_line s
    where cast(s.trip_ended_at at time zone :zone as date) <> :day
        and not exists (select from replayed_order r where (r.store_id, r.order_id) = (s.store_id, s.order_id))
    """
)
_CHANGED = text(
    "update feed_file_day set to_release = true, to_land = true where store_id = :store and business_date = :day"
)
