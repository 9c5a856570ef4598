"""JSON over HTTP for the control API: bodies in, answers out, numbers exact."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from jwo_sandbox import exact_json

Endpoint = Callable[[Request], Awaitable[Response]]


async def body_of(request: Request) -> dict[str, Any]:
    """The body's object; empty where it is none."""
    try:
        value = exact_json.loads(await request.body() or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def json_answer(status: int, value: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    return Response(exact_json.dumps(value), status, headers=headers, media_type="application/json")


def wrong(status: int, message: str) -> Response:
    """An error with Amazon's envelope."""
    return json_answer(status, {"errorMsg": message})
