"""What is known of a shopper, as a file; having it erased; signing out."""

from __future__ import annotations

import json

from flask import Blueprint, Response, current_app, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from backroom.db.engine import transaction
from backroom.shoppers import privacy
from backroom.shoppers.sealing import seal_of
from connector_app.portal.pages import visit
from connector_app.portal.pages.presenting import page

blueprint = Blueprint("pages_account", __name__)


@blueprint.get("/account")
def show() -> tuple[str, int]:
    """What can be done."""
    with transaction() as connection:
        asked = privacy.erasure_asked(connection, visit.visitor().address_index or "")
    return page("account.html", asked=asked, done=request.args.get("done", ""))


@blueprint.get("/account/data.json")
def data() -> Response:
    """Everything that is kept about the visitor."""
    with transaction() as connection:
        seal = seal_of(current_app.config["BACKROOM"])
        found = privacy.export(connection, seal, visit.visitor().address_index or "", now=visit.now())
    answer = Response(json.dumps(found, indent=1, ensure_ascii=False, default=str), content_type="application/json")
    answer.headers["Content-Disposition"] = 'attachment; filename="my-data.json"'
    return answer


@blueprint.post("/account/erase")
def erase() -> AnyResponse | tuple[str, int]:
    """Asks for erasure: the books stay, the person goes."""
    if request.form.get("sure") != "yes":
        return redirect(url_for("pages_account.show", done="unsure"), 303)
    with transaction() as connection:
        privacy.ask_erasure(connection, visit.visitor().address_index or "", now=visit.now())
    return redirect(url_for("pages_account.show", done="erase"), 303)


@blueprint.post("/sign-out")
def sign_out() -> AnyResponse:
    """Ends the session."""
    return visit.stop(redirect(url_for("pages_sign_in.begin"), 303))
