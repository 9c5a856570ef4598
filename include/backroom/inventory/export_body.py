"""What the point of sale is told: the same movements as JSON for a call and as CSV for a file. docs/inventory.md."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

CSV_COLUMNS = (
    "export_id", "store_id", "item_sku", "kind", "source", "line_number", "quantity", "unit", "happened_at"
)  # fmt: skip


@dataclass(frozen=True)
class ToldMovement:
    """A movement as it is told. `quantity` in `unit`, below zero where goods leave the store."""

    item_sku: str
    kind: str
    source: str
    line_number: int
    quantity: Decimal
    unit: str
    happened_at: datetime


def as_json(export_id: int, store_id: str, created_at: datetime, movements: Sequence[ToldMovement]) -> str:
    """The body of `POST …/stock-movements`. Quantities are exact text, as in Amazon's carts; instants are UTC."""
    return json.dumps(
        {
            "exportId": str(export_id),
            "storeId": store_id,
            "createdAt": _instant(created_at),
            "movements": [
                {
                    "itemSku": movement.item_sku,
                    "kind": movement.kind,
                    "source": movement.source,
                    "lineNumber": movement.line_number,
                    "quantity": _plain(movement.quantity),
                    "unit": movement.unit,
                    "happenedAt": _instant(movement.happened_at),
                }
                for movement in movements
            ],
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def as_csv(export_id: int, store_id: str, _created_at: datetime, movements: Sequence[ToldMovement]) -> str:
    """The file: a header and one line per movement (RFC 4180, but lines end in a line feed alone)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for movement in movements:
        writer.writerow(
            (
                export_id, store_id, movement.item_sku, movement.kind, movement.source, movement.line_number,
                _plain(movement.quantity), movement.unit, _instant(movement.happened_at),
            )
        )  # fmt: skip
    return text.getvalue()


def _plain(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
