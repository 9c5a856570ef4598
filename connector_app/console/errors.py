"""Whatever goes wrong, a page says what, in words, with a status that tells whether to try again."""

from __future__ import annotations

import structlog
from flask import Flask, g, render_template
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from backroom.errors import BackroomError

log = structlog.get_logger("console")

TITLES = {
    400: "That can't be asked",
    401: "Signed out",
    403: "Not allowed",
    404: "Not here",
    405: "Not this way",
    409: "Not done",
    413: "Too large",
    500: "Something broke",
    503: "Out of reach",
}


class Refused(Exception):
    """The call can't be taken; `message` is a sentence for who made it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def page(status: int, message: str) -> tuple[str, int]:
    """The page that says it."""
    return render_template("error.html", title=TITLES.get(status, "Not done"), message=message), status


def register(app: Flask) -> None:
    """Makes the app answer every error by a page."""
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(BackroomError, _not_found)
    app.register_error_handler(HTTPException, _http)
    for lost in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(lost, _database_lost)
    app.register_error_handler(Exception, _unforeseen)


def _refused(error: Refused) -> tuple[str, int]:
    g.outcome = "REFUSED"
    return page(error.status, error.message)


def _not_found(error: BackroomError) -> tuple[str, int]:
    """A page that was asked for by an id that there is not. What an action refuses is told on its own page."""
    return page(404, str(error))


def _http(error: HTTPException) -> Response | tuple[str, int]:
    status = error.code or 500
    said = {404: "There is no such page.", 405: "This address takes no such call.", 413: "This form is too large."}
    return page(status, said.get(status, f"{error.name}."))


def _database_lost(error: Exception) -> tuple[str, int]:
    reason = str(error.orig).strip().splitlines()[:1] if isinstance(error, DBAPIError) and error.orig else []
    log.error("database", reason=reason[0] if reason else "no connection was free", exc_info=error)
    g.outcome = "DATABASE_LOST"
    g.pop("member", None)
    return page(503, "The database does not answer. Nothing was changed; try again in a minute.")


def _unforeseen(error: Exception) -> tuple[str, int]:
    log.error("unforeseen", exc_info=error)
    g.outcome = "FAILED"
    return page(500, "Nothing was changed. The log tells what happened.")
