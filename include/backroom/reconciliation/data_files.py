"""The report as data: CSV by PostgreSQL's own COPY, and the same rows as Parquet, typed; streamed.

Rows are in a fixed order and hold no time of writing, so the same data gives the same bytes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection

from backroom.reconciliation import merging
from backroom.reconciliation.sections import SECTIONS

if TYPE_CHECKING:
    import pyarrow as pa

    from backroom.reconciliation.pages import StoreDay

_INSTANT: Final = """to_char({0} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


@dataclass(frozen=True)
class DataSet:
    """One table of data: a query of %(store_id)s and %(day)s, and its columns' types by name; text where none is."""

    name: str
    query: str
    types: dict[str, str]


TRIPS: Final = DataSet(
    "trips",
    f"""
    select t.store_id, t.business_date, t.shopping_trip_id, t.entry_method,
           {_INSTANT.format("p.trip_ended_at")} as ended_at, t.outcome, t.reading, t.matched_by, t.confidence,
           t.their_trip_id, p.state as purchase_state, t.charge_state, t.currency,
           p.list_total - p.tax_included_total as list_total, p.promotion_total, p.tax_total, t.purchase_total,
           t.charge_captured, d.amount as debt, t.order_total, t.order_captured, t.ledger_captured, t.note
    from reconciliation_trip t
    left join purchase p on p.shopping_trip_id = t.shopping_trip_id and p.store_id = t.store_id
    left join debt d on d.shopping_trip_id = t.shopping_trip_id and d.store_id = t.store_id
    where t.store_id = %(store_id)s and t.business_date = %(day)s
    order by t.shopping_trip_id collate "C"
    """,  # noqa: S608 - constants of this file only
    {
        "business_date": "date", "ended_at": "instant", "confidence": "money",
        **dict.fromkeys(
            ("list_total", "promotion_total", "tax_total", "purchase_total", "charge_captured", "debt", "order_total",
             "order_captured", "ledger_captured"), "money"),
    },
)  # fmt: skip
LINES: Final = DataSet(
    "lines",
    """
    select p.store_id, p.business_date, l.shopping_trip_id, l.line_number, l.item_sku, l.quantity, l.unit,
           l.list_price, l.list_amount, l.promotion_amount, l.total - l.tax_amount as net, l.tax_jurisdiction,
           l.tax_rate, l.tax_amount, l.total, p.currency, a.item_sku as order_sku, a.quantity as order_quantity,
           a.price as order_net, a.promotion as order_promotion, a.tax as order_tax
    from purchase p
    join purchase_line l using (shopping_trip_id)
    left join (select o.shopping_trip_id, max(o.order_id) as order_id from amazon_order o
               where o.store_id = %(store_id)s group by 1 having count(*) = 1) o
           on o.shopping_trip_id = p.shopping_trip_id
    left join amazon_order_line a on a.store_id = p.store_id and a.order_id = o.order_id
          and a.line_number = l.line_number and not a.dropped
    where p.store_id = %(store_id)s and p.business_date = %(day)s
    order by l.shopping_trip_id collate "C", l.line_number
    """,
    {
        "business_date": "date", "line_number": "count", "quantity": "quantity", "order_quantity": "quantity",
        "tax_rate": "quantity",
        **dict.fromkeys(
            ("list_price", "list_amount", "promotion_amount", "net", "tax_amount", "total", "order_net",
             "order_promotion", "order_tax"), "money"),
    },
)  # fmt: skip
BREAKS: Final = DataSet(
    "breaks",
    f"""
    select store_id, business_date, shopping_trip_id, line_number, kind, coalesce(resolution, 'OPEN') as state, owner,
           ours, theirs, difference, currency, explanation, {_INSTANT.format("opened_at")} as opened_at,
           {_INSTANT.format("closed_at")} as closed_at, times_opened, resolved_by, resolved_reason
    from reconciliation_break
    where store_id = %(store_id)s and business_date = %(day)s
    order by shopping_trip_id collate "C", line_number, kind
    """,  # noqa: S608 - constants of this file only
    {
        "business_date": "date", "line_number": "count", "times_opened": "count", "difference": "money",
        "opened_at": "instant", "closed_at": "instant",
    },
)  # fmt: skip
KEYS: Final = {
    **merging.KEYS,
    **{section.key: section.keys for section in SECTIONS},
    "days": ("day",),
    "trial_balance": ("account", "detail"),
    "late_changes": ("belongs_to", "shopping_trip_id", "kind", "reference", "account"),
}
"""What names a row of each part of the figures that has rows, also where it looks like a number."""
FIGURES: Final = ("store_id", "first_day", "last_day", "currency", "part", "row", "figure", "value")


def write_of_day(connection: Connection, *, store_id: str, business_date: date, stem: Path) -> list[Path]:
    """`<stem>.trips.csv`, `.trips.parquet`, and the same of lines and breaks; the paths."""
    written = []
    for one in (TRIPS, LINES, BREAKS):
        target = stem.with_name(f"{stem.name}.{one.name}.csv")
        _copy_out(connection, one.query, {"store_id": store_id, "day": business_date}, target)
        written += [target, _as_parquet(target, one.types)]
    return written


def write_figures(days: Sequence[StoreDay], *, stem: Path) -> list[Path]:
    """`<stem>.figures.csv` and `.figures.parquet`: every figure of the report, one a row."""
    target = stem.with_name(f"{stem.name}.figures.csv")
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIGURES)
        for day in days:
            whose = (day.store_id, day.business_date, day.last_date, day.currency)
            writer.writerows((*whose, *row) for row in _figures(day))
    types = {"first_day": "date", "last_day": "date", "value": "money"}
    return [target, _as_parquet(target, types)]


def _figures(day: StoreDay) -> Iterator[tuple[str, str, str, Decimal | int]]:
    """(part, row, figure, value) of everything in the report that is a number."""
    lists = {"days": day.by_day, "trial_balance": day.trial_balance, "late_changes": day.late_changes}
    for part, value in (day.figures | lists).items():
        if part == "sections":
            for name, rows in value.items():
                yield from _of_rows(name, rows, KEYS[name])
        elif isinstance(value, dict) and part != "store":
            yield from _of_rows(part, [value], ())
        elif value and part != "store":
            yield from _of_rows(part, value, KEYS[part])


def _of_rows(
    part: str, rows: Iterable[dict[str, Any]], keys: Sequence[str]
) -> Iterator[tuple[str, str, str, Decimal | int]]:
    for row in rows:
        named = " | ".join("" if row[key] is None else str(row[key]) for key in keys)
        for name, value in row.items():
            if name not in keys and (number := _number(value)) is not None:
                yield part, named, name, number


def _number(value: Any) -> Decimal | int | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    try:
        number = Decimal(value)
    except (ArithmeticError, TypeError, ValueError):
        return None
    return number if number.is_finite() else None


def _copy_out(connection: Connection, query: str, values: dict[str, Any], target: Path) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    with (
        target.open("wb") as file,
        driver.cursor() as cursor,
        cursor.copy(f"copy ({query}) to stdout with (format csv, header)", values) as rows,
    ):
        for block in rows:
            file.write(block)


def _as_parquet(source: Path, types: dict[str, str]) -> Path:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    typed: dict[str, pa.DataType] = {
        "money": pa.decimal128(18, 4),
        "quantity": pa.decimal128(26, 8),
        "count": pa.int64(),
        "date": pa.date32(),
        "instant": pa.timestamp("us", tz="UTC"),
    }
    with source.open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file))
    schema = pa.schema([(name, typed.get(types.get(name, ""), pa.string())) for name in columns])
    target = source.with_suffix(".parquet")
    options = pyarrow.csv.ConvertOptions(
        column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with (
        pyarrow.parquet.ParquetWriter(target, schema, compression="zstd") as writer,
        pyarrow.csv.open_csv(source, convert_options=options, parse_options=parse) as batches,
    ):
        for batch in batches:
            writer.write_batch(batch)
    return target
