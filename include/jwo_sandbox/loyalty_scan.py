"""A loyalty card scanned at the gate: whose it is, and what it brings."""

from __future__ import annotations

import base64
import json
import sqlite3
from typing import Any

import httpx

from jwo_sandbox import instants
from jwo_sandbox.connector_calls import ConnectorCalls, request_id
from jwo_sandbox.sandbox import LOYALTY

SCAN = "/v1/identity/scan"
DETAILS = "/v1/identity/scan/details"


async def scan_loyalty(calls: ConnectorCalls, trip: sqlite3.Row, card: dict[str, Any]) -> dict[str, str] | None:
    """The scan result to put into the trip, or None; what was answered is kept in the books.

    `card`: {"id" of the scan event, "at", "key"}, as a script has it.
    """
    body = {
        "requestId": request_id(trip["shopping_trip_id"], f"scan {card['id']}"),
        "storeId": trip["store_id"],
        "scanEvent": {
            "id": card["id"],
            "timestamp": card["at"],
            "location": "ENTRY",
            "value": base64.b64encode(card["key"].encode()).decode(),
            "channel": "OPTICAL",
        },
    }
    scanned = _answered((await calls.call(SCAN, body))[0])
    result = _loyalty_result(scanned)
    details: dict[str, Any] = {}
    if result is not None:
        details = _answered((await calls.call(DETAILS, {"storeId": trip["store_id"], "scanResult": result}))[0])
    promotions = details.get("promotionIds")
    calls.sandbox.books.insert(
        "loyalty_scan",
        [
            {
                "scan_event_id": card["id"],
                "shopping_trip_id": trip["shopping_trip_id"],
                "at": instants.parse(card["at"]),
                "action": str(scanned.get("action", "NOT_ANSWERED")),
                "loyalty_id": None if result is None else result["id"],
                "provider": details.get("provider"),
                "promotion_ids": json.dumps(promotions if isinstance(promotions, list) else None),
            }
        ],
        replace=True,
    )
    return result


def _answered(response: httpx.Response | None) -> dict[str, Any]:
    """The body of a 200; empty where nothing can be made of the answer (404: there is nobody who resolves scans)."""
    if response is None or response.status_code != 200:
        return {}
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _loyalty_result(scanned: dict[str, Any]) -> dict[str, str] | None:
    result = scanned.get("scanResult")
    if scanned.get("action") != "ACCEPT" or not isinstance(result, dict) or result.get("type") != LOYALTY:
        return None
    return {"id": str(result["id"]), "type": LOYALTY} if result.get("id") else None
