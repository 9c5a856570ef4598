"""The two calls that come all day, gate events and carts, are answered before Flask's own machinery starts.

That machinery (contexts, hooks, the URL map, response objects) costs as much as a gate's decision. What goes well needs
none of it; whatever does not, a refusal or a failure, is handed to Flask with what was read, and answered there as for
any other path. Which calls are let through is asked in the same place for both ways.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Request, Response, g

from connector_app.amazon.body import CHUNK, JSON, Body, read_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from connector_app.amazon.authentication import Authenticator

Report = Callable[[str, str, str, int, Mapping[str, Any], float], None]
"""Gets method, path, operation, status, facts and when the call began (`time.perf_counter`)."""
_KEPT_AS = "backroom.call"


@dataclass(slots=True)
class Call:
    """A call on its way: what was read of it, what is to be logged of it, and what went wrong."""

    body: Body
    content_type: str
    began: float
    facts: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A JSON body and its status."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Route:
    """A path that is answered here. `room` is its blueprint, by which callers are let through; `work` answers."""

    operation: str
    room: str
    work: Callable[[Call], Reply]


class ShortWay:
    """Goes before the app: answers its routes where all is well, and leaves the rest to it."""

    def __init__(
        self,
        app: WSGIApplication,
        routes: Mapping[str, Route],
        *,
        authenticator: Authenticator,
        largest_body: int,
        report: Report,
    ) -> None:
        """`routes` by their path."""
        self._app = app
        self._routes = routes
        self._authenticator = authenticator
        self._largest_body = largest_body
        self._report = report

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI app."""
        path = environ["PATH_INFO"]
        route = self._routes.get(path) if environ["REQUEST_METHOD"] == "POST" else None
        if route is None:
            return self._app(environ, start_response)
        environ[_KEPT_AS] = call = read_call(environ, self._largest_body)
        if self._authenticator.refusal(environ, route.room, call.body) is not None:
            return self._app(environ, start_response)
        try:
            reply = route.work(call)
        except Exception as error:  # noqa: BLE001 - it is answered by the app's error handlers
            call.error = error
            return self._app(environ, start_response)
        self._report("POST", path, route.operation, reply.status, call.facts, call.began)
        start_response(
            f"{reply.status} {HTTPStatus(reply.status).phrase}",
            [("Content-Type", JSON), ("Content-Length", str(len(reply.body)))],
        )
        return [reply.body]


def read_call(environ: WSGIEnvironment, largest_body: int) -> Call:
    """The call as it was read on the short way; otherwise it is read now."""
    call: Call | None = environ.get(_KEPT_AS)
    if call is not None:
        return call
    began, length = time.perf_counter(), environ.get("CONTENT_LENGTH", "")
    if environ.get("CONTENT_TYPE") == JSON and length.isdecimal() and int(length) <= min(CHUNK, largest_body):
        return Call(Body(environ["wsgi.input"].read(int(length))), JSON, began)
    request = Request(environ, populate_request=False)
    return Call(read_body(request.stream, largest_body), request.mimetype, began)


def reply_of(work: Callable[[Call], Reply]) -> Reply:
    """For the view of a route: raises what went wrong on the short way; answers a call that it left alone."""
    call: Call = g.call
    if call.error is not None:
        raise call.error
    return work(call)


def response(reply: Reply) -> Response:
    """As Flask gives it."""
    return Response(reply.body, reply.status, content_type=JSON)
