"""Orders as Parquet in our bucket, partitioned by business date and store, for whoever queries with other engines.

One object per day and store, `orders/business_date=2026-03-01/store_id=STORE-001/orders.parquet`, one row per order
line that stands. It is replaced as a whole when the day changes, so a reader never sees half of one.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast
from urllib.parse import quote

import structlog
from sqlalchemy import Connection, Engine, text

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH: Final = 20_000  # rows in memory at once
_IN_MEMORY: Final = 8_000_000  # bytes; a larger file passes through a temporary file
_log = structlog.get_logger()


@dataclass(frozen=True)
class Landed:
    """A day's object. `rows` are order lines."""

    store_id: str
    business_date: date
    key: str
    rows: int


def land_changed_days(engine: Engine, s3: Any, *, bucket: str, prefix: str, max_days: int = 500) -> list[Landed]:
    """Write each (store, day) whose orders have changed since its object was written. Raises botocore's errors.

    A day's mark is taken away in the transaction that reads it and commits after the upload: what changes meanwhile
    marks the day anew, and what was cut off is written again.
    """
    with engine.connect() as connection:
        days = connection.execute(_DUE, {"limit": max_days}).all()
    return [
        _land(engine, s3, bucket=bucket, prefix=prefix, store_id=row.store_id, day=row.business_date) for row in days
    ]


def key_of(prefix: str, store_id: str, business_date: date) -> str:
    """The object's key: Hive's way of naming partitions, which other engines read as columns."""
    return f"{prefix}/business_date={business_date}/store_id={quote(store_id, safe='')}/orders.parquet"


def _land(engine: Engine, s3: Any, *, bucket: str, prefix: str, store_id: str, day: date) -> Landed:
    key = key_of(prefix, store_id, day)
    given = {"store": store_id, "day": day}
    with engine.begin() as connection, tempfile.SpooledTemporaryFile(_IN_MEMORY) as passing:
        connection.execute(text("set transaction isolation level repeatable read"))
        connection.execute(_TAKE, given)
        rows = _write(connection, cast("BinaryIO", passing), given)
        size = passing.tell()
        passing.seek(0)
        s3.put_object(Bucket=bucket, Key=key, Body=passing, ContentLength=size)
    _log.info("orders_landed", key=key, rows=rows)
    return Landed(store_id, day, key, rows)


def _write(connection: Connection, target: BinaryIO, given: dict[str, Any]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, rows = _schema(), 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        found = connection.execution_options(stream_results=True, yield_per=_BATCH).execute(_LINES, given)
        for part in found.partitions():
            columns = list(zip(*part, strict=True))
            writer.write_table(
                pa.table(
                    [pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)],
                    schema=schema,
                )
            )
            rows += len(part)
    return rows


def _schema() -> pa.Schema:
    """Amounts are exact decimals in the order's currency, instants in UTC. The partition's columns are in its key."""
    import pyarrow as pa

    instant, amount = pa.timestamp("us", tz="UTC"), pa.decimal128(14, 4)
    types = {"line_number": pa.int32(), "quantity": pa.decimal128(18, 8)}
    types |= dict.fromkeys(("trip_started_at", "trip_ended_at", "updated_at"), instant)
    types |= dict.fromkeys(
        ("order_total", "authorized", "captured", "refunded", "list_price", "price", "promotion", "tax"), amount
    )
    types["incomplete"] = pa.bool_()
    return pa.schema([(name, types.get(name, pa.string())) for name in _COLUMNS])


_COLUMNS: Final = (
    "order_id", "shopping_trip_id", "status", "entry_method", "trip_started_at", "trip_ended_at", "currency",
    "order_total", "authorized", "captured", "refunded", "card_brand", "card_last_four", "reconciliation_id",
    "incomplete", "line_number", "item_sku", "quantity", "unit", "list_price", "price", "promotion", "tax",
    "updated_at",
)  # fmt: skip
_LINE_COLUMNS: Final = (
    "line_number", "item_sku", "quantity", "unit", "list_price", "price", "promotion", "tax", "updated_at",
)  # fmt: skip
_LINES = text(
    f"select {', '.join(('l.' if name in _LINE_COLUMNS else 'o.') + name for name in _COLUMNS)}"  # noqa: S608
    " from amazon_order o join amazon_order_line l using (store_id, order_id)"
    " where o.store_id = :store and o.business_date = :day and not l.dropped order by o.order_id, l.line_number"
)
_DUE = text("select store_id, business_date from feed_file_day where to_land group by 1, 2 order by 2, 1 limit :limit")
_TAKE = text("update feed_file_day set to_land = false where store_id = :store and business_date = :day and to_land")
