"""The audit trail: who did what, when and why."""

from __future__ import annotations

from flask import Blueprint, render_template

from backroom.audit import listing
from backroom.db.engine import engine
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import needs

blueprint = Blueprint("audit", __name__)


@blueprint.get("/audit")
@needs(Permission.SEE_AUDIT)
def entries() -> str:
    """The newest first."""
    with engine().connect() as connection:
        found = listing.entries(
            connection,
            actor=asked.text("who"),
            subject=asked.text("about"),
            action=asked.text("action"),
            after=asked.after(),
        )
    return render_template("audit.html", page=found)
