"""Asking for a refund: what can go back is shown before anything is asked; a doubled click asks once."""

from __future__ import annotations

import secrets

from flask import Blueprint, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from backroom.db.engine import transaction
from backroom.receipts.refund_choices import REASONS, choices
from backroom.refunds.eligibility import RefundRefused
from backroom.refunds.requesting import request as ask_refund
from connector_app.portal.pages import visit
from connector_app.portal.pages.amounts import typed_amount
from connector_app.portal.pages.presenting import page, words
from connector_app.portal.pages.trips import own_receipt

blueprint = Blueprint("pages_refunds", __name__)


@blueprint.get("/trips/<trip>/refund")
def choose(trip: str) -> tuple[str, int]:
    """What can go back, and until when."""
    return _form(trip)


@blueprint.post("/trips/<trip>/refund")
def ask(trip: str) -> AnyResponse | tuple[str, int]:
    """Asks for lines or an amount. The form's own key makes the same question ask once."""
    receipt = own_receipt(trip)
    reason, key = request.form.get("reason", ""), request.form.get("key", "")[:64]
    lines = [int(number) for number in request.form.getlist("line") if number.isdecimal() and len(number) < 6]
    said = request.form.get("amount", "").strip()
    if reason not in REASONS:
        return _form(trip, words("Choose a reason."))
    if bool(lines) == bool(said):
        return _form(trip, words("Choose items, or write an amount: one of the two."))
    try:
        amount = typed_amount(said) if said else None
    except ValueError:
        return _form(trip, words("Write the amount such as 4.50."))
    try:
        with transaction() as connection:
            ask_refund(
                connection,
                shopping_trip_id=trip,
                amount=amount,
                lines=[(number, None) for number in lines] or None,
                reason=reason,
                requested_by=visit.visitor().name,
                asked_key=f"portal:{trip}:{key}"[:255],
                now=visit.now(),
                note="asked for by the shopper in the portal",
            )
    except RefundRefused:
        g.outcome = "REFUND_REFUSED"
        return _form(trip, words("That can't be given back. See below what can."))
    return redirect(url_for("pages_trips.show", trip=receipt.shopping_trip_id, done="refund"), 303)


def _form(trip: str, problem: str = "") -> tuple[str, int]:
    receipt = own_receipt(trip)
    with transaction() as connection:
        offered = choices(connection, trip, now=visit.now())
    names = {line.number: line.name for line in receipt.lines}
    units = {line.number: f" {line.unit}" if line.weighed else " ×" for line in receipt.lines}
    return page(
        "refund.html",
        400 if problem else 200,
        receipt=receipt,
        offered=offered,
        names=names,
        units=units,
        given=request.form,
        chosen=request.form.getlist("line"),
        reasons=REASONS,
        problem=problem,
        key=secrets.token_urlsafe(16),
    )
