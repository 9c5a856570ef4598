"""Carts that the connector turned away: look, have one taken after all, or dismiss it."""

from __future__ import annotations

from uuid import uuid4

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from backroom.db.engine import engine
from backroom.purchases import listing, refused_carts
from backroom.purchases.kept_bodies import to_show
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import member, needs
from connector_app.console.doing import do, now, reason_needed
from connector_app.console.errors import Refused

blueprint = Blueprint("refused", __name__)
LONGEST_SHOWN = 100_000


@blueprint.get("/refused-carts")
@needs(Permission.RESOLVE_CARTS)
def refused() -> str:
    """The list, the oldest first."""
    which = asked.choice("show", ("waiting", "settled"))
    with engine().connect() as connection:
        found = listing.refused_carts(connection, settled=which == "settled", after=asked.after())
    return render_template("refused_carts.html", page=found, which=which)


@blueprint.get("/refused-carts/<int:refused_id>")
@needs(Permission.RESOLVE_CARTS)
def one(refused_id: int) -> str:
    """One, with its body as it came."""
    with engine().connect() as connection:
        row = dict(refused_carts.refused_one(connection, refused_id))
    body = to_show(bytes(row.pop("body")))[:LONGEST_SHOWN]
    return render_template("refused_cart.html", row=row, body=body)


@blueprint.post("/refused-carts/<int:refused_id>")
@needs(Permission.RESOLVE_CARTS)
def settle(refused_id: int) -> Response | tuple[str, int]:
    """Retry or dismiss."""

    def act(connection: Connection) -> str:
        by, moment = member().name, now()
        match request.form.get("do"):
            case "retry":
                done = refused_carts.retry(
                    connection,
                    refused_id,
                    by=by,
                    now=moment,
                    new_id=lambda: str(uuid4()),
                    vouched=asked.said("vouched"),
                )
                if done.outcome == "REFUSED":
                    return f"It is refused again: {done.reason}"
                return f"Taken: trip {done.shopping_trip_id}, {done.reason.lower().replace('_', ' ')}."
            case "dismiss":
                reason = reason_needed(asked.said())
                refused_carts.dismiss(connection, refused_id, by=by, reason=reason, now=moment)
                return "Dismissed: nothing more is done about it."
            case _:
                raise Refused(422, "Choose what is to be done.")

    return do(act, then=url_for("refused.one", refused_id=refused_id), shown_again=lambda: one(refused_id))
