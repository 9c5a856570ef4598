"""What was rejected of the catalog: by the checks of the source, and by Amazon."""

from __future__ import annotations

from flask import Blueprint, render_template

from backroom.catalog import listing
from backroom.db.engine import engine
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import needs

blueprint = Blueprint("catalog", __name__)


@blueprint.get("/catalog")
@needs(Permission.SEE_CATALOG)
def rejections() -> str:
    """By us or by Amazon; above, the newest runs."""
    by = asked.choice("by", ("source", "amazon"))
    store, sku = asked.text("store"), asked.text("sku")
    with engine().connect() as connection:
        runs = listing.runs(connection, size=5)
        if by == "source":
            run = asked.number("run")
            found = listing.rejected_rows(connection, run=run, store_id=store, sku=sku, after=asked.after())
        else:
            found = listing.refused_items(connection, store_id=store, sku=sku, after=asked.after())
    return render_template("catalog.html", page=found, by=by, runs=runs)
