"""Actions: each in one transaction, with a reason; then the page that shows what has become of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import current_app, g, redirect
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from werkzeug.wrappers import Response

from backroom.db.engine import transaction
from backroom.errors import BackroomError
from backroom.staff import sign_in as staff
from connector_app.console.access import member
from connector_app.console.errors import Refused

Act = Callable[[Connection], str]
View = Callable[[], str]


def now() -> datetime:
    """The present, in UTC."""
    moment: datetime = current_app.config["CLOCK"]()
    return moment


def do(act: Act, *, then: str | Callable[[], str], shown_again: View) -> Response | tuple[str, int]:
    """Does it and goes on to `then`, which says what `act` returns; what it refuses is told on the same page.

    `then` may be asked for once it is done, where it depends on what was done.
    """
    try:
        with transaction() as connection:
            done = act(connection)
            staff.leave_notice(connection, member(), {"text": done})
    except (BackroomError, Refused) as error:
        g.outcome, g.complaint = "NOT_DONE", str(error)
        return shown_again(), 409
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":  # lock_not_available
            raise
        g.outcome, g.complaint = "NOT_DONE", "Somebody, or a pipeline, works on this at the moment. Try again."
        return shown_again(), 409
    g.outcome = "DONE"
    return redirect(then if isinstance(then, str) else then(), 303)


def reason_needed(given: str) -> str:
    """Raises Refused where the reason says nothing."""
    if not given:
        raise Refused(422, "Say why: the reason is kept in the audit trail.")
    return given
