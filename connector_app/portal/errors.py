"""Whatever goes wrong, the app gets `{"errorMsg": "<field>: …"}` and a status that tells whether to try again."""

from __future__ import annotations

import json

import structlog
from flask import Flask, Response, g
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

log = structlog.get_logger("portal")


class RequestRefused(Exception):
    """The call can't be taken as it is. `message` reads `<field>: <what is wrong>` and never quotes a value."""

    def __init__(self, status: int, message: str, outcome: str = "REFUSED", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.outcome = outcome
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def envelope(status: int, message: str) -> Response:
    """The same envelope as the connector's."""
    return Response(json.dumps({"errorMsg": message}), status, content_type="application/json")


def register(app: Flask) -> None:
    """Makes the app answer every error in the envelope."""
    app.register_error_handler(RequestRefused, _refused)
    app.register_error_handler(HTTPException, _http)
    for lost in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(lost, _database_lost)
    app.register_error_handler(Exception, _unforeseen)


def _refused(error: RequestRefused) -> Response:
    g.outcome = error.outcome
    answer = envelope(error.status, error.message)
    answer.headers.update(error.headers)
    return answer


def _http(error: HTTPException) -> Response:
    answer = envelope(error.code or 500, f"request: {error.name.lower()}")
    if error.code == 405:
        answer.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
    return answer


def _database_lost(error: Exception) -> Response:
    reason = str(error.orig).strip().splitlines()[:1] if isinstance(error, DBAPIError) and error.orig else []
    log.error("database", reason=reason[0] if reason else "no connection was free", exc_info=error)
    g.outcome = "DATABASE_LOST"
    return envelope(503, "service: unavailable, try again")


def _unforeseen(error: Exception) -> Response:
    log.error("unforeseen", exc_info=error)
    g.outcome = "FAILED"
    return envelope(500, "service: internal error")
