"""Debts: what is owed, and giving one up."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from backroom.db.engine import engine
from backroom.debts import listing, write_off
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import member, needs
from connector_app.console.doing import do, now, reason_needed
from connector_app.console.errors import Refused

blueprint = Blueprint("debts", __name__)
STATES = ("OPEN", "WRITTEN_OFF", "PAID", "all")
BUCKETS = ("any", "0-30", "31-60", "61-90", "90+")


@blueprint.get("/debts")
@needs(Permission.SEE_MONEY)
def debts() -> str:
    """The list, the oldest first."""
    state, bucket = asked.choice("state", STATES), asked.choice("bucket", BUCKETS)
    with engine().connect() as connection:
        found = listing.debts(
            connection,
            store_id=asked.text("store"),
            state=None if state == "all" else state,
            bucket=None if bucket == "any" else bucket,
            who=asked.text("who"),
            after=asked.after(),
        )
    return render_template("debts.html", page=found, state=state, states=STATES, bucket=bucket, buckets=BUCKETS)


@blueprint.get("/debts/<path:trip>")
@needs(Permission.SEE_MONEY)
def debt(trip: str) -> str:
    """One debt with its history."""
    with engine().connect() as connection:
        row = listing.one(connection, trip)
    return render_template("debt.html", debt=row)


@blueprint.post("/debts/<path:trip>")
@needs(Permission.WRITE_OFF_DEBTS)
def give_up(trip: str) -> Response | tuple[str, int]:
    """Writes it off in the books, or lets the debtor of one that was written off in again."""

    def act(connection: Connection) -> str:
        by, reason, moment = member().name, reason_needed(asked.said()), now()
        match request.form.get("do"):
            case "write_off":
                given_up = write_off.write_off(connection, shopping_trip_id=trip, by=by, reason=reason, now=moment)
                return f"Written off: {given_up:f}. The debt goes on denying entry until it is forgiven."
            case "forgive":
                write_off.forgive(connection, shopping_trip_id=trip, by=by, reason=reason, now=moment)
                return "Forgiven: this debt denies entry no longer."
            case _:
                raise Refused(422, "Choose what is to be done.")

    return do(act, then=url_for("debts.debt", trip=trip), shown_again=lambda: debt(trip))
