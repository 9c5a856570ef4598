"""What the sandbox tells about itself: its books trip by trip, and counts."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from typing import Any

from jwo_sandbox import instants, planting
from jwo_sandbox.conduct import LEFT
from jwo_sandbox.minor_amounts import to_decimal
from jwo_sandbox.payments import IN_STORE
from jwo_sandbox.sandbox import DENIED, Sandbox

ANY = "%"


def books_of(sandbox: Sandbox, store_id: str | None, business_date: str | None) -> list[dict[str, Any]]:
    """Every trip whose gate opened, with its lines, totals, money and calls; amounts are decimal strings."""
    trips = sandbox.books.all(
        "select * from trip where stage in (?, ?) and store_id like ? and business_date like ?"
        " order by ended_at, shopping_trip_id",
        (IN_STORE, LEFT, store_id or ANY, business_date or ANY),
    )
    promotions = _grouped(sandbox.books.all("select * from line_promotion order by line_number, place"))
    lines = _grouped(sandbox.books.all("select * from line order by shopping_trip_id, line_number"))
    calls = _grouped(sandbox.books.all("select * from call order by id"))
    refunds = _grouped(sandbox.books.all("select * from refund order by refund_request_id"))
    cards = _grouped(sandbox.books.all("select * from shopper_authorization order by at, gate_event_id"))
    scans = _grouped(sandbox.books.all("select * from loyalty_scan order by at, scan_event_id"))
    return [
        {
            **_trip(trip, *(found.get(trip["shopping_trip_id"], []) for found in (lines, promotions, calls, refunds))),
            **_entry(trip, *(found.get(trip["shopping_trip_id"], []) for found in (cards, scans))),
        }
        for trip in trips
    ]


def truth_of(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Every break that was planted: kind, trip, line, store, day, amount."""
    kept = sandbox.books.all(
        "select value from setting where name like 'planted %' and name not like 'planted from %' order by name"
    )
    return [json.loads(row["value"]) for row in kept]


def tell_truth(sandbox: Sandbox, shopping_trip_id: str, kind: str) -> dict[str, Any]:
    """Keeps that the retailer has made a mistake of its own with this trip. KeyError: no such trip, or no such kind."""
    trip = sandbox.books.trip(shopping_trip_id)
    if trip is None or kind not in planting.RETAILERS:
        raise KeyError(kind if trip is not None else shopping_trip_id)
    told = planting.Planted(kind, shopping_trip_id, 0, trip["store_id"], trip["business_date"]).as_json()
    sandbox.books.keep(f"planted {shopping_trip_id}", told)
    return told


def summary_of(sandbox: Sandbox) -> dict[str, Any]:
    """Counts over the whole world."""
    books = sandbox.books
    sandbox.catalog.work_all()
    left = "select count(*) from trip where stage = 'LEFT'"
    forbidden = books.all("select shopping_trip_id, operation, at, reason from forbidden order by id")
    injected = books.all("select operation, fault, count(*) as n from call where fault is not null group by 1, 2")
    called = books.all("select operation, coalesce(status, 0) as status, count(*) as n from call group by 1, 2")
    differing = books.all("select name from setting where name like 'differs %' order by name")
    files = books.one(
        "select count(*) as files, sum(announcements) as announced, sum(version > 1) as rewritten, sum(lines) as lines,"
        " sum(lines = 0) as empty from window_file"
    )
    return {
        "clock": instants.text(sandbox.clock.now()),
        "trips": {
            "by_kind": _counts(books.all("select kind, count(*) from trip group by 1 order by 1")),
            "by_stage": _counts(books.all("select stage, count(*) from trip group by 1 order by 1")),
            "by_entry_method": _counts(
                books.all("select entry_method, count(*) from trip where stage = 'LEFT' group by 1 order by 1")
            ),
            "denied": books.count("select count(*) from trip where stage = ?", (DENIED,)),
            "left": books.count(left),
            "with_cart": books.count(
                "select count(distinct shopping_trip_id) from line join trip using (shopping_trip_id)"
            ),
            "unpriceable": books.count(f"{left} and not priceable"),
            "captured": books.count(f"{left} and order_status in ('SETTLED', 'REFUNDED')"),
            "capture_waiting": books.count(f"{left} and capture_count > 0 and order_status = 'OPEN'"),
            "capture_declined_later": books.count(f"{left} and capture_count > 0 and order_status = 'CANCELLED'"),
            "captured_more_than_once": books.count(f"{left} and capture_count > 1"),
            "cancelled": books.count(f"{left} and cancelled"),
            "declined": books.count(f"{left} and declined"),
            "pending_for_ever": books.count("select count(*) from due where kind = 'ADJUST' and at is null"),
        },
        "shopper_authorizations": {
            "admitted": books.count("select count(*) from shopper_authorization where admitted"),
            "refused": books.count("select count(*) from shopper_authorization where not admitted"),
            "reduced": books.count("select count(*) from shopper_authorization where amount < asked"),
            "decided_by": _counts(books.all("select decided_by, count(*) from shopper_authorization group by 1")),
        },
        "loyalty_scans": _counts(books.all("select action, count(*) from loyalty_scan group by 1 order by 1")),
        "duplicates": _duplicates(books.all("select gate_answers, purchase_answers from trip")),
        "answers_that_differ": [row["name"].removeprefix("differs ") for row in differing],
        "faults": [dict(row) for row in injected],
        "calls": [{"operation": r["operation"], "status": r["status"] or None, "count": r["n"]} for r in called],
        "forbidden": [{**dict(row), "at": instants.text(row["at"])} for row in forbidden],
        "files": {name: files[name] or 0 for name in files.keys()} if files else {},  # noqa: SIM118
        "events": [dict(row) for row in books.all("select * from sent_event order by kind, subtype")],
        "catalog": {
            "items": books.count("select count(*) from catalog_item where not archived"),
            "ingestions": _counts(books.all("select status, count(*) from ingestion group by 1")),
            **sandbox.catalog.rate.figures(),
        },
        "not_sent": sandbox.outbox.failures,
    }


def progress_of(sandbox: Sandbox, *, running: bool) -> dict[str, Any]:
    """How far the day has been played."""
    books = sandbox.books
    return {
        "trips_total": books.count("select count(*) from trip where kind <> 'LIVE'"),
        "trips_done": books.count("select count(*) from trip where stage in (?, ?) and kind <> 'LIVE'", (LEFT, DENIED)),
        "files_written": books.count("select count(*) from window_file"),
        "clock": instants.text(sandbox.clock.now()),
        "running": running,
    }


def _trip(
    trip: sqlite3.Row,
    lines: list[sqlite3.Row],
    promotions: list[sqlite3.Row],
    calls: list[sqlite3.Row],
    refunds: list[sqlite3.Row],
) -> dict[str, Any]:
    currency = trip["currency"]

    def amount(minor: int | None) -> str | None:
        return None if minor is None else format(to_decimal(minor, currency), "f")

    return {
        "shopping_trip_id": trip["shopping_trip_id"],
        "store_id": trip["store_id"],
        "business_date": trip["business_date"],
        "kind": trip["kind"],
        "stage": trip["stage"],
        "order_id": trip["order_id"],
        "order_status": trip["order_status"],
        "entry_method": trip["entry_method"],
        "shopper_id": trip["shopper_id"],
        "started_at": instants.text(trip["started_at"]),
        "ended_at": instants.text(trip["ended_at"]),
        "updated_at": instants.text(trip["updated_at"]),
        "currency": currency,
        "lines": [
            {
                "line_number": line["line_number"],
                "item_id": line["item_id"],
                "item_sku": line["item_sku"],
                "quantity": line["quantity"],
                "unit": line["unit"],
                "list_price": line["list_price"],
                **{name: amount(line[name]) for name in ("list_amount", "promotion_amount", "tax_amount", "total")},
                "promotions": [
                    {"promotion_id": one["promotion_id"], "amount": amount(one["amount"])}
                    for one in promotions
                    if one["line_number"] == line["line_number"]
                ],
            }
            for line in lines
        ],
        "priceable": bool(trip["priceable"]),
        **{
            name: amount(trip[name]) if trip["priceable"] else None
            for name in ("list_total", "promotion_total", "tax_total", "total")
        },
        "tax_included_total": amount(_tax_included(trip)) if trip["priceable"] else None,
        **{name: amount(trip[name]) for name in ("held", "authorized", "initiated", "captured", "refunded")},
        "capture_count": trip["capture_count"],
        "cancelled": bool(trip["cancelled"]),
        "declined": bool(trip["declined"]),
        "card_brand": trip["card_brand"],
        "card_last_four": trip["card_last_four"],
        "reconciliation_id": trip["reconciliation_id"],
        "gate_answers": json.loads(trip["gate_answers"]),
        "purchase_answers": json.loads(trip["purchase_answers"]),
        "purchase_id": trip["purchase_id"],
        "payment_calls": [
            {
                "operation": call["operation"],
                "attempt": call["attempt"],
                "at": instants.text(call["at"]),
                "amount": call["amount"],
                "fault": call["fault"],
                "status": call["status"],
                "answer": json.loads(call["answer"]),
            }
            for call in calls
        ],
        "refunds": [
            {"refund_request_id": one["refund_request_id"], "amount": amount(one["amount"])} for one in refunds
        ],
    }


def _tax_included(trip: sqlite3.Row) -> int | None:
    """What of the taxes the list prices hold already."""
    if trip["total"] is None:
        return None
    return int(trip["list_total"] - trip["promotion_total"] + trip["tax_total"] - trip["total"])


def _entry(trip: sqlite3.Row, cards: list[sqlite3.Row], scans: list[sqlite3.Row]) -> dict[str, Any]:
    """What the retailer answered about the trip's card and loyalty card."""
    return {
        "shopper_authorizations": [
            {
                "gate_event_id": card["gate_event_id"],
                "answers": json.loads(card["statuses"]),
                "decided_by": card["decided_by"],
                "admitted": bool(card["admitted"]),
                "asked": format(to_decimal(card["asked"], trip["currency"]), "f"),
                "amount": None if card["amount"] is None else format(to_decimal(card["amount"], trip["currency"]), "f"),
            }
            for card in cards
        ],
        "loyalty_scans": [
            {
                "scan_event_id": scan["scan_event_id"],
                "action": scan["action"],
                "loyalty_id": scan["loyalty_id"],
                "provider": scan["provider"],
                "promotion_ids": json.loads(scan["promotion_ids"]),
            }
            for scan in scans
        ],
    }


def _grouped(rows: list[sqlite3.Row]) -> dict[str, list[sqlite3.Row]]:
    found: dict[str, list[sqlite3.Row]] = {}
    for row in rows:
        found.setdefault(row["shopping_trip_id"], []).append(row)
    return found


def _counts(rows: list[sqlite3.Row]) -> dict[str, int]:
    return {row[0]: row[1] for row in rows}


def _duplicates(rows: list[sqlite3.Row]) -> dict[str, int]:
    found: Counter[str] = Counter({"gate": 0, "purchases": 0})
    for row in rows:
        found["gate"] += len(json.loads(row["gate_answers"])) > 1
        found["purchases"] += len(json.loads(row["purchase_answers"])) > 1
    return dict(found)
