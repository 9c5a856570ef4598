"""A small day, played against a connector: gates, carts, books."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.jwo_sandbox.conftest import Retailer, play_world
from tests.sandbox_fixtures import SandboxClient


@pytest.fixture(scope="module")
def day(sandbox: SandboxClient, fileless_world: Path, retailer: Retailer) -> dict[str, Any]:
    """The day, played to its end without a fault; what advance answered."""
    return play_world(sandbox, fileless_world, retailer)


def books(sandbox: SandboxClient) -> dict[str, dict[str, Any]]:
    return {trip["shopping_trip_id"]: trip for trip in sandbox.get("/sandbox/books")["trips"]}


def scripts(world: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (world / "trips.jsonl").read_text().splitlines()]


def test_a_day_is_played_trip_by_trip(
    sandbox: SandboxClient, small_world: Path, retailer: Retailer, day: dict[str, Any]
) -> None:
    assert (day["trips_total"], day["trips_done"], day["running"]) == (60, 60, False)
    assert day["clock"] == "2026-11-24T12:00:00Z"
    kept = books(sandbox)
    denied = [script for script in scripts(small_world) if script["kind"] in ("DENIED", "FLAGGED")]
    assert len(kept) == 60 - len(denied)
    assert not kept.keys() & {script["shopping_trip_id"] for script in denied}
    sent = {call["idempotentShoppingTripId"]: call for call in retailer.purchases}
    assert sent.keys() == kept.keys()
    for trip_id, trip in kept.items():
        assert [item["id"] for item in sent[trip_id]["cartItems"]] == [line["item_id"] for line in trip["lines"]]
        assert sent[trip_id]["shoppingTrip"]["endTime"] == trip["ended_at"]


def test_the_books_add_up_line_by_line(sandbox: SandboxClient, day: dict[str, Any]) -> None:
    for trip in books(sandbox).values():
        if not trip["priceable"]:
            assert trip["total"] is None
            continue
        for line in trip["lines"]:
            parts = [Decimal(line[name]) for name in ("list_amount", "promotion_amount", "tax_amount", "total")]
            assert parts[0] - parts[1] + parts[2] == parts[3]
            assert sum(Decimal(taken["amount"]) for taken in line["promotions"]) == parts[1]
        assert trip["tax_included_total"] == "0.00"
        assert Decimal(trip["total"]) == sum(Decimal(line["total"]) for line in trip["lines"])
    assert any(Decimal(trip["promotion_total"] or 0) > 0 for trip in books(sandbox).values())


def test_a_denied_shopper_may_tap_a_card_and_both_events_belong_to_the_trip(
    sandbox: SandboxClient, retailer: Retailer, day: dict[str, Any]
) -> None:
    trip = next(trip for trip in books(sandbox).values() if trip["kind"] == "DENIED_THEN_CARD")
    assert (trip["entry_method"], trip["gate_answers"]) == ("CREDIT_CARD", [401])
    call = next(c for c in retailer.purchases if c["idempotentShoppingTripId"] == trip["shopping_trip_id"])
    assert [event["payloadType"] for event in call["shoppingTrip"]["authEvents"]] == ["SCAN_CODE", "FINANCIAL"]


def test_scan_key_codes_are_made_shortly_before_the_gate(retailer: Retailer, day: dict[str, Any]) -> None:
    codes = [call for call in retailer.gate_calls if call["key"].startswith("JWOIMAG")]
    assert codes
    for call in codes:
        made = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(call["key"][7:18], 16))
        age = datetime.fromisoformat(call["authEvent"]["timestamp"]) - made
        assert timedelta(0) <= age <= timedelta(seconds=30)
        assert len(call["key"]) == 39


def test_repeated_calls_are_the_same_byte_for_byte(
    sandbox: SandboxClient, small_world: Path, retailer: Retailer, day: dict[str, Any]
) -> None:
    repeated = {s["shopping_trip_id"] for s in scripts(small_world) if s["repeat"]["purchases"]} & books(sandbox).keys()
    assert repeated
    for trip_id in repeated:
        first, second = (c for c in retailer.purchases if c["idempotentShoppingTripId"] == trip_id)
        assert first == second
        assert books(sandbox)[trip_id]["purchase_answers"] == [201, 201]
    assert sandbox.get("/sandbox/summary")["answers_that_differ"] == []


def test_the_summary_counts_what_happened(sandbox: SandboxClient, day: dict[str, Any]) -> None:
    summary = sandbox.get("/sandbox/summary")
    assert summary["trips"]["left"] == len(books(sandbox))
    assert summary["trips"]["by_kind"]["ORDINARY"] == 52
    assert summary["trips"]["unpriceable"] == 1
    assert summary["forbidden"] == []
    assert summary["not_sent"] == []
