"""The sandbox's one HTTP server: Amazon's APIs (signed) and the control API (open, on 127.0.0.1)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from jwo_sandbox import faults, instants, signing
from jwo_sandbox.accounts import books_of, progress_of, summary_of
from jwo_sandbox.aws_resources import REPORTS_BUCKET
from jwo_sandbox.configuration import Configuration, ConfigurationError
from jwo_sandbox.json_http import Endpoint, body_of, json_answer, wrong
from jwo_sandbox.outside import HeldCalls
from jwo_sandbox.outside_routes import outside_routes
from jwo_sandbox.payments import Answer
from jwo_sandbox.play import AlreadyPlaying, Player
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
    "/v1/catalog/cart/upload": "catalog_upload",
    "/v1/catalog/archive": "catalog_archive",
    "/v1/catalog/getCatalogUploadStatus": "catalog_status",
}
SLOW_SECONDS = 0.3
_connections: dict[Any, asyncio.Transport] = {}


def serve(configuration: Configuration) -> None:
    """Serve until the process ends. Raises ConfigurationError when the port is taken or a key is missing."""
    if configuration.checks_signatures and not configuration.secret_access_key:
        raise ConfigurationError(
            "BACKROOM_AMAZON_SECRET_ACCESS_KEY is not set: the sandbox checks signatures with it"
            " (or set BACKROOM_SANDBOX_AUTH=off)"
        )
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((configuration.host, configuration.port))
    except OSError as error:
        raise ConfigurationError(
            f"port {configuration.port} is taken: end what listens there, or set BACKROOM_SANDBOX_PORT"
        ) from error
    server(configuration).run(sockets=[listener])


def server(configuration: Configuration) -> uvicorn.Server:
    """The server, not yet running."""
    return uvicorn.Server(
        uvicorn.Config(
            create_app(Sandbox(configuration)),
            http=_Protocol,
            ws="none",
            log_level="warning",
            access_log=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=2,
        )
    )


def create_app(sandbox: Sandbox) -> Starlette:
    """The app over one sandbox."""
    player, held = Player(sandbox), HeldCalls()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        ticking = asyncio.create_task(_tick(sandbox, player))
        yield
        ticking.cancel()
        sandbox.close()

    routes = [Route(path, _amazon(sandbox, held, operation), methods=["POST"]) for path, operation in _operations()]
    routes += [
        Route(f"/{REPORTS_BUCKET}/{{key:path}}", _report(sandbox), methods=["GET"]),
        Route("/healthz", _ready(sandbox)),
        Route("/readyz", _ready(sandbox)),
        Route("/sandbox/load", _load(sandbox, player), methods=["POST"]),
        Route("/sandbox/clock", _clock(sandbox, player), methods=["GET", "POST"]),
        Route("/sandbox/advance", _advance(player), methods=["POST"]),
        Route("/sandbox/progress", _progress(sandbox, player)),
        Route("/sandbox/books", _books(sandbox)),
        Route("/sandbox/summary", _summary(sandbox)),
        Route("/sandbox/trips", _trips(sandbox), methods=["POST"]),
        *outside_routes(sandbox, held),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _operations() -> list[tuple[str, str]]:
    return [*PAYMENT_PATHS.items(), *CATALOG_PATHS.items()]


def _amazon(sandbox: Sandbox, held: HeldCalls, operation: str) -> Endpoint:
    configuration = sandbox.configuration

    async def endpoint(request: Request) -> Response:
        body = await request.body()
        if configuration.checks_signatures:
            try:
                signing.verify(
                    request.method,
                    str(request.url),
                    {name.lower(): value for name, value in request.headers.items()},
                    body,
                    key_id=configuration.access_key_id,
                    secret=configuration.secret_access_key,
                    now=datetime.now(UTC),
                )
            except signing.BadSignature as error:
                return json_answer(403, {"errorMsg": f"Forbidden: {error}"})
        service = sandbox.catalog if operation.startswith("catalog_") else sandbox.payments
        answer = service.call(operation, body)
        sandbox.outbox.send_events(sandbox.events.take())
        if answer.lost:
            if answer.lost in (faults.HANGS_AFTER, faults.SLOW_AFTER):
                number = held.hold(request.client.port if request.client else 0, operation, answer.lost)
                slow = answer.lost == faults.SLOW_AFTER
                try:
                    await asyncio.sleep(SLOW_SECONDS if slow else configuration.hang_seconds)
                finally:
                    held.release(number)
                if slow:
                    return _send(answer)
            return _NoAnswer()
        return _send(answer)

    return endpoint


def _report(sandbox: Sandbox) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        found = sandbox.catalog.report(str(request.url))
        if isinstance(found, bytes):
            return Response(found, media_type="application/json")
        message = (found.body or {})["errorMsg"]
        text = f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        return Response(text, found.status, media_type="application/xml")

    return endpoint


def _ready(sandbox: Sandbox) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return json_answer(200, {"status": "ok", "clock": instants.text(sandbox.clock.now())})

    return endpoint


def _load(sandbox: Sandbox, player: Player) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        asked = await body_of(request)
        if player.running:
            return wrong(409, "the sandbox is playing")
        try:
            folder, seed = Path(asked["world"]), int(asked.get("seed", 0))
            return json_answer(200, sandbox.load(folder, seed, asked.get("faults", "none")))
        except KeyError as error:
            return wrong(400, f"missing: {error}")
        except (OSError, ValueError, TypeError) as error:
            return wrong(400, f"the world can't be loaded: {error}")

    return endpoint


def _clock(sandbox: Sandbox, player: Player) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if request.method == "POST":
            asked = await body_of(request)
            try:
                await player.move_clock(instants.parse(asked["now"]), running=bool(asked.get("running", False)))
            except AlreadyPlaying as error:
                return wrong(409, str(error))
            except (KeyError, TypeError, ValueError) as error:
                return wrong(400, f"now: {error}")
        return json_answer(200, {"now": instants.text(sandbox.clock.now()), "running": sandbox.clock.running})

    return endpoint


def _advance(player: Player) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        asked = await body_of(request)
        try:
            counts = await player.advance(instants.parse(asked["until"]))
        except AlreadyPlaying as error:
            return wrong(409, str(error))
        except (KeyError, TypeError, ValueError) as error:
            return wrong(400, f"until: {error}")
        return json_answer(200, {**progress_of(player.sandbox, running=False), "played": counts})

    return endpoint


def _progress(sandbox: Sandbox, player: Player) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return json_answer(200, progress_of(sandbox, running=player.running))

    return endpoint


def _books(sandbox: Sandbox) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        asked = request.query_params
        return json_answer(200, {"trips": books_of(sandbox, asked.get("store"), asked.get("date"))})

    return endpoint


def _summary(sandbox: Sandbox) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return json_answer(200, summary_of(sandbox))

    return endpoint


def _trips(sandbox: Sandbox) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        asked = await body_of(request)
        try:
            return json_answer(
                200, {"shoppingTripId": sandbox.live_trip(asked["store_id"], list(asked.get("skus") or []))}
            )
        except (KeyError, TypeError) as error:
            known = ", ".join(sorted(sandbox.files.stores)) or "none: load a world first"
            return wrong(400, f"store_id: {error} is no store (stores: {known})")

    return endpoint


async def _tick(sandbox: Sandbox, player: Player) -> None:
    """While the clock runs by itself, let happen what it reaches."""
    while True:
        await asyncio.sleep(1)
        if sandbox.clock.running and not player.running:
            sandbox.catch_up()


def _send(answer: Answer) -> Response:
    if answer.body is None:
        return Response(b"", answer.status, headers=answer.headers)
    return json_answer(answer.status, answer.body, answer.headers)


class _Protocol(H11Protocol):
    """Knows each connection's transport by its peer, so that an answer can be withheld and the line cut."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _connections[transport.get_extra_info("peername")] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        _connections.pop(self.transport.get_extra_info("peername"), None)
        super().connection_lost(exc)


class _NoAnswer(Response):
    """Cuts the connection instead of answering."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = _connections.get(tuple(scope["client"]))
        if transport is not None:
            transport.abort()
        await asyncio.sleep(0.01)
