"""A shopper's trips, and the receipt of one: as a page and as a PDF; by e-mail again on request."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, Response, abort, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from backroom.db.engine import transaction
from backroom.receipts import mails, pdf_file
from backroom.receipts.owning import NotYours, check_own
from backroom.receipts.receipt import Receipt, receipt_of
from backroom.receipts.trips import Search, trips
from backroom.shoppers.sealing import seal_of
from connector_app.portal.pages import visit
from connector_app.portal.pages.presenting import language, page, words

blueprint = Blueprint("pages_trips", __name__)


@blueprint.get("/trips")
def listed() -> tuple[str, int]:
    """The list, searched by date, card or transaction id."""
    said, problem = _search()
    number = request.args.get("page", "1")
    at = int(number) if number.isdecimal() and len(number) < 5 and int(number) else 1
    with transaction() as connection:
        found, more = trips(connection, visit.visitor(), said, page=at)
    asked = {name: request.args.get(name, "")[:64] for name in ("since", "until", "tail", "transaction")}
    status = 400 if problem else 200
    return page("trips.html", status, trips=found, more=more, at=at, asked=asked, problem=problem)


@blueprint.get("/trips/<trip>")
def show(trip: str) -> tuple[str, int]:
    """One trip's receipt."""
    receipt = own_receipt(trip)
    with transaction() as connection:
        sent = mails.last_sent(connection, trip)
    return page("trip.html", receipt=receipt, sent=sent, done=request.args.get("done", ""))


@blueprint.get("/trips/<trip>/receipt.pdf")
def pdf(trip: str) -> Response:
    """The same as a file."""
    answer = Response(pdf_file.write(own_receipt(trip), language()), content_type="application/pdf")
    answer.headers["Content-Disposition"] = 'attachment; filename="receipt.pdf"'
    return answer


@blueprint.post("/trips/<trip>/mail")
def mail(trip: str) -> AnyResponse:
    """Sends the receipt once more, to the address that is known already."""
    if not own_receipt(trip).paid_for:
        abort(404)
    with transaction() as connection:
        seal = seal_of(current_app.config["BACKROOM"])
        asked = mails.ask_again(connection, seal, trip, asked_by=visit.visitor().name, now=visit.now())
    return redirect(url_for("pages_trips.show", trip=trip, done="mail" if asked else "enough"), 303)


def own_receipt(trip: str) -> Receipt:
    """The receipt of one of the visitor's own trips; for every other, 404."""
    try:
        with transaction() as connection:
            check_own(connection, visit.visitor(), trip)
            receipt = receipt_of(connection, trip)
    except NotYours:
        g.outcome = "NOT_THEIRS"
        abort(404)
    assert receipt is not None
    return receipt


def _search() -> tuple[Search, str]:
    given = {name: request.args.get(name, "").strip()[:64].replace("\0", "") for name in ("tail", "transaction")}
    try:
        since, until = (_day(request.args.get(name, "")) for name in ("since", "until"))
    except ValueError:
        said = words("Write a date as year-month-day, such as 2026-11-23.")
        return Search(tail=given["tail"], transaction=given["transaction"]), said
    return Search(since, until, given["tail"], given["transaction"]), ""


def _day(said: str) -> date | None:
    return date.fromisoformat(said) if said.strip() else None
