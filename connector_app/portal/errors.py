"""Whatever goes wrong, the app gets `{"errorMsg": "<field>: …"}` and a status that tells whether to try again."""

from __future__ import annotations

import json

import structlog
from flask import Flask, Response, g, request
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from connector_app.portal.pages.presenting import problem, words

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


def _for_a_person() -> bool:
    """Whether a page is expected rather than the app's envelope."""
    of_a_page = request.blueprint is not None and request.blueprint.startswith("pages_")
    return of_a_page or (request.blueprint is None and "text/html" in request.headers.get("Accept", ""))


def _page(status: int) -> Response:
    """What a person reads. It asks nothing of the database, which may be what is away."""
    g.visitor = None
    headline, text = {
        403: (words("That did not come from our page"), words("Go back, load the page again, and try once more.")),
        404: (words("There is nothing here"), words("The page may have moved, or you are not signed in for it.")),
        405: (words("There is nothing here"), words("Begin at the first page.")),
        413: (words("That was too much"), words("Write less, and try again.")),
    }.get(status, (words("Something went wrong"), words("It is us, not you. Nothing was lost. Try again in a minute.")))
    text_of_page, _ = problem(status, headline, text)
    return Response(text_of_page, status, content_type="text/html; charset=utf-8")


def _http(error: HTTPException) -> Response:
    if _for_a_person():
        return _page(error.code or 500)
    answer = envelope(error.code or 500, f"request: {error.name.lower()}")
    if error.code == 405:
        answer.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
    return answer


def _database_lost(error: Exception) -> Response:
    reason = str(error.orig).strip().splitlines()[:1] if isinstance(error, DBAPIError) and error.orig else []
    log.error("database", reason=reason[0] if reason else "no connection was free", exc_info=error)
    g.outcome = "DATABASE_LOST"
    if _for_a_person():
        return _page(503)
    return envelope(503, "service: unavailable, try again")


def _unforeseen(error: Exception) -> Response:
    log.error("unforeseen", exc_info=error)
    g.outcome = "FAILED"
    if _for_a_person():
        return _page(500)
    return envelope(500, "service: internal error")
