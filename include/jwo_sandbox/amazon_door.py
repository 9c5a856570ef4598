"""Amazon's APIs as plain ASGI, in front of the control API: each call passes here, so nothing stands in its way.

A call's signature is checked, its service asked, and its answer sent, sent late, or withheld.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from jwo_sandbox import exact_json, faults, signing
from jwo_sandbox.outside import HeldCalls
from jwo_sandbox.payments import Answer
from jwo_sandbox.sandbox import Sandbox

PAYMENT_PATHS = {
    "/v1/adjust/charge": "adjust",
    "/v1/cancel/charge": "cancel",
    "/v1/capture/charge": "capture",
    "/v1/refund": "refund",
    "/v1/feedback/payment-status": "payment_status",
    "/v1/payment/transactional-data": "transactional_data",
    "/v1/identity/shopper": "shopper_identity",
}
CATALOG_PATHS = {
    "/v1/catalog/upload": "catalog_upload",
    "/v1/catalog/cart/upload": "catalog_cart_upload",
    "/v1/catalog/archive": "catalog_archive",
    "/v1/catalog/getCatalogUploadStatus": "catalog_status",
}
SLOW_SECONDS: Final = 0.3
_OPERATIONS: Final = PAYMENT_PATHS | CATALOG_PATHS
_JSON: Final = (b"content-type", b"application/json")
_connections: dict[Any, asyncio.Transport] = {}


class AmazonDoor:
    """Serves what is POSTed to Amazon's paths; all else goes to the app behind."""

    def __init__(self, sandbox: Sandbox, held: HeldCalls, behind: ASGIApp) -> None:
        self._sandbox, self._held, self._behind = sandbox, held, behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        operation = _OPERATIONS.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if operation is None:
            await self._behind(scope, receive, send)
            return
        body = await _whole(receive)
        try:
            self._check(scope, body)
        except signing.BadSignature as error:
            await _send(send, Answer(403, {"errorMsg": f"Forbidden: {error}"}))
            return
        sandbox = self._sandbox
        service = sandbox.catalog if operation.startswith("catalog_") else sandbox.payments
        answer = service.call(operation, body)
        sandbox.outbox.send_events(sandbox.events.take())
        if answer.lost in (faults.HANGS_AFTER, faults.SLOW_AFTER):
            await self._keep_back(scope["client"][1], operation, answer.lost)
        if answer.lost in (None, faults.SLOW_AFTER):
            await _send(send, answer)
        else:
            await _cut(scope["client"])

    def _check(self, scope: Scope, body: bytes) -> None:
        """Raises BadSignature."""
        configuration = self._sandbox.configuration
        if not configuration.checks_signatures:
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        signing.verify(
            scope["method"],
            f"{scope['scheme']}://{headers.get('host', '')}{path}{'?' if query else ''}{query}",
            headers,
            body,
            key_id=configuration.access_key_id,
            secret=configuration.secret_access_key,
            now=datetime.now(UTC),
        )

    async def _keep_back(self, port: int, operation: str, fault: str) -> None:
        number = self._held.hold(port, operation, fault)
        slow = fault == faults.SLOW_AFTER
        try:
            await asyncio.sleep(SLOW_SECONDS if slow else self._sandbox.configuration.hang_seconds)
        finally:
            self._held.release(number)


class Protocol(HttpToolsProtocol):
    """Knows each connection's transport by its peer, so that an answer can be withheld and the line cut."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember it."""
        super().connection_made(transport)
        _connections[transport.get_extra_info("peername")] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        _connections.pop(self.transport.get_extra_info("peername"), None)
        super().connection_lost(exc)


async def _whole(receive: Receive) -> bytes:
    message = await receive()
    parts: list[bytes] = [message.get("body", b"")]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _send(send: Send, answer: Answer) -> None:
    content = b"" if answer.body is None else exact_json.dumps(answer.body).encode()
    headers: Sequence[tuple[bytes, bytes]] = [
        *([_JSON] if answer.body is not None else []),
        (b"content-length", str(len(content)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in answer.headers.items()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _cut(client: tuple[str, int]) -> None:
    """End the connection instead of answering."""
    transport = _connections.get(tuple(client))
    if transport is not None:
        transport.abort()
    await asyncio.sleep(0.01)
