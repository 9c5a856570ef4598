"""A retailer's connector that remembers what Amazon called it with, and signed calls to Amazon's APIs."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jwo_sandbox import exact_json, signing
from tests.sandbox_fixtures import (
    AMAZON_KEY_ID,
    AMAZON_SECRET,
    CONNECTOR_KEY_ID,
    CONNECTOR_SECRET,
    SandboxClient,
)


@dataclass
class Retailer:
    """Answers the gate by who is known, and remembers every purchase; `answers` are given before the usual ones.

    `card_answers` are given to shopper authorizations by trip, each until the last; a trip without any: 404.
    """

    known: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    gate_calls: list[dict[str, Any]] = field(default_factory=list)
    purchases: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    card_calls: list[dict[str, Any]] = field(default_factory=list)
    card_answers: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    loyalty: dict[str, dict[str, Any]] = field(default_factory=dict)
    scans: list[dict[str, Any]] = field(default_factory=list)

    def forget(self) -> None:
        """Start again."""
        for kept in (self.known, self.tokens, self.gate_calls, self.purchases, self.answers, self.card_calls):
            kept.clear()
        for kept in (self.card_answers, self.loyalty, self.scans):
            kept.clear()

    def learn(self, world: Path) -> None:
        """Know the world's shoppers."""
        for shopper in json.loads((world / "shoppers.json").read_text()):
            if not shopper["flagged"]:
                self.known.update(dict.fromkeys(shopper["keys"], shopper["shopper_id"]))
                self.tokens.update(dict.fromkeys(shopper["tokens"], shopper["shopper_id"]))


class Amazon:
    """Signed calls to the sandbox's side of Amazon."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client()

    def call(self, path: str, body: Any, *, secret: str = AMAZON_SECRET, timeout: float = 3) -> httpx.Response:
        """POST a body (bytes go as they are); a call that the catalog API throttles is tried again."""
        answer = self.call_once(path, body, secret=secret, timeout=timeout)
        while answer.status_code == 429 and path.startswith("/v1/catalog/"):
            time.sleep(0.2)
            answer = self.call_once(path, body, secret=secret, timeout=timeout)
        return answer

    def call_once(self, path: str, body: Any, *, secret: str = AMAZON_SECRET, timeout: float = 3) -> httpx.Response:
        """POST a body, once."""
        content = body if isinstance(body, bytes) else exact_json.dumps(body).encode()
        url = f"{self.url}{path}"
        headers = signing.sign("POST", url, content, key_id=AMAZON_KEY_ID, secret=secret, region="us-east-1")
        return self._client.post(url, content=content, headers=headers, timeout=timeout)


@pytest.fixture(scope="module")
def amazon(sandbox: SandboxClient) -> Amazon:
    return Amazon(sandbox.url)


@pytest.fixture(scope="module")
def retailer(sandbox: SandboxClient) -> Iterator[Retailer]:
    """A connector on the port where the sandbox looks for one."""
    kept = Retailer()
    routes = [
        Route("/v1/identity/identity-keys", _gate(kept), methods=["POST"]),
        Route("/v1/order/purchases", _purchases(kept), methods=["POST"]),
        Route("/v1/fraudandabuse/shopperauthorization", _cards(kept), methods=["POST"]),
        Route("/v1/identity/scan", _scan(kept), methods=["POST"]),
        Route("/v1/identity/scan/details", _details(kept), methods=["POST"]),
    ]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=sandbox.connector_port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield kept
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="session")
def fileless_world(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small world, without intra-day files: time moves faster."""
    return with_feeds(small_world, tmp_path_factory.mktemp("fileless") / "world", {"STORE-001": ["EVENTS"]})


def with_feeds(world: Path, folder: Path, feeds: dict[str, list[str]]) -> Path:
    """A copy of a world whose stores have these feeds and no others."""
    shutil.copytree(world, folder)
    stores = json.loads((folder / "stores.json").read_text())
    changed = [{**store, "feeds": feeds.get(store["store_id"], [])} for store in stores]
    (folder / "stores.json").write_text(json.dumps(changed))
    return folder


def play_world(
    sandbox: SandboxClient,
    world: Path,
    retailer: Retailer,
    *,
    until: str = "2026-11-24T12:00:00Z",
    faults: Any = "none",
) -> dict[str, Any]:
    """Load a world, teach the retailer its shoppers, and play it until a moment."""
    retailer.forget()
    retailer.learn(world)
    sandbox.post("/sandbox/load", {"world": str(world), "seed": 7, "faults": faults})
    answer: dict[str, Any] = sandbox.post("/sandbox/advance", {"until": until})
    return answer


def messages(endpoint: str, queue: str) -> list[dict[str, Any]]:
    """Take every message off a queue."""
    sqs = boto3.client("sqs", endpoint_url=endpoint, region_name="us-east-1")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found = []
    while taken := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        found += [json.loads(message["Body"]) for message in taken]
        for message in taken:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


async def _checked(request: Request) -> bytes:
    body = await request.body()
    headers = {name.lower(): value for name, value in request.headers.items()}
    keys = {"key_id": CONNECTOR_KEY_ID, "secret": CONNECTOR_SECRET}
    signing.verify("POST", str(request.url), headers, body, now=datetime.now(UTC), **keys)
    return body


def _gate(kept: Retailer) -> Callable[[Request], Any]:
    import base64

    async def endpoint(request: Request) -> Response:
        call = json.loads(await _checked(request))
        key = base64.b64decode(call["identityKey"]).decode()
        kept.gate_calls.append({**call, "key": key})
        shopper = kept.known.get(key) or kept.tokens.get(key[18:])
        if shopper is None:
            return JSONResponse({"errorMsg": "unknown key"}, 401)
        kind = "ASSOCIATE" if shopper.startswith("associate") else "SHOPPER"
        return JSONResponse({"visitorDetails": {"id": shopper, "type": kind}})

    return endpoint


def _cards(kept: Retailer) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        call = exact_json.loads(await _checked(request))
        kept.card_calls.append(call)
        planned = kept.card_answers.get(call["shopperInteraction"]["shoppingTripId"], [(404, {"errorMsg": "none"})])
        status, body = planned.pop(0) if len(planned) > 1 else planned[0]
        return Response(exact_json.dumps(body), status, media_type="application/json")

    return endpoint


def _scan(kept: Retailer) -> Callable[[Request], Any]:
    import base64

    async def endpoint(request: Request) -> Response:
        call = json.loads(await _checked(request))
        kept.scans.append(call)
        account = kept.loyalty.get(base64.b64decode(call["scanEvent"]["value"]).decode())
        if account is None:
            return JSONResponse({"action": "REJECT"})
        return JSONResponse({"action": "ACCEPT", "scanResult": {"id": account["loyalty_id"], "type": "LOYALTY"}})

    return endpoint


def _details(kept: Retailer) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        call = json.loads(await _checked(request))
        for account in kept.loyalty.values():
            if call["scanResult"] == {"id": account["loyalty_id"], "type": "LOYALTY"}:
                return JSONResponse({"provider": account["provider"], "promotionIds": account["promotion_ids"]})
        return JSONResponse({"errorMsg": "scanResult: not found"}, 404)

    return endpoint


def _purchases(kept: Retailer) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        call = json.loads(await _checked(request))
        if kept.answers:
            return JSONResponse({"errorMsg": "not now"}, kept.answers.pop(0))
        await asyncio.sleep(0)
        kept.purchases.append(call)
        purchase_id = f"p-{call['idempotentShoppingTripId']}" if call["cartItems"] else ""
        return JSONResponse({"purchaseId": purchase_id}, 201)

    return endpoint
