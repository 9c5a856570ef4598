"""Amazon's books: every trip, line, call and file, in SQLite, so that a restart loses nothing.

Moments are milliseconds (UTC), amounts whole minor units of the store's currency. One thread uses the books: that of
the event loop.
"""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

SCHEMA = """
create table if not exists setting (name text primary key, value text not null);
create table if not exists trip (
  shopping_trip_id text primary key, store_id text not null, kind text not null, stage text not null,
  entry_method text not null, started_at integer not null, ended_at integer not null, business_date text not null,
  script text not null, order_id text not null, currency text not null, shopper_id text,
  identity_id text not null,
  card_brand text not null, card_last_four text not null, reconciliation_id text not null,
  gate_answers text not null default '[]', purchase_answers text not null default '[]', purchase_id text,
  priceable integer not null default 1, list_total integer, promotion_total integer, tax_total integer, total integer,
  held integer not null default 0, authorized integer not null default 0, initiated integer not null default 0,
  captured integer not null default 0, capture_count integer not null default 0, refunded integer not null default 0,
  cancelled integer not null default 0, declined integer not null default 0, order_status text not null default 'OPEN',
  updated_at integer not null default 0
);
create index if not exists trip_stage on trip (stage, ended_at);
create index if not exists trip_identity on trip (identity_id);
create index if not exists trip_updated on trip (store_id, updated_at);
create table if not exists line (
  shopping_trip_id text not null, line_number integer not null, item_id text not null, item_sku text not null,
  quantity text not null, unit text not null, list_price text, list_amount integer not null,
  promotion_amount integer not null, tax_amount integer not null, total integer not null,
  primary key (shopping_trip_id, line_number)
);
create table if not exists line_promotion (
  shopping_trip_id text not null, line_number integer not null, place integer not null, promotion_id text not null,
  amount integer not null, primary key (shopping_trip_id, line_number, place)
);
create table if not exists shopper_authorization (
  gate_event_id text primary key, shopping_trip_id text not null, at integer not null, asked integer not null,
  recommended integer not null, statuses text not null, answer text not null, decided_by text not null,
  admitted integer not null, amount integer
);
create table if not exists loyalty_scan (
  scan_event_id text primary key, shopping_trip_id text not null, at integer not null, action text not null,
  loyalty_id text, provider text, promotion_ids text not null
);
create table if not exists due (
  id integer primary key, at integer, kind text not null, shopping_trip_id text not null, amount integer not null
);
create table if not exists call (
  id integer primary key, shopping_trip_id text not null, operation text not null, attempt integer not null,
  at integer not null, amount text, fault text, status integer, answer text
);
create index if not exists call_trip on call (shopping_trip_id, operation);
create table if not exists forbidden (
  id integer primary key, shopping_trip_id text not null, operation text not null, at integer not null,
  reason text not null
);
create table if not exists refund (
  refund_request_id text primary key, shopping_trip_id text not null, amount integer not null, answer text not null
);
create table if not exists payment_status (
  id integer primary key, shopping_trip_id text not null, total integer not null, settled integer not null,
  at text not null, status text not null
);
create table if not exists inquiry (shopping_trip_id text not null, after_call integer not null);
create index if not exists inquiry_trip on inquiry (shopping_trip_id);
create table if not exists till (
  id integer primary key, shopping_trip_id text not null, at integer not null, amount integer not null
);
create index if not exists till_trip on till (shopping_trip_id);
create index if not exists due_trip on due (shopping_trip_id);
create index if not exists due_at on due (at);
create index if not exists payment_status_trip on payment_status (shopping_trip_id);
create index if not exists refund_trip on refund (shopping_trip_id);
create table if not exists window_file (
  store_id text not null, window_end integer not null, version integer not null, key text not null,
  sequencer text not null, orders integer not null, lines integer not null, announcements integer not null,
  primary key (store_id, window_end, version)
);
create table if not exists sent_event (kind text not null, subtype text not null, count integer not null,
  primary key (kind, subtype));
create table if not exists catalog_item (
  store_id text not null, item_sku text not null, body text not null, archived integer not null default 0,
  primary key (store_id, item_sku)
);
create table if not exists ingestion (
  ingestion_id text primary key, kind text not null, status text not null, received_at integer not null,
  polls integer not null default 0, report text not null default '', request blob, worked integer not null default 0
);
create table if not exists report_link (signature text primary key, key text not null, expires_at integer not null);
"""
STATEMENTS_KEPT = 500
TABLES = re.findall(r"create table if not exists (\w+)", SCHEMA)


class Books:
    """One SQLite connection, in autocommit; `with books:` makes one transaction, also around another one."""

    def __init__(self, folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        where = ":memory:" if folder is None else str(folder / "sandbox.sqlite")
        self._connection = sqlite3.connect(
            where, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS_KEPT
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = off")
        self._connection.executescript(SCHEMA)
        self._depth = 0
        self.changed: list[str] = []
        """Trips in the order in which they were changed since this process began, each change once."""

    def __enter__(self) -> Books:
        if self._depth == 0:
            self._connection.execute("begin")
        self._depth += 1
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._connection.execute("commit" if kind is None else "rollback")

    def execute(self, statement: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(statement, values)

    def insert(self, table: str, rows: list[dict[str, Any]], *, replace: bool = False) -> None:
        """Insert rows that have the same columns."""
        if rows:
            columns = list(rows[0])
            verb = "insert or replace" if replace else "insert"
            names, marks = ", ".join(columns), ", ".join(f":{column}" for column in columns)
            self._connection.executemany(f"{verb} into {table} ({names}) values ({marks})", rows)

    def update_trip(self, shopping_trip_id: str, **changes: Any) -> None:
        """Set columns of one trip."""
        columns = ", ".join(f"{column} = :{column}" for column in changes)
        statement = f"update trip set {columns} where shopping_trip_id = :trip"  # noqa: S608
        self._connection.execute(statement, {**changes, "trip": shopping_trip_id})
        self.changed.append(shopping_trip_id)

    def one(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Row | None:
        """The first row, or None."""
        found: sqlite3.Row | None = self._connection.execute(statement, values).fetchone()
        return found

    def all(self, statement: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """All rows."""
        return self._connection.execute(statement, values).fetchall()

    def count(self, statement: str, values: tuple[Any, ...] = ()) -> int:
        """The first value of the first row, as a number; 0 where there is none."""
        row = self.one(statement, values)
        return int(row[0] or 0) if row else 0

    def trip(self, shopping_trip_id: str) -> sqlite3.Row | None:
        """One trip."""
        return self.one("select * from trip where shopping_trip_id = ?", (shopping_trip_id,))

    def setting(self, name: str) -> Any:
        """A value kept over restarts, or None."""
        row = self.one("select value from setting where name = ?", (name,))
        return json.loads(row["value"]) if row else None

    def keep(self, name: str, value: Any) -> None:
        """Keep a value over restarts."""
        self.insert("setting", [{"name": name, "value": json.dumps(value)}], replace=True)

    def clear(self) -> None:
        """Forget everything."""
        for table in TABLES:
            self._connection.execute(f"delete from {table}")  # noqa: S608
        self.changed.clear()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
