"""Shoppers at the gate and carts at the exit: what Amazon calls the retailer with, many trips at once."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from jwo_sandbox import instants
from jwo_sandbox.card_entry import decide_on_card
from jwo_sandbox.connector_calls import ConnectorCalls, request_id
from jwo_sandbox.loyalty_scan import scan_loyalty
from jwo_sandbox.payments import IN_STORE
from jwo_sandbox.sandbox import DENIED, WAITING, Sandbox

AT_ONCE = 16
IDENTITY_KEYS = "/v1/identity/identity-keys"
PURCHASES = "/v1/order/purchases"
CODE_PREFIX = "JWOIMAG"


class AlreadyPlaying(RuntimeError):
    """Two may not play at once."""


@dataclass
class Player:
    """Plays the world's trips against the connector."""

    sandbox: Sandbox
    running: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def advance(self, until: int) -> dict[str, Any]:
        """Play the trips that end by `until`, window by window, and move the clock along."""
        if self._lock.locked():
            raise AlreadyPlaying("the sandbox is already playing: ask /sandbox/progress")
        async with self._lock:
            self.running, self.counts = True, Counter()
            try:
                async with httpx.AsyncClient(timeout=30.0, limits=httpx.Limits(max_connections=AT_ONCE)) as client:
                    await self._windows(ConnectorCalls(self.sandbox, client, self.counts), until)
            finally:
                self.running = False
        await asyncio.to_thread(self.sandbox.outbox.flush)
        return dict(self.counts)

    async def move_clock(self, moment: int, *, running: bool) -> None:
        """Move the clock on without playing."""
        if self._lock.locked():
            raise AlreadyPlaying("the sandbox is playing, and moves its clock itself")
        async with self._lock:
            self.sandbox.move_to(moment, running=running)
        await asyncio.to_thread(self.sandbox.outbox.flush)

    async def _windows(self, calls: ConnectorCalls, until: int) -> None:
        books, places = self.sandbox.books, asyncio.Semaphore(AT_ONCE)
        while True:
            moment = min(until, self.sandbox.reporting.next_window() or until)
            trips = books.all(
                "select * from trip where stage in (?, ?) and kind <> 'LIVE' and ended_at <= ? order by ended_at",
                (WAITING, IN_STORE, moment),
            )
            await asyncio.gather(*(self._trip(calls, trip, places) for trip in trips))
            if moment > self.sandbox.clock.now():
                self.sandbox.move_to(moment)
            if moment >= until:
                return

    async def _trip(self, calls: ConnectorCalls, trip: sqlite3.Row, places: asyncio.Semaphore) -> None:
        async with places:
            visit = _Visit(calls, trip)
            if trip["stage"] == WAITING:
                await visit.enter()
            else:
                visit.remember_entry()
            if visit.auth_events:
                await visit.leave()


class _Visit:
    """One trip: its gate calls, then its purchases call."""

    def __init__(self, calls: ConnectorCalls, trip: sqlite3.Row) -> None:
        self._calls, self._trip = calls, trip
        self._sandbox = calls.sandbox
        self._trip_id: str = trip["shopping_trip_id"]
        self._script: dict[str, Any] = json.loads(trip["script"])
        self._shopper_id: str | None = None
        self._held: int | None = None
        self.auth_events: list[dict[str, Any]] = []

    async def enter(self) -> None:
        """Every entry of the trip in turn; denied with no card to tap, there is no trip."""
        answers: list[int | None] = []
        for entry in self._script["entries"]:
            by_card = entry["method"] == "FINANCIAL"
            event = await (self._by_card(entry) if by_card else self._by_app(entry, answers))
            self.auth_events += [event] if event else []
        then_card = self._script.get("then_card")
        if not self.auth_events and then_card and (event := await self._by_card(then_card)):
            self.auth_events = [self._event(self._script["entries"][0]), event]
        changes = {"gate_answers": json.dumps(answers), "shopper_id": self._shopper_id}
        if not self.auth_events:
            self._sandbox.books.update_trip(self._trip_id, stage=DENIED, **changes)
            self._calls.counts["denied"] += 1
            return
        by_app = self.auth_events[0]["payloadType"] == "SCAN_CODE" and self._shopper_id is not None
        changes["entry_method"] = "APP" if by_app else "CREDIT_CARD"
        if "loyalty" in self._script:
            await self._scan_loyalty(self._script["loyalty"])
        self._script["auth_events"] = self.auth_events
        changes["script"] = json.dumps(self._script)
        self._sandbox.open_trip(self._trip_id, self._trip["started_at"], amount=self._held, **changes)

    def remember_entry(self) -> None:
        """The gate opened in an earlier run."""
        self.auth_events = self._script.get("auth_events", [])

    async def leave(self) -> None:
        """The cart is final: tell the retailer, once or as often as the plan says."""
        body = self._purchase()
        fault = self._script.get("repeat", {}).get("purchases") or self._sandbox.plan.fault(
            self._trip_id, "purchases", 1
        )
        responses = await self._calls.call(PURCHASES, body, fault)
        earlier = json.loads(self._trip["purchase_answers"])
        answers = [*earlier, *(response.status_code if response is not None else None for response in responses)]
        created = [response for response in responses if response is not None and response.status_code == 201]
        purchase_ids = sorted({response.json().get("purchaseId", "") for response in created})
        if len(purchase_ids) > 1:
            self._calls.counts["answers_that_differ"] += 1
            self._sandbox.books.keep(f"differs {self._trip_id}", purchase_ids)
        self._sandbox.books.update_trip(
            self._trip_id, purchase_answers=json.dumps(answers), purchase_id=purchase_ids[0] if purchase_ids else None
        )
        if created or (responses[-1] is not None and 400 <= responses[-1].status_code < 500):
            self._sandbox.close_cart(self._trip_id, self._script["cart"], self._trip["ended_at"])
        self._calls.counts["delivered" if created else "not_delivered"] += 1

    async def _by_card(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        """The auth event of a card that the gate opens for; the least amount that was authorized is held."""
        decision = await decide_on_card(self._calls, self._trip, entry, self._gate_fault())
        if not decision.admitted:
            return None
        if decision.amount is not None:
            self._held = decision.amount if self._held is None else min(decision.amount, self._held)
        return self._event(entry)

    async def _by_app(self, entry: dict[str, Any], answers: list[int | None]) -> dict[str, Any] | None:
        """The auth event of a key that the gate opens for."""
        body = {
            "requestId": request_id(self._trip_id, f"gate {entry['id']}"),
            "identityKey": base64.b64encode(_key(entry).encode()).decode(),
            "storeId": self._trip["store_id"],
            "authEvent": {"id": entry["id"], "timestamp": entry["at"], "location": entry.get("location", "ENTRY")},
            "keyChannel": "OPTICAL",
        }
        responses = await self._calls.call(IDENTITY_KEYS, body, self._gate_fault())
        answers += [response.status_code if response is not None else None for response in responses]
        self._calls.check_same(self._trip_id, responses)
        answer = responses[0]
        if answer is None or answer.status_code != 200:
            return None
        visitor = answer.json()["visitorDetails"]
        self._shopper_id = self._shopper_id or visitor["id"]
        return {**self._event(entry), "scanResult": {"id": visitor["id"], "type": visitor["type"]}}

    async def _scan_loyalty(self, card: dict[str, Any]) -> None:
        """The result goes beside the card's entry; where there is none, it is an event of its own."""
        result = await scan_loyalty(self._calls, self._trip, card)
        if result is None:
            return
        by_card = [event for event in self.auth_events if event["payloadType"] == "FINANCIAL"]
        if by_card:
            by_card[0]["scanResult"] = result
        else:
            self.auth_events.append({**self._event({**card, "method": "SCAN_CODE"}), "scanResult": result})

    def _gate_fault(self) -> str | None:
        asked: str | None = self._script.get("repeat", {}).get("gate")
        return asked or self._sandbox.plan.fault(self._trip_id, "gate", 1)

    def _purchase(self) -> dict[str, Any]:
        items = [
            {
                "id": item["id"],
                "type": item["type"],
                "quantity": {"value": item["quantity"], "unit": item["unit"]},
                **({"externalIdentifiers": [{"id": item["barcode"], "type": "UPC"}]} if item.get("barcode") else {}),
                "lineItemId": str(number),
            }
            for number, item in enumerate(self._script["cart"], start=1)
        ]
        by_card = any(event["payloadType"] == "FINANCIAL" for event in self.auth_events)
        identity = {"shopperIdentity": {"id": self._trip["identity_id"] if by_card else ""}}
        return {
            "requestId": request_id(self._trip_id, "purchases"),
            "idempotentShoppingTripId": self._trip_id,
            "storeId": self._trip["store_id"],
            "shoppingTrip": {
                "startTime": self._script["started_at"],
                "endTime": self._script["ended_at"],
                "authEvents": self.auth_events,
            },
            "cartItems": items,
            **identity,
        }

    @staticmethod
    def _event(entry: dict[str, Any]) -> dict[str, Any]:
        location = entry.get("location", "ENTRY")
        return {"id": entry["id"], "timestamp": entry["at"], "location": location, "payloadType": entry["method"]}


def _key(entry: dict[str, Any]) -> str:
    """An opaque key as it is, or a scan key code: prefix, time, token, made `code_age_ms` before the gate."""
    if "key" in entry:
        return str(entry["key"])
    made_at = instants.parse(entry["at"]) - int(entry.get("code_age_ms", 0))
    return f"{entry.get('prefix', CODE_PREFIX)}{made_at:011x}{entry['token']}"
