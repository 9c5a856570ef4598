"""Charges: those that are parked first, and one with every event and call. The decision is a case."""

from __future__ import annotations

from flask import Blueprint, render_template

from backroom.charges import listing
from backroom.charges.states import State
from backroom.db.engine import engine
from backroom.reviews.listing import open_about
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import needs

blueprint = Blueprint("charges", __name__)
STATES = ("PARKED", *dict.fromkeys(state.kept_as for state in State if state is not State.PARKED), "all")


@blueprint.get("/charges")
@needs(Permission.SEE_MONEY)
def charges() -> str:
    """The list, the oldest first."""
    trip = asked.text("trip")
    state = asked.choice("state", STATES, unset="all" if trip else "PARKED")
    with engine().connect() as connection:
        found = listing.charges(
            connection,
            store_id=asked.text("store"),
            state=None if state == "all" else state,
            trip=trip,
            after=asked.after(),
        )
    return render_template("charges.html", page=found, state=state, states=STATES)


@blueprint.get("/charges/<path:trip>")
@needs(Permission.SEE_MONEY)
def charge(trip: str) -> str:
    """One trip's charge."""
    with engine().connect() as connection:
        row = listing.one(connection, trip)
        case_id = open_about(connection, trip)
    return render_template("charge.html", charge=row, case_id=case_id)
