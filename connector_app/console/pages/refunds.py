"""Refunds: those that wait for a second person, and one in detail. Nobody decides what they asked for themselves."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from backroom.db.engine import engine
from backroom.refunds import deciding, listing
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import member, needs
from connector_app.console.doing import do, now, reason_needed
from connector_app.console.errors import Refused

blueprint = Blueprint("refunds", __name__)
STATES = ("AWAITING_APPROVAL", "APPROVED", "DONE", "REJECTED", "FAILED", "all")


@blueprint.get("/refunds")
@needs(Permission.SEE_MONEY)
def requests() -> str:
    """The list, the newest first."""
    trip = asked.text("trip")
    state = asked.choice("state", STATES, unset="all" if trip else "AWAITING_APPROVAL")
    with engine().connect() as connection:
        found = listing.requests(
            connection,
            store_id=asked.text("store"),
            state=None if state == "all" else state,
            trip=trip,
            after=asked.after(),
        )
    return render_template("refunds.html", page=found, state=state, states=STATES)


@blueprint.get("/refunds/<int:request_id>")
@needs(Permission.SEE_MONEY)
def one(request_id: int) -> str:
    """One request: lines, parts, what happened."""
    with engine().connect() as connection:
        row = listing.one(connection, request_id)
    own = deciding.same_person(member().name, row["requested_by"])
    return render_template("refund.html", row=row, own=own)


@blueprint.post("/refunds/<int:request_id>")
@needs(Permission.APPROVE_REFUNDS)
def decide(request_id: int) -> Response | tuple[str, int]:
    """Approve or reject."""

    def act(connection: Connection) -> str:
        by, reason, moment = member().name, reason_needed(asked.said()), now()
        match request.form.get("do"):
            case "approve":
                deciding.approve(connection, request_id, by=by, reason=reason, now=moment)
                return f"Request {request_id} is approved and goes its way."
            case "reject":
                deciding.reject(connection, request_id, by=by, reason=reason, now=moment)
                return f"Request {request_id} is rejected: nothing goes back."
            case _:
                raise Refused(422, "Choose what is to be done.")

    return do(act, then=url_for("refunds.one", request_id=request_id), shown_again=lambda: one(request_id))
