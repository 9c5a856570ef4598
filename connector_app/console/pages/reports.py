"""Reports: the newest of each store's day, read here or downloaded."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, render_template, send_file

from backroom.db.engine import engine
from backroom.reconciliation import listing
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import needs

blueprint = Blueprint("reports", __name__)
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups"
"""A report is self-contained: its style is in it, and it runs nothing."""
TYPES = {"html": "text/html", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


@blueprint.get("/reports")
@needs(Permission.SEE_REPORTS)
def runs() -> str:
    """The list."""
    with engine().connect() as connection:
        found = listing.runs(
            connection,
            store_id=asked.text("store"),
            first_day=asked.day("from"),
            last_day=asked.day("to"),
            after=asked.after(),
        )
    return render_template("reports.html", page=found)


@blueprint.get("/reports/<int:run_id>.<any(html, xlsx):kind>")
@needs(Permission.SEE_REPORTS)
def report(run_id: int, kind: str) -> Response:
    """The report itself."""
    with engine().connect() as connection:
        path = listing.file_of_run(connection, run_id, kind, folder=current_app.config["BACKROOM"].reports_folder)
    name = f"{path.parent.name} {path.stem}.{kind}"
    answer = send_file(path, mimetype=TYPES[kind], as_attachment=kind == "xlsx", download_name=name, max_age=0)
    if kind == "html":
        answer.headers["Content-Security-Policy"] = REPORT_POLICY
    return answer
