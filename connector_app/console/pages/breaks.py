"""Breaks: whose work each is, its history, and what a person decides about it."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from backroom.db.engine import engine
from backroom.reconciliation import breaks as kept
from backroom.reconciliation import listing
from backroom.reconciliation.breaks import Filter
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import member, needs
from connector_app.console.doing import do, now, reason_needed
from connector_app.console.errors import Refused

blueprint = Blueprint("breaks", __name__)
STATES = ("OPEN", "FORCE_MATCHED", "WRITTEN_OFF", "LATER_DATA", "all")


@blueprint.get("/breaks")
@needs(Permission.SEE_BREAKS)
def breaks() -> str:
    """The list, the newest day first, and how many there are of each kind."""
    state, kind = asked.choice("state", STATES), asked.text("kind")
    which = Filter(
        state=None if state == "all" else state,
        store_id=asked.text("store"),
        kinds=[kind] if kind else [],
        first_day=asked.day("from"),
        last_day=asked.day("to"),
        owner=_owner(),
        shopping_trip_id=asked.text("trip"),
        older_than_days=asked.number("older", 36_500),
    )
    with engine().connect() as connection:
        page = listing.breaks(connection, which, now=now(), after=asked.after())
        counted = kept.counted(connection, which, now=now())
    return render_template("breaks.html", page=page, counted=counted, state=state, states=STATES)


@blueprint.get("/breaks/<int:break_id>")
@needs(Permission.SEE_BREAKS)
def one(break_id: int) -> str:
    """A break, both sides, its history."""
    with engine().connect() as connection:
        row = kept.one(connection, break_id, now=now())
        history = kept.history(connection, break_id)
        sides = listing.trip(connection, row["shopping_trip_id"])
    return render_template("break.html", row=row, history=history, sides=sides)


@blueprint.post("/breaks/<int:break_id>")
@needs(Permission.DECIDE_BREAKS)
def decide(break_id: int) -> Response | tuple[str, int]:
    """Take it, hand it on, note something, force the match, or write the difference off."""

    def act(connection: Connection) -> str:
        by, reason, moment = member().name, reason_needed(asked.said()), now()
        match request.form.get("do"):
            case "assign":
                owner = asked.said("owner")[:64]
                kept.assign(connection, break_id, owner=owner, by=by, reason=reason, now=moment)
                return f"Break {break_id} is {owner or 'nobody'}'s work now."
            case "note":
                kept.note(connection, break_id, by=by, reason=reason, now=moment)
                return "Noted in the break's history."
            case "force_match":
                kept.force_match(connection, break_id, by=by, reason=reason, now=moment)
                return f"Break {break_id} is matched by your word. No money has moved."
            case "write_off":
                given_up = kept.write_off(connection, break_id, by=by, reason=reason, now=moment)
                return f"Break {break_id} is written off{f': {given_up:f}' if given_up is not None else ''}."
            case _:
                raise Refused(422, "Choose what is to be done.")

    return do(act, then=url_for("breaks.one", break_id=break_id), shown_again=lambda: one(break_id))


def _owner() -> str | None:
    """`nobody` asks for those that are nobody's work yet."""
    owner = asked.text("owner")
    return "" if owner == "nobody" else owner
