"""Signing in: a link by e-mail, or what a card's statement says. Answers are the same for the known and the unknown."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from flask import Blueprint, Response, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from backroom.db.engine import transaction
from backroom.shoppers import card_look_up, rates, sign_in
from backroom.shoppers.sealing import seal_of
from backroom.stores.choices import store_choices
from connector_app.portal.pages import visit
from connector_app.portal.pages.amounts import typed_amount
from connector_app.portal.pages.presenting import page, problem, words

blueprint = Blueprint("pages_sign_in", __name__)
_STATIC = Path(__file__).parents[1] / "static"
_A_DAY = "public, max-age=86400"


@blueprint.get("/portal.css")
def style() -> Response:
    """The one style sheet."""
    return _file("portal.css", "text/css")


@blueprint.get("/portal.js")
def script() -> Response:
    """What makes the entry code renew itself in place; every page works without it."""
    return _file("portal.js", "text/javascript")


@blueprint.get("/")
def home() -> AnyResponse:
    """To where the visitor is at home."""
    if g.visitor is None:
        return redirect(url_for("pages_sign_in.begin"), 303)
    return redirect(_at_home(), 303)


@blueprint.get("/sign-in")
def begin() -> tuple[str, int]:
    """The form."""
    return page("sign_in.html")


@blueprint.post("/sign-in")
def ask() -> tuple[str, int]:
    """Takes in an address or a loyalty number; what happens then is nobody's business but its owner's."""
    typed = request.form.get("who", "").strip()
    if not 1 <= len(typed) <= 255:
        return page("sign_in.html", 400, problem=words("Write your e-mail address or your loyalty number."))
    seal = seal_of(current_app.config["BACKROOM"])
    try:
        with transaction() as connection:
            sign_in.ask(connection, seal, typed, caller=visit.caller(), language=g.language, now=visit.now())
    except sign_in.TooManyTries:
        return _too_many()
    current_app.config["LINKS"].wake()
    return page("link_sent.html", 200, minutes=current_app.config["BACKROOM"].portal_link_minutes)


@blueprint.get("/sign-in/<token>")
def link(token: str) -> tuple[str, int]:
    """Asks for a click: a mail program that looks into links must not use them up."""
    return page("link.html", token=token)


@blueprint.post("/sign-in/<token>")
def use_link(token: str) -> AnyResponse | tuple[str, int]:
    """Signs in, once."""
    seal = seal_of(current_app.config["BACKROOM"])
    with transaction() as connection:
        if not rates.take(connection, seal, rates.TOKENS_BY_CALLER, visit.caller(), now=visit.now()):
            return _too_many()
        address = sign_in.redeem(connection, token[:200], now=visit.now())
    if address is None:
        g.outcome = "LINK_NOT_GOOD"
        return problem(
            410, words("This link has been used or is too old"), words("Ask for a new one on the sign-in page.")
        )
    return visit.start(redirect(url_for("pages_trips.listed"), 303), "SHOPPER", address_index=address)


@blueprint.get("/look-up")
def look_up() -> tuple[str, int]:
    """The two forms."""
    return _forms(200)


@blueprint.post("/look-up/paid")
def find_paid() -> AnyResponse | tuple[str, int]:
    """A line of a card's statement opens that trip."""
    try:
        day, amount = date.fromisoformat(request.form.get("day", "")), typed_amount(request.form.get("amount", ""))
    except ValueError:
        return _again(words("Write the day, and the amount as on the statement, such as 12.30."))
    asked = {name: request.form.get(name, "").strip()[:100] for name in ("tail", "transaction")}
    seal = seal_of(current_app.config["BACKROOM"])
    try:
        with transaction() as connection:
            trip = card_look_up.paid_trip(
                connection, seal, day=day, amount=amount, caller=visit.caller(), now=visit.now(), **asked
            )
    except sign_in.TooManyTries:
        return _too_many()
    if trip is None:
        return _nothing_found()
    return visit.start(redirect(url_for("pages_trips.show", trip=trip), 303), "RECEIPT", shopping_trip_id=trip)


@blueprint.post("/look-up/unpaid")
def find_unpaid() -> AnyResponse | tuple[str, int]:
    """A card opens the payment of its one unpaid trip at a store on a day, and no more."""
    try:
        day = date.fromisoformat(request.form.get("day", ""))
    except ValueError:
        return _again(words("Write the day of your visit."))
    names = ("store_id", "brand", "tail", "year", "month")
    asked = {name: request.form.get(name, "").strip()[:100] for name in names}
    seal = seal_of(current_app.config["BACKROOM"])
    try:
        with transaction() as connection:
            trip = card_look_up.unpaid_trip(connection, seal, day=day, caller=visit.caller(), now=visit.now(), **asked)
    except sign_in.TooManyTries:
        return _too_many()
    if trip is None:
        return _nothing_found()
    return visit.start(redirect(url_for("pages_debts.payment", trip=trip), 303), "PAYMENT", shopping_trip_id=trip)


def _forms(status: int, problem: str = "") -> tuple[str, int]:
    """The two forms, with what was written into the one that was sent."""
    given = {name: said[:100] for name, said in request.form.items()}
    return page("look_up.html", status, problem=problem, stores=store_choices(), given=given)


def _again(said: str) -> tuple[str, int]:
    return _forms(400, said)


def _nothing_found() -> tuple[str, int]:
    g.outcome = "NOTHING_FOUND"
    said = words("We found no trip with all of this. Check each field; it can take a day until a trip can be found.")
    return _forms(404, said)


def _too_many() -> tuple[str, int]:
    g.outcome = "TOO_MANY_TRIES"
    return problem(429, words("Too many tries"), words("Wait an hour, then try again."))


def _at_home() -> str:
    match g.visitor.scope:
        case "RECEIPT":
            return url_for("pages_trips.show", trip=g.visitor.shopping_trip_id)
        case "PAYMENT":
            return url_for("pages_debts.payment", trip=g.visitor.shopping_trip_id)
    return url_for("pages_trips.listed")


def _file(name: str, kind: str) -> Response:
    answer = Response((_STATIC / name).read_bytes(), content_type=f"{kind}; charset=utf-8")
    answer.headers["Cache-Control"] = _A_DAY
    return answer
