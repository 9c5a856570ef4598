"""Shoppers at the gate and carts at the exit: what Amazon calls the retailer with, many trips at once."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from jwo_sandbox import faults, instants, signing
from jwo_sandbox.payments import IN_STORE
from jwo_sandbox.sandbox import DENIED, WAITING, Sandbox

AT_ONCE = 16
TRIES = 8
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
IDENTITY_KEYS = "/v1/identity/identity-keys"
PURCHASES = "/v1/order/purchases"
CODE_PREFIX = "JWOIMAG"
NAMES = uuid.UUID("5b8f3f6e-6a0e-4a57-9f0c-6f0b6d9f7c11")
"""Namespace of request ids: the same trip always calls with the same ones."""


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
                    await self._windows(client, until)
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

    async def _windows(self, client: httpx.AsyncClient, until: int) -> None:
        books, places = self.sandbox.books, asyncio.Semaphore(AT_ONCE)
        while True:
            moment = min(until, self.sandbox.reporting.next_window() or until)
            trips = books.all(
                "select * from trip where stage in (?, ?) and kind <> 'LIVE' and ended_at <= ? order by ended_at",
                (WAITING, IN_STORE, moment),
            )
            await asyncio.gather(*(self._trip(client, trip, places) for trip in trips))
            if moment > self.sandbox.clock.now():
                self.sandbox.move_to(moment)
            if moment >= until:
                return

    async def _trip(self, client: httpx.AsyncClient, trip: sqlite3.Row, places: asyncio.Semaphore) -> None:
        async with places:
            visit = _Visit(self, client, trip)
            if trip["stage"] == WAITING:
                await visit.enter()
            else:
                visit.remember_entry()
            if visit.auth_events:
                await visit.leave()


class _Visit:
    """One trip: its gate calls, then its purchases call."""

    def __init__(self, player: Player, client: httpx.AsyncClient, trip: sqlite3.Row) -> None:
        self._player, self._client, self._trip = player, client, trip
        self._sandbox = player.sandbox
        self._trip_id: str = trip["shopping_trip_id"]
        self._script: dict[str, Any] = json.loads(trip["script"])
        self._shopper_id: str | None = None
        self.auth_events: list[dict[str, Any]] = []

    async def enter(self) -> None:
        """Every entry of the trip in turn; denied with no card to tap, there is no trip."""
        answers: list[int | None] = []
        for entry in self._script["entries"]:
            event = self._event(entry)
            if entry["method"] == "FINANCIAL":
                self.auth_events.append(event)
                continue
            answer = await self._at_gate(entry, answers)
            if answer is not None and answer.status_code == 200:
                visitor = answer.json()["visitorDetails"]
                event["scanResult"] = {"id": visitor["id"], "type": visitor["type"]}
                self._shopper_id = self._shopper_id or visitor["id"]
                self.auth_events.append(event)
        denied = not self.auth_events and self._script.get("then_card")
        if denied:
            self.auth_events = [self._event(self._script["entries"][0]), self._event(self._script["then_card"])]
        changes = {"gate_answers": json.dumps(answers), "shopper_id": self._shopper_id}
        if not self.auth_events:
            self._sandbox.books.update_trip(self._trip_id, stage=DENIED, **changes)
            self._player.counts["denied"] += 1
            return
        if denied:
            changes["entry_method"] = "CREDIT_CARD"
        self._script["auth_events"] = self.auth_events
        changes["script"] = json.dumps(self._script)
        self._sandbox.open_trip(self._trip_id, self._trip["started_at"], **changes)

    def remember_entry(self) -> None:
        """The gate opened in an earlier run."""
        self.auth_events = self._script.get("auth_events", [])

    async def leave(self) -> None:
        """The cart is final: tell the retailer, once or as often as the plan says."""
        body = self._purchase()
        fault = self._script.get("repeat", {}).get("purchases") or self._sandbox.plan.fault(
            self._trip_id, "purchases", 1
        )
        responses = await self._call(PURCHASES, body, fault)
        earlier = json.loads(self._trip["purchase_answers"])
        answers = [*earlier, *(response.status_code if response is not None else None for response in responses)]
        created = [response for response in responses if response is not None and response.status_code == 201]
        purchase_ids = sorted({response.json().get("purchaseId", "") for response in created})
        if len(purchase_ids) > 1:
            self._player.counts["answers_that_differ"] += 1
            self._sandbox.books.keep(f"differs {self._trip_id}", purchase_ids)
        self._sandbox.books.update_trip(
            self._trip_id, purchase_answers=json.dumps(answers), purchase_id=purchase_ids[0] if purchase_ids else None
        )
        if created or (responses[-1] is not None and 400 <= responses[-1].status_code < 500):
            self._sandbox.close_cart(self._trip_id, self._script["cart"], self._trip["ended_at"])
        self._player.counts["delivered" if created else "not_delivered"] += 1

    async def _at_gate(self, entry: dict[str, Any], answers: list[int | None]) -> httpx.Response | None:
        body = {
            "requestId": self._request_id(f"gate {entry['id']}"),
            "identityKey": base64.b64encode(_key(entry).encode()).decode(),
            "storeId": self._trip["store_id"],
            "authEvent": {"id": entry["id"], "timestamp": entry["at"], "location": entry.get("location", "ENTRY")},
            "keyChannel": "OPTICAL",
        }
        fault = self._script.get("repeat", {}).get("gate") or self._sandbox.plan.fault(self._trip_id, "gate", 1)
        responses = await self._call(IDENTITY_KEYS, body, fault)
        answers += [response.status_code if response is not None else None for response in responses]
        if len({response.content for response in responses if response is not None}) > 1:
            self._player.counts["answers_that_differ"] += 1
            self._sandbox.books.keep(f"differs {self._trip_id}", [response.text for response in responses if response])
        return responses[0]

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
            "requestId": self._request_id("purchases"),
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

    async def _call(self, path: str, body: dict[str, Any], repeat: str | None) -> list[httpx.Response | None]:
        """Call once, twice one after the other, or twice at the same moment; byte for byte the same body."""
        content = json.dumps(body).encode()
        if repeat == faults.PARALLEL:
            return list(await asyncio.gather(self._until_answered(path, content), self._until_answered(path, content)))
        first = await self._until_answered(path, content)
        return [first, await self._until_answered(path, content)] if repeat == faults.TWICE else [first]

    async def _until_answered(self, path: str, content: bytes) -> httpx.Response | None:
        """The answer; 5xx, 429 and lost connections are tried again with growing pauses. None: nothing came back."""
        configuration = self._sandbox.configuration
        url, response = f"{configuration.connector_url}{path}", None
        for attempt in range(TRIES):
            headers = signing.sign(
                "POST",
                url,
                content,
                key_id=configuration.connector_access_key_id,
                secret=configuration.connector_secret_access_key,
                region=configuration.region,
            )
            try:
                response = await self._client.post(url, content=content, headers=headers)
            except httpx.TransportError:
                self._player.counts["connections_lost"] += 1
            else:
                if response.status_code < 500 and response.status_code != 429:
                    return response
                self._player.counts[f"answered_{response.status_code}"] += 1
            if attempt + 1 < TRIES:
                await asyncio.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))
        return response

    def _request_id(self, purpose: str) -> str:
        return str(uuid.uuid5(NAMES, f"{self._trip_id} {purpose}"))


def _key(entry: dict[str, Any]) -> str:
    """An opaque key as it is, or a scan key code: prefix, time, token, made `code_age_ms` before the gate."""
    if "key" in entry:
        return str(entry["key"])
    made_at = instants.parse(entry["at"]) - int(entry.get("code_age_ms", 0))
    return f"{entry.get('prefix', CODE_PREFIX)}{made_at:011x}{entry['token']}"
