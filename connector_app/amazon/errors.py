"""Whatever goes wrong, Amazon gets `{"errorMsg": "<field>: …"}` and a status that tells whether to try again."""

from __future__ import annotations

import json

import psycopg
import structlog
from flask import Flask, Response, g, request
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from backroom.db.together import TookTooLong
from connector_app.amazon.limits import AtCapacity

log = structlog.get_logger("connector")


LOST = (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError)
"""What is raised where the database does not answer, or not in time."""


class RequestRefused(Exception):
    """The call can't be taken as it is. `message` reads `<field>: <what is wrong>` and never quotes a value."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def envelope(status: int, message: str) -> Response:
    """Amazon's error envelope (ours inbound)."""
    return Response(json.dumps({"errorMsg": message}), status, content_type="application/json")


def register(app: Flask) -> None:
    """Makes the app answer every error in the envelope."""
    app.register_error_handler(RequestRefused, _refused)
    app.register_error_handler(HTTPException, _http)
    for crowded in (AtCapacity, TookTooLong):
        app.register_error_handler(crowded, _at_capacity)
    for lost in LOST:
        app.register_error_handler(lost, _database_lost)
    app.register_error_handler(Exception, _unforeseen)


def _refused(error: RequestRefused) -> Response:
    g.outcome = "REFUSED"
    return envelope(error.status, error.message)


def _http(error: HTTPException) -> Response:
    answer = envelope(error.code or 500, f"request: {error.name.lower()}")
    if error.code == 405:
        answer.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
    return answer


def _at_capacity(_error: Exception) -> Response:
    """429 at the gate, which stays fast for those it takes; 503 for a cart, which then is sent again."""
    g.outcome = "AT_CAPACITY"
    return envelope(503 if request.blueprint == "order" else 429, "service: at capacity, try again")


def _database_lost(error: Exception) -> Response:
    """503 for a cart (sent again, never lost); 500 at the gate, which then follows the store's default decision."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    reason = [] if isinstance(error, PoolTimeout) else str(cause).strip().splitlines()[:1]
    log.error("database", reason=reason[0] if reason else "no connection was free", exc_info=error)
    g.outcome = "DATABASE_LOST"
    return envelope(503 if request.blueprint == "order" else 500, "service: unavailable, try again")


def _unforeseen(error: Exception) -> Response:
    log.error("unforeseen", exc_info=error)
    g.outcome = "FAILED"
    return envelope(500, "service: internal error")
