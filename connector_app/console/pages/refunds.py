"""Refunds: asked for, waiting for a second person, one in detail. Nobody decides what they asked for themselves."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from uuid import uuid4

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from backroom.amazon.refund_client import REASONS
from backroom.db.engine import engine
from backroom.refunds import deciding, listing, requesting
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


@blueprint.get("/refunds/ask")
@needs(Permission.ASK_REFUNDS)
def ask() -> str:
    """The form: of which trip, then all of it, lines or an amount, and why."""
    trip = asked.text("trip")
    with engine().connect() as connection:
        known = listing.to_ask(connection, trip) if trip else None
    return render_template("refund_ask.html", trip=known, reasons=REASONS, key=request.form.get("key") or f"{uuid4()}")


@blueprint.post("/refunds/ask")
@needs(Permission.ASK_REFUNDS)
def send() -> Response | tuple[str, int]:
    """Asks for it; a form that is sent twice asks once. Above the limit a second person decides."""
    made: list[int] = []

    def act(connection: Connection) -> str:
        trip, why, key = asked.text("trip"), reason_needed(asked.said()), asked.said("key")[:64]
        if not trip or not key:
            raise Refused(422, "Name the trip whose money is to go back.")
        amount, lines = _what()
        done = requesting.request(
            connection, shopping_trip_id=trip, amount=amount, lines=lines, reason=request.form.get("kind", ""),
            requested_by=member().name, asked_key=f"console:{key}", now=now(), note=why,
            goods_returned="goods" in request.form,
        )  # fmt: skip
        made.append(done.request_id)
        asks = f"Request {done.request_id} asks for {done.amount:f} {done.currency}"
        if done.state == "AWAITING_APPROVAL":
            return f"{asks}. It is above the limit: somebody else decides it."
        return f"{asks} and goes its way."

    return do(act, then=lambda: url_for("refunds.one", request_id=made[0]), shown_again=ask)


def _what() -> tuple[Decimal | None, list[tuple[int, Decimal | None]]]:
    """The amount, or the lines with their quantities (None: all that is left); neither: all that is left."""
    match request.form.get("what"):
        case "all":
            return None, []
        case "amount":
            if "goods" in request.form:
                raise Refused(422, "An amount does not say which goods came back: choose the lines.")
            return _number("The amount", asked.said("amount")), []
        case "lines":
            chosen = [int(one) for one in request.form.getlist("line") if one.isascii() and one.isdigit()][:500]
            if not chosen:
                raise Refused(422, "Choose at least one line.")
            said = {number: asked.said(f"quantity-{number}") for number in chosen}
            return None, [
                (number, _number(f"The quantity of line {number}", text) if text else None)
                for number, text in said.items()
            ]
        case _:
            raise Refused(422, "Say what goes back: all of it, lines, or an amount.")


def _number(what: str, said: str) -> Decimal:
    try:
        number = Decimal(said)
    except InvalidOperation as error:
        raise Refused(422, f"{what} is no number.") from error
    if not number.is_finite() or abs(number) >= 10**9 or round(number, 6) != number:
        raise Refused(422, f"{what} is out of bounds.")
    return number


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
