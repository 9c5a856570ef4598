"""Amazon's files: windows that are missing, the ledger of files, rows in quarantine."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from backroom.db.engine import engine
from backroom.feeds import listing, mending
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import member, needs
from connector_app.console.doing import do, now, reason_needed
from connector_app.console.errors import Refused

blueprint = Blueprint("feeds", __name__)
FILE_STATES = ("any", "ANNOUNCED", "COPIED", "INGESTED", "SAME_CONTENT", "SUPERSEDED", "FAILED")
MOST_DAYS = 14


@blueprint.get("/gaps")
@needs(Permission.SEE_FEEDS)
def gaps() -> str:
    """Each store's latest days and the windows that they lack; below, the ledger of files."""
    state, days = asked.choice("state", FILE_STATES), max(1, asked.number("days", MOST_DAYS) or 3)
    store = asked.text("store")
    with engine().connect() as connection:
        found = listing.gaps(connection, now=now(), days=days, store_id=store, last_day=asked.day("to"))
        files = listing.files(
            connection, store_id=store, state=None if state == "any" else state, after=asked.after(), size=25
        )
        wanted = mending.wanted(connection)
        released = listing.released(connection, gaps=found)
    return render_template(
        "gaps.html", gaps=found, page=files, state=state, states=FILE_STATES, days=days, wanted=wanted,
        released=released,
    )  # fmt: skip


@blueprint.post("/gaps")
@needs(Permission.MEND_FEEDS)
def release() -> Response | tuple[str, int]:
    """Has a day released with the windows that it has; late files correct it."""

    def act(connection: Connection) -> str:
        store, _, day = request.form.get("day", "").partition("|")
        try:
            asked_day = date.fromisoformat(day)
        except ValueError as error:
            raise Refused(422, "Choose a day that lacks files.") from error
        lacks = mending.want_release(
            connection, store, asked_day, by=member().name, reason=reason_needed(asked.said()), now=now()
        )
        return f"{asked_day} of {store} is released at the pipeline's next run, without {lacks} windows."

    return do(act, then=url_for("feeds.gaps"), shown_again=gaps)


@blueprint.get("/quarantine")
@needs(Permission.SEE_FEEDS)
def quarantine() -> str:
    """Rows that could not be taken in, as they came."""
    state = asked.choice("state", ("WAITING", "RETRIED", "DISMISSED", "all"))
    with engine().connect() as connection:
        found = listing.quarantine(
            connection,
            state=None if state == "all" else state,
            store_id=asked.text("store"),
            file_id=asked.number("file"),
            after=asked.after(),
        )
    return render_template("quarantine.html", page=found, state=state)


@blueprint.post("/quarantine")
@needs(Permission.MEND_FEEDS)
def mend() -> Response | tuple[str, int]:
    """Has a row's file taken from our copy again, or says that nothing is to be done about the row."""

    def act(connection: Connection) -> str:
        file, line = _row()
        by, reason, moment = member().name, reason_needed(asked.said()), now()
        match request.form.get("do"):
            case "retry":
                mending.ask_retry(connection, file, by=by, reason=reason, now=moment)
                return f"File {file} is taken from our copy again at the pipeline's next run."
            case "dismiss":
                mending.dismiss(connection, file, line, by=by, reason=reason, now=moment)
                return f"Line {line} of file {file} is dismissed: nothing more is done about it."
            case _:
                raise Refused(422, "Choose what is to be done.")

    return do(act, then=url_for("feeds.quarantine"), shown_again=quarantine)


def _row() -> tuple[int, int]:
    """The file and the line that were chosen."""
    file, _, line = request.form.get("row", "").partition("|")
    if not all(one.isascii() and one.isdigit() and len(one) < 10 for one in (file, line)):
        raise Refused(422, "Choose a row.")
    return int(file), int(line)
