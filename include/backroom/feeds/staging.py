"""A file's rows as text in a temporary table, judged there: each bad row gets the first rule that it breaks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

import psycopg
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from backroom.feeds.layout import WrongHeader, columns, positions

_INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$"
_AMOUNT = r"^\d{1,10}(\.\d{1,4})?$"
_QUANTITY = r"^\d{1,10}(\.\d{1,8})?$"  # as many places as a cart may have
_INSTANTS = ("trip_started_at", "trip_ended_at", "updated_at")
_AMOUNTS = (
    "order_total",
    "authorized",
    "captured",
    "refunded",
    "list_price",
    "price",
    "promotion",
    "tax",
)
_SHORT_TEXTS = ("card_brand", "reconciliation_id", "unit")


class Undecodable(ValueError):
    """The file is not UTF-8 CSV."""


def _rules() -> list[tuple[str, str, str]]:
    """(our column, SQL that is true for a bad row, reason). The first that holds is the row's reason."""
    rules = [("order_id", "torn is not null", "the row is torn")]
    for name in ("order_id", "shopping_trip_id", "store_id", "item_sku"):
        rules += [
            (name, f"r.{name} = ''", "is empty"),
            (name, f"length(r.{name}) > 255", "is longer than 255 characters"),
        ]
    rules += [
        ("shopping_trip_id", "r.shopping_trip_id !~ '^[0-9A-Za-z_-]+$'", "may hold letters, digits, - and _ only"),
        ("store_id", "not exists (select from store s where s.store_id = r.store_id)", "is not a store of ours"),
        ("store_id", "r.store_id <> :store", "is another store than the file's"),
        ("status", "r.status not in ('OPEN','SETTLED','CANCELLED','REFUNDED')", "is not a known status"),
        ("entry_method", "r.entry_method not in ('APP','CREDIT_CARD')", "is not a known entry method"),
        ("line_number", r"r.line_number !~ '^[1-9]\d{0,8}$'", "is not a line number"),
        ("currency", "r.currency <> :currency", "is not the store's currency"),
        ("card_last_four", r"r.card_last_four !~ '^(\d{4})?$'", "is not four digits"),
    ]
    for name in _INSTANTS:
        invalid = f"r.{name} !~ '{_INSTANT}' or not pg_input_is_valid(r.{name}, 'timestamptz')"
        rules.append((name, invalid.replace(":", "\\:"), "is not an instant with its time zone"))
    numbers = [(name, _AMOUNT, "four") for name in _AMOUNTS] + [("quantity", _QUANTITY, "eight")]
    for name, pattern, places in numbers:
        rules += [
            (name, f"r.{name} like '-%' and pg_input_is_valid(r.{name}, 'numeric')", "is negative"),
            (name, f"r.{name} !~ '{pattern}'", f"is not a number of at most {places} decimal places"),
        ]
    rules += [(name, f"length(r.{name}) > 255", "is longer than 255 characters") for name in _SHORT_TEXTS]
    return rules


_RULES = _rules()
_OURS = tuple(columns().values())
_TABLE = f"""
create temporary table if not exists staged_order (
    line integer not null, {", ".join(f"{name} text" for name in _OURS)}, torn text, rule integer
) on commit delete rows
"""
# a CASE tries its branches in order, so that a later rule may rely on the earlier ones
_CASES = " ".join(f"when {condition} then {number}" for number, (_, condition, _) in enumerate(_RULES, start=1))
_JUDGE = text(f"update staged_order r set rule = case {_CASES} end")  # noqa: S608 - from the rules above
_QUARANTINE = text(
    f"""
    insert into feed_quarantine (file_id, line, column_name, reason, raw)
    select :file, line, (:names)[rule], coalesce(torn, (:reasons)[rule]),
        jsonb_strip_nulls(jsonb_build_object({", ".join(f"'{theirs}', {ours}" for theirs, ours in columns().items())}))
        || case when length(card_last_four) > 4 then jsonb_build_object('cardLastFourDigits', '(masked)')
            else '{{}}' end
    from staged_order where rule is not null
    on conflict (file_id, line) do nothing
    """.replace("'{{}}'", "'{}'\\:\\:jsonb")  # noqa: S608 - names from our own layout file
).bindparams(bindparam("names", type_=ARRAY(Text)), bindparam("reasons", type_=ARRAY(Text)))


def prepare(connection: Connection) -> None:
    """Make the session's staging table: once per connection."""
    connection.execute(text(_TABLE))


def stage(connection: Connection, content: BinaryIO) -> int:
    """COPY a file's rows into staging, streaming. Returns how many. Raises WrongHeader or Undecodable."""
    lines = io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    try:
        reader = csv.reader(lines, strict=True)
        header = next(reader, None)
        if header is None:
            raise WrongHeader("it is empty: not even a header")
        places = positions(header)
        rows = 0
        with (
            driver.cursor() as cursor,
            cursor.copy(f"copy staged_order (line, {', '.join(_OURS)}, torn) from stdin") as copy,
        ):
            for row in _rows(reader, len(header), places):
                copy.write_row(row)
                rows += 1
        return rows
    except UnicodeDecodeError as error:
        raise Undecodable(f"it is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except csv.Error as error:
        raise Undecodable(f"it is not CSV ({error} at line {reader.line_num})") from error
    finally:
        lines.detach()


def judge(connection: Connection, *, file_id: int, store_id: str, currency: str, keep: bool) -> int:
    """Mark bad rows, quarantine them unless `keep` is false, and take them out. Returns how many there were."""
    connection.execute(_JUDGE, {"store": store_id, "currency": currency})
    if keep:
        connection.execute(
            _QUARANTINE,
            {
                "file": file_id,
                "names": [_theirs(name) for name, _, _ in _RULES],
                "reasons": [reason for _, _, reason in _RULES],
            },
        )
    return connection.execute(text("delete from staged_order where rule is not null")).rowcount


def _theirs(ours: str) -> str:
    return next(theirs for theirs, name in columns().items() if name == ours)


def _rows(reader: Iterator[list[str]], width: int, places: list[int]) -> Iterator[tuple[object, ...]]:
    for values in reader:
        if not values:
            continue
        line = reader.line_num  # type: ignore[attr-defined]
        if len(values) != width:
            kept = [values[place] if place < len(values) else "" for place in places]
            torn: str | None = f"has {len(values)} fields where the header has {width}"
        elif any("\x00" in value for value in values):
            kept, torn = [values[place] for place in places], "holds a NUL character"
        else:
            kept, torn = [values[place].strip() for place in places], None
        yield (line, *(value.replace("\x00", "\ufffd") for value in kept), torn)
