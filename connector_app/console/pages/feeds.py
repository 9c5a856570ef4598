"""Amazon's files: windows that are missing, the ledger of files, rows in quarantine."""

from __future__ import annotations

from flask import Blueprint, render_template

from backroom.db.engine import engine
from backroom.feeds import listing
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import needs
from connector_app.console.doing import now

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
    return render_template("gaps.html", gaps=found, page=files, state=state, states=FILE_STATES, days=days)


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
