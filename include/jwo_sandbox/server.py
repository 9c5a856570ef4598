"""The sandbox's one HTTP server: Amazon's APIs (signed) and the control API (open, on 127.0.0.1)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from jwo_sandbox import exact_json, instants
from jwo_sandbox.accounts import books_of, progress_of, summary_of, tell_truth, truth_of
from jwo_sandbox.amazon_door import AmazonDoor, Protocol
from jwo_sandbox.aws_resources import REPORTS_BUCKET
from jwo_sandbox.configuration import Configuration, ConfigurationError
from jwo_sandbox.json_http import Endpoint, body_of, json_answer, wrong
from jwo_sandbox.outside import HeldCalls
from jwo_sandbox.outside_routes import outside_routes
from jwo_sandbox.payouts import payouts_of
from jwo_sandbox.play import AlreadyPlaying, Player
from jwo_sandbox.processor_api import processor_routes
from jwo_sandbox.sandbox import Sandbox


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
            http=Protocol,
            ws="none",
            log_level="warning",
            access_log=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=2,
        )
    )


def create_app(sandbox: Sandbox) -> ASGIApp:
    """The app over one sandbox."""
    player, held = Player(sandbox), HeldCalls()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        ticking = asyncio.create_task(_tick(sandbox, player))
        yield
        ticking.cancel()
        sandbox.close()

    routes = [
        Route(f"/{REPORTS_BUCKET}/{{key:path}}", _report(sandbox), methods=["GET"]),
        Route("/healthz", _ready(sandbox)),
        Route("/readyz", _ready(sandbox)),
        Route("/sandbox/load", _load(sandbox, player), methods=["POST"]),
        Route("/sandbox/clock", _clock(sandbox, player), methods=["GET", "POST"]),
        Route("/sandbox/advance", _advance(player), methods=["POST"]),
        Route("/sandbox/progress", _progress(sandbox, player)),
        Route("/sandbox/books", _books(sandbox)),
        Route("/sandbox/summary", _summary(sandbox)),
        Route("/sandbox/catalog-rate", _catalog_rate(sandbox)),
        Route("/sandbox/truth", _truth(sandbox), methods=["GET", "POST"]),
        Route("/sandbox/trips", _trips(sandbox), methods=["POST"]),
        *outside_routes(sandbox, held),
        *processor_routes(sandbox.configuration, partial(payouts_of, sandbox)),
    ]
    return AmazonDoor(sandbox, held, Starlette(routes=routes, lifespan=lifespan))


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


def _truth(sandbox: Sandbox) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if request.method == "POST":
            asked = await body_of(request)
            try:
                return json_answer(200, tell_truth(sandbox, asked["trip"], asked["kind"]))
            except KeyError as error:
                return wrong(400, f"trip, kind: {error}")
        lines = "".join(exact_json.dumps(one) + "\n" for one in truth_of(sandbox))
        return Response(lines, media_type="application/jsonl")

    return endpoint


def _summary(sandbox: Sandbox) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return json_answer(200, summary_of(sandbox))

    return endpoint


MOST_TRIPS = 20_000  # asked for at once


def _catalog_rate(sandbox: Sandbox) -> Endpoint:
    """What was seen of the rate, without working through what has come."""

    async def endpoint(_: Request) -> Response:
        return json_answer(200, sandbox.catalog.rate.figures())

    return endpoint


def _trips(sandbox: Sandbox) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        asked = await body_of(request)
        try:
            count = int(asked.get("count", 1))
            if not 1 <= count <= MOST_TRIPS:
                return wrong(400, f"count: from 1 to {MOST_TRIPS}")
            trips = sandbox.live_trips(asked["store_id"], list(asked.get("skus") or []), count)
            return json_answer(200, {"shoppingTripIds": trips} if "count" in asked else {"shoppingTripId": trips[0]})
        except (KeyError, TypeError, ValueError) as error:
            known = ", ".join(sorted(sandbox.files.stores)) or "none: load a world first"
            return wrong(400, f"store_id: {error} is no store (stores: {known})")

    return endpoint


async def _tick(sandbox: Sandbox, player: Player) -> None:
    """While the clock runs by itself, let happen what it reaches."""
    while True:
        await asyncio.sleep(1)
        if sandbox.clock.running and not player.running:
            sandbox.catch_up()
