"""Bad carts: what stands in the way of each line, and what a person says that the lines are."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from backroom.db.engine import engine
from backroom.purchases import listing
from backroom.purchases.cart_resolution import resolve as resolve_cart
from backroom.purchases.cart_views import cart_in_detail
from backroom.reviews.listing import open_about
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import member, needs
from connector_app.console.doing import do, now, reason_needed
from connector_app.console.errors import Refused

blueprint = Blueprint("carts", __name__)


@blueprint.get("/carts")
@needs(Permission.SEE_CARTS)
def carts() -> str:
    """Those that wait, or the lines that stayed unbilled."""
    which = asked.choice("show", ("waiting", "unbilled"))
    with engine().connect() as connection:
        if which == "waiting":
            found = listing.bad_carts(connection, now=now(), store_id=asked.text("store"), after=asked.after())
        else:
            found = listing.unbilled_lines(connection, store_id=asked.text("store"), after=asked.after())
    return render_template("carts.html", page=found, which=which)


@blueprint.get("/carts/<path:trip>")
@needs(Permission.SEE_CARTS)
def cart(trip: str) -> str:
    """One cart, line by line."""
    with engine().connect() as connection:
        detail = cart_in_detail(connection, trip)
        case_id = open_about(connection, trip)
    return render_template("cart.html", cart=detail, case_id=case_id)


@blueprint.post("/carts/<path:trip>")
@needs(Permission.RESOLVE_CARTS)
def resolve(trip: str) -> Response | tuple[str, int]:
    """Says of each line which product it is, or that it is not to be charged."""

    def act(connection: Connection) -> str:
        mapped, dropped = _lines()
        reason = reason_needed(asked.said())
        done = resolve_cart(
            connection, trip, mapped=mapped, dropped=dropped, by=member().name, reason=reason, now=now()
        )
        if done.charged is not None:
            return f"The cart is resolved: {done.charged} are to be charged."
        return f"Kept, but it still can't be priced: {'; '.join(done.problems)}"

    return do(act, then=url_for("carts.cart", trip=trip), shown_again=lambda: cart(trip))


def _lines() -> tuple[dict[int, str], set[int]]:
    mapped: dict[int, str] = {}
    dropped: set[int] = set()
    for field, value in request.form.items():
        what, _, line = field.partition("-")
        if what not in ("sku", "drop") or not (line.isascii() and line.isdigit()) or len(line) > 6:
            continue
        if what == "drop":
            dropped.add(int(line))
        elif value.strip():
            mapped[int(line)] = value.strip()[:255]
    if both := mapped.keys() & dropped:
        raise Refused(422, f"Line {min(both)}: name a product, or leave the line out; not both.")
    if not mapped and not dropped:
        raise Refused(422, "Say of at least one line which product it is, or that it is left out.")
    return mapped, dropped
