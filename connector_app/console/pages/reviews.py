"""Cases that wait for a person: the list, one case, the decision. The first decision wins, wherever it is taken."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from backroom.db.engine import engine
from backroom.refunds.parking import APPROVAL
from backroom.reviews import cases as review
from backroom.reviews import listing
from backroom.staff.permissions import Permission, to_decide
from connector_app.console import asked
from connector_app.console.access import member, needs
from connector_app.console.doing import do, now, reason_needed
from connector_app.console.errors import Refused

blueprint = Blueprint("reviews", __name__)
# where the case's subject has a page of its own
PAGE_OF_ROOM = {"charges": "charges.charge", "purchases": "carts.cart", "debts": "debts.debt"}


@blueprint.get("/cases")
@needs(Permission.SEE_TODAY)
def cases() -> str:
    """Open or decided ones, filtered."""
    which = asked.choice("show", ("open", "overdue", "decided"))
    with engine().connect() as connection:
        found = listing.cases(
            connection,
            decided=which == "decided",
            store_id=asked.text("store"),
            kind=asked.text("kind"),
            asked_by=asked.text("room"),
            subject=asked.text("about"),
            due_by=now() if which == "overdue" else None,
            after=asked.after(),
        )
        kinds = listing.kinds(connection)
    return render_template("cases.html", page=found, kinds=kinds, which=which)


@blueprint.get("/cases/<int:case_id>")
@needs(Permission.SEE_TODAY)
def case(case_id: int) -> str:
    """The question, what is known, what each choice brings about."""
    with engine().connect() as connection:
        row = review.get_case(connection, case_id)
    endpoint = PAGE_OF_ROOM.get(row["asked_by"])
    mine = member().may(to_decide(row["asked_by"]))
    page = url_for(endpoint, trip=row["subject"]) if endpoint else ""
    elsewhere = row["kind"] == APPROVAL
    if elsewhere:
        page = url_for("refunds.one", request_id=row["known"]["request"])
    return render_template("case.html", case=row, may_decide=mine, subject_page=page, elsewhere=elsewhere)


@blueprint.post("/cases/<int:case_id>")
@needs(Permission.SEE_TODAY)
def decide(case_id: int) -> Response | tuple[str, int]:
    """Decides it, where the caller's role may decide what that room asks."""

    def act(connection: Connection) -> str:
        row = review.get_case(connection, case_id)
        need = to_decide(row["asked_by"])
        if not member().may(need):
            raise Refused(
                403, f"As {' and '.join(member().roles)} you can't do this. It takes the permission to {need}."
            )
        if row["kind"] == APPROVAL:
            raise Refused(409, f"Decide it on the page of refund request {row['known']['request']}.")
        choice = request.form.get("choice", "")
        if not choice:
            raise Refused(422, "Choose one of the choices.")
        reason = reason_needed(asked.said())
        review.decide(connection, case_id, choice, by=member().name, reason=reason, now=now())
        return f"Case {case_id} is decided: {choice}. The room that asked acts on it at its next run."

    return do(act, then=url_for("reviews.case", case_id=case_id), shown_again=lambda: case(case_id))
