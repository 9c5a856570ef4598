"""The intra-day files: one per store and 15-minute window, each with the orders updated in the hour before its end."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from jwo_sandbox import faults, instants, planting
from jwo_sandbox.aws_resources import REPORTS_BUCKET, REPORTS_TOPIC
from jwo_sandbox.books import Books
from jwo_sandbox.faults import FaultPlan
from jwo_sandbox.minor_amounts import to_decimal
from jwo_sandbox.outbox import Outbox
from jwo_sandbox.planting import COLUMNS
from jwo_sandbox.retailer_files import Store

SUBJECT = "Amazon S3 Notification"
COVERS = instants.HOUR
_NEVER_SHOWN = ("MISSING_ORDER", "INCOMPLETE_ORDER")
REWRITTEN_AFTER = 2 * instants.WINDOW
"""How much later a file is written again, when the plan says so."""


@dataclass
class Reporting:
    """Writes the files of windows as they close, and announces them."""

    books: Books
    outbox: Outbox
    stores: dict[str, Store]
    plan: FaultPlan
    _made: dict[str, tuple[int, list[list[str]]]] = field(default_factory=dict)

    def next_window(self) -> int | None:
        """End of the earliest window that has no file yet; None where no store takes files."""
        ends = [self._next_of(store) for store in self._stores()]
        return min(ends) if ends else None

    def close_windows(self, window_end: int) -> None:
        """Write the files of the window that ends at this moment, and again those that are due to be rewritten."""
        with self.books:
            for store in self._stores():
                if self._next_of(store) == window_end:
                    self._write(store, window_end, updated_to=window_end, version=1, announced_at=window_end)
                    earlier = window_end - REWRITTEN_AFTER
                    if self._fault(store, earlier) == faults.REWRITTEN and self._has_file(store, earlier):
                        self._write(store, earlier, updated_to=window_end, version=2, announced_at=window_end)

    def start(self, moments: dict[str, int]) -> None:
        """From when on each store has files: the beginning of a day of its own."""
        self.books.keep("first_window", moments)

    def _stores(self) -> list[Store]:
        return [store for store in self.stores.values() if "FILES" in store.feeds]

    def _next_of(self, store: Store) -> int:
        last = self.books.count("select max(window_end) from window_file where store_id = ?", (store.store_id,))
        return (last or self.books.setting("first_window")[store.store_id]) + instants.WINDOW

    def _has_file(self, store: Store, window_end: int) -> bool:
        found = self.books.count(
            "select count(*) from window_file where store_id = ? and window_end = ?", (store.store_id, window_end)
        )
        return found == 1

    def _fault(self, store: Store, window_end: int) -> str | None:
        return self.plan.fault(f"{store.store_id}|{window_end}", "file", 1)

    def _write(self, store: Store, window_end: int, *, updated_to: int, version: int, announced_at: int) -> None:
        orders = self.books.all(
            "select * from trip where store_id = ? and stage = 'LEFT' and updated_at > ? and updated_at <= ?"
            " order by updated_at, order_id",
            (store.store_id, window_end - COVERS, updated_to),
        )
        rows = [row for order in orders for row in self._rows(order)]
        fault = self._fault(store, window_end)
        if fault == faults.BROKEN_ROW and rows:
            rows.append([*rows[-1][:11], "12,x", *rows[-1][12:]])
        sequence = self.books.count("select count(*) from window_file") + 1
        key = f"{store.merchant}/{store.store_id}/orders_{instants.to_datetime(window_end):%Y%m%d_%H%M}.csv"
        record = {
            "store_id": store.store_id,
            "window_end": window_end,
            "version": version,
            "key": key,
            "sequencer": f"{0x0065E000000000 + sequence:016X}",
            "orders": len(orders),
            "lines": len(rows),
            "announcements": 2 if fault == faults.ANNOUNCED_TWICE else 1,
        }
        self.books.insert("window_file", [record])
        self.outbox.submit(self._deliver, record, _csv(rows), announced_at)

    def _rows(self, order: sqlite3.Row) -> list[list[str]]:
        """An order's rows; they are made once for all files that show it in the same state."""
        trip_id, updated_at = order["shopping_trip_id"], order["updated_at"]
        made_at, rows = self._made.get(trip_id, (0, []))
        if made_at != updated_at:
            lines = self.books.all("select * from line where shopping_trip_id = ? order by line_number", (trip_id,))
            rows = self._planted(order, _order_rows(order, lines))
            self._made[trip_id] = (updated_at, rows)
        return rows

    def _planted(self, order: sqlite3.Row, rows: list[list[str]]) -> list[list[str]]:
        """With the breaks in them that the plan has for this trip, once it is settled; the truth is kept."""
        trip_id = order["shopping_trip_id"]
        kinds = [kind for kind in self.plan.reports(trip_id) if kind in planting.KINDS | planting.AS_IT_IS]
        if not kinds or self._is_told_first(order, kinds):
            return rows
        bent, truths = planting.plant(rows, kinds, day=order["business_date"])
        for number in range(len(kinds)):
            if truths:
                self.books.keep(f"planted {trip_id} {number}", truths[number].as_json())
            else:  # what has become of the order since has mended it
                self.books.execute("delete from setting where name = ?", (f"planted {trip_id} {number}",))
        return bent

    def _is_told_first(self, order: sqlite3.Row, kinds: list[str]) -> bool:
        """Whether the plan wants the retailer to see the settled order as it is before the break."""
        if not self.plan.planted_after_minutes or not planting.KINDS.difference(_NEVER_SHOWN).issuperset(kinds):
            return False
        since = self.books.setting(f"planted from {order['shopping_trip_id']}")
        return since is None or order["updated_at"] < since

    def _deliver(self, record: dict[str, Any], body: bytes, announced_at: int) -> None:
        """Runs in a thread of the outbox."""
        etag, version_id = self.outbox.put_object(record["key"], body)
        s3_object = {
            "key": quote_plus(record["key"], safe="/"),
            "size": len(body),
            "eTag": etag,
            **({"versionId": version_id} if version_id and version_id != "null" else {}),
            "sequencer": record["sequencer"],
        }
        event = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventTime": instants.text(announced_at),
            "eventName": "ObjectCreated:CompleteMultipartUpload",
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "intra-day",
                "bucket": {"name": REPORTS_BUCKET, "arn": f"arn:aws:s3:::{REPORTS_BUCKET}"},
                "object": s3_object,
            },
        }
        for _ in range(record["announcements"]):
            self.outbox.publish(REPORTS_TOPIC, json.dumps({"Records": [event]}), SUBJECT)


def _order_rows(order: sqlite3.Row, lines: list[sqlite3.Row]) -> list[list[str]]:
    currency = order["currency"]

    def money(minor: int) -> str:
        return format(to_decimal(minor, currency), "f")

    first = [
        *(order[name] for name in ("order_id", "shopping_trip_id", "store_id", "order_status", "entry_method")),
        instants.text(order["started_at"]),
        instants.text(order["ended_at"]),
    ]
    last = [
        currency,
        money(sum(line["total"] for line in lines)),
        *(money(order[name]) for name in ("authorized", "captured", "refunded")),
        *(order[name] for name in ("card_brand", "card_last_four", "reconciliation_id")),
        instants.text(order["updated_at"]),
    ]
    return [
        [
            *first,
            str(line["line_number"]),
            line["item_sku"],
            line["quantity"],
            line["unit"],
            money(line["total"] - line["tax_amount"]),  # before tax, whether it is on top or inside
            money(line["tax_amount"]),
            line["list_price"] or money(0),
            money(line["promotion_amount"]),
            *last,
        ]
        for line in lines
    ]


def _csv(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return out.getvalue().encode()
