"""What others can ask of the sandbox beside the interface: what changed, where the money is, who waits for an answer.

For a world that is watched from outside: whoever hands over order rows, asks Amazon's support what became of a call,
pays at the till, or looks for the callers whose answers are being kept back.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from jwo_sandbox import exact_json, instants
from jwo_sandbox.conduct import LEFT
from jwo_sandbox.minor_amounts import to_decimal, to_minor
from jwo_sandbox.outbox import KeptOutbox
from jwo_sandbox.payments import TOLD_AGAIN
from jwo_sandbox.sandbox import Sandbox

CAPTURED, DECLINED, NOT_CAPTURED, UNDER_WAY = "CAPTURED", "DECLINED", "NOT_CAPTURED", "UNDER_WAY"
_ORDER = (
    "order_id",
    "shopping_trip_id",
    "store_id",
    "order_status",
    "entry_method",
    "currency",
    "card_brand",
    "card_last_four",
    "reconciliation_id",
)


@dataclass
class HeldCalls:
    """Calls whose effect has happened and whose answer is kept back, by the caller's port."""

    _now: dict[int, dict[str, Any]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=count)

    def hold(self, port: int, operation: str, fault: str) -> int:
        """A caller waits from now on; the number to let them go by."""
        number = next(self._numbers)
        self._now[number] = {"number": number, "port": port, "operation": operation, "fault": fault}
        return number

    def release(self, number: int) -> None:
        """The caller has its answer, or never will."""
        self._now.pop(number, None)

    def now(self) -> list[dict[str, Any]]:
        """Who waits."""
        return list(self._now.values())


def changes_of(sandbox: Sandbox, after: int, events_after: int) -> dict[str, Any]:
    """Orders that changed after a place in the log of changes, and events after a place among those kept.

    `at` and `events_at` are the places to ask from next time.
    """
    changed = sandbox.books.changed
    at = len(changed)
    rows = [sandbox.books.trip(trip_id) for trip_id in dict.fromkeys(changed[after:at])]
    kept = sandbox.outbox.kept if isinstance(sandbox.outbox, KeptOutbox) else []
    return {
        "at": at,
        "orders": [_order(row) for row in rows if row is not None and row["stage"] == LEFT],
        "events_at": len(kept),
        "events": [
            {
                "detail-type": one["DetailType"],
                "time": one["Time"].isoformat(),
                "detail": exact_json.loads(one["Detail"]),
            }
            for one in kept[events_after:]
        ],
    }


def money_of(sandbox: Sandbox) -> dict[str, Any]:
    """What became of every trip's money, as amounts in text, and every call that should not have been made."""
    books = sandbox.books
    till = {row[0]: row[1] for row in books.all("select shopping_trip_id, sum(amount) from till group by 1")}
    reported = {
        row["shopping_trip_id"]: row
        for row in books.all(
            "select shopping_trip_id, total, settled, max(id) from payment_status where status = 'Accepted' group by 1"
        )
    }
    rows = books.all("select * from trip where stage = ?", (LEFT,))
    return {
        "trips": [_money(row, till.get(row["shopping_trip_id"], 0), reported) for row in rows],
        "forbidden": [dict(row) for row in books.all("select * from forbidden order by id")],
        "calls": books.count("select count(*) from call"),
        "faults": {
            f"{row['operation']} {row['fault']}": row["n"]
            for row in books.all(
                "select operation, fault, count(*) as n from call where fault is not null group by 1, 2 order by 1, 2"
            )
        },
    }


def inquire(sandbox: Sandbox, shopping_trip_id: str) -> dict[str, Any]:
    """Amazon's support tells what became of a trip's capture; from then on its caller knows. KeyError: no such trip."""
    books = sandbox.books
    trip = books.trip(shopping_trip_id)
    if trip is None:
        raise KeyError(shopping_trip_id)
    under_way = books.count(
        "select count(*) from due where shopping_trip_id = ? and at is not null and kind <> ?",
        (shopping_trip_id, TOLD_AGAIN),
    )
    if under_way:
        return {"capture": UNDER_WAY}
    last = books.count("select max(id) from call where shopping_trip_id = ?", (shopping_trip_id,))
    books.insert("inquiry", [{"shopping_trip_id": shopping_trip_id, "after_call": last}])
    made = DECLINED if trip["capture_count"] else NOT_CAPTURED
    return {
        "capture": CAPTURED if trip["captured"] > 0 else made,
        "captured": _text(trip["captured"], trip),
        "cancelled": bool(trip["cancelled"]),
    }


def inquire_refund(sandbox: Sandbox, refund_request_id: str) -> dict[str, Any]:
    """Amazon's support tells whether a refund was made."""
    made = sandbox.books.count("select count(*) from refund where refund_request_id = ?", (refund_request_id,))
    return {"refund": "MADE" if made else "NOT_MADE"}


def pay_at_the_till(sandbox: Sandbox, shopping_trip_id: str, amount: Any) -> dict[str, Any]:
    """A shopper pays, in cash or at a terminal; a negative amount is paid back. KeyError: no such trip."""
    trip = sandbox.books.trip(shopping_trip_id)
    if trip is None:
        raise KeyError(shopping_trip_id)
    row = {
        "shopping_trip_id": shopping_trip_id,
        "at": sandbox.clock.now(),
        "amount": to_minor(amount, trip["currency"]),
    }
    sandbox.books.insert("till", [row])
    return {}


def _order(row: sqlite3.Row) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _ORDER},
        "trip_started_at": instants.text(row["started_at"]),
        "trip_ended_at": instants.text(row["ended_at"]),
        "business_date": row["business_date"],
        "order_total": _text(row["total"] or 0, row),
        **{name: _text(row[name], row) for name in ("authorized", "captured", "refunded")},
        "updated_at": instants.text(row["updated_at"]),
    }


def _money(row: sqlite3.Row, till: int, reported: dict[str, sqlite3.Row]) -> dict[str, Any]:
    report = reported.get(row["shopping_trip_id"])
    return {
        "shopping_trip_id": row["shopping_trip_id"],
        "store_id": row["store_id"],
        "answered": "201" in row["purchase_answers"],
        "purchase_id": row["purchase_id"],
        "total": _text(row["total"] or 0, row) if row["priceable"] else None,
        **{name: _text(row[name], row) for name in ("captured", "refunded", "initiated")},
        "capture_count": row["capture_count"],
        "order_status": row["order_status"],
        "cancelled": bool(row["cancelled"]),
        "till": _text(till, row),
        "reported": None if report is None else [_text(report["total"], row), _text(report["settled"], row)],
    }


def _text(minor: int, row: sqlite3.Row) -> str:
    return format(to_decimal(minor, row["currency"]), "f")
