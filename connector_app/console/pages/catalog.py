"""What was rejected of the catalog: by the checks of the source, and by Amazon; and what of it goes again."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from backroom.catalog import listing
from backroom.catalog.guard_rail import KIND
from backroom.catalog.sending_again import send_again
from backroom.db.engine import engine
from backroom.reviews.listing import cases
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import member, needs
from connector_app.console.doing import do, now, reason_needed
from connector_app.console.errors import Refused

blueprint = Blueprint("catalog", __name__)


@blueprint.get("/catalog")
@needs(Permission.SEE_CATALOG)
def rejections() -> str:
    """By us or by Amazon; above, the newest runs."""
    by = asked.choice("by", ("source", "amazon"))
    store, sku = asked.text("store"), asked.text("sku")
    with engine().connect() as connection:
        runs = listing.runs(connection, size=5)
        held = cases(connection, kind=KIND, size=20).rows
        if by == "source":
            run = asked.number("run")
            found = listing.rejected_rows(connection, run=run, store_id=store, sku=sku, after=asked.after())
        else:
            found = listing.refused_items(connection, store_id=store, sku=sku, after=asked.after())
    return render_template("catalog.html", page=found, by=by, runs=runs, held=held)


@blueprint.post("/catalog")
@needs(Permission.MEND_CATALOG)
def again() -> Response | tuple[str, int]:
    """Lets an item that Amazon refused go again as it is, with the next run."""

    def act(connection: Connection) -> str:
        store, bar, sku = request.form.get("item", "").partition("|")
        if not bar or not sku:
            raise Refused(422, "Choose an item that Amazon refused.")
        send_again(
            connection, sku[:255], store_id=store[:255], by=member().name, reason=reason_needed(asked.said()), now=now()
        )
        return f"{sku} of {store} goes to Amazon again with the next catalog run."

    return do(act, then=url_for("catalog.rejections", by="amazon"), shown_again=rejections)
