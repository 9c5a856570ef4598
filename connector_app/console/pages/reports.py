"""Reports: of each store's day, of any range, of a month; and the closing of a month."""

from __future__ import annotations

import tempfile
import threading
from datetime import date
from pathlib import Path

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as Answer

from backroom.db.engine import engine, transaction
from backroom.reconciliation import closing, company_month, listing, months, on_demand, report_files, wanted_reports
from backroom.reconciliation.periods import last_of_month
from backroom.reconciliation.wanted_reports import Destination
from backroom.staff.permissions import Permission
from connector_app.console import asked
from connector_app.console.access import member, needs
from connector_app.console.doing import do, now, reason_needed
from connector_app.console.errors import Refused

blueprint = Blueprint("reports", __name__)
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups allow-downloads"
"""A report is self-contained: its style is in it, and it runs nothing. Its workbook and its data can be downloaded."""
_DRAWING = threading.Lock()
"""One report at a time in a process: what draws the charts keeps its style in one place for all threads."""


@blueprint.get("/reports")
@needs(Permission.SEE_REPORTS)
def runs() -> str:
    """The list, and what staff want stored and announced."""
    with engine().connect() as connection:
        found = listing.runs(
            connection,
            store_id=asked.text("store"),
            first_day=asked.day("from"),
            last_day=asked.day("to"),
            after=asked.after(),
        )
        destination = wanted_reports.destination(connection)
        wanted = wanted_reports.listed(connection, after=request.args.get("wanted", "")[:2_000])
    return render_template("reports.html", page=found, destination=destination, wanted=wanted)


@blueprint.get("/reports/<int:run_id>/<name>")
@needs(Permission.SEE_REPORTS)
def report(run_id: int, name: str) -> Response:
    """A file of the report of that run: the page, or what its links lead to."""
    with engine().connect() as connection:
        path = listing.file_of_run(connection, run_id, name, folder=current_app.config["BACKROOM"].reports_folder)
    return _as_file(path.read_bytes(), name, download_name=f"{path.parent.name} {name}")


@blueprint.get("/reports/range")
@needs(Permission.SEE_REPORTS)
def chosen_range() -> Answer:
    """From the form's fields to the report's own address, which can be kept and sent on."""
    first, last = asked.day("first"), asked.day("last")
    if first is None or last is None:
        raise Refused(400, "A report needs its first day and its last.")
    where = url_for("reports.of_range", first=first, last=last, stem=asked.text("of") or on_demand.COMPANY, kind="html")
    return redirect(where, 303)


@blueprint.post("/reports/range")
@needs(Permission.SEND_REPORTS)
def want_range() -> Answer | tuple[str, int]:
    """The report of any days is stored and announced by the next run of the reconciliation."""

    def act(connection: Connection) -> str:
        try:
            first, last = date.fromisoformat(asked.said("first")), date.fromisoformat(asked.said("last"))
        except ValueError as error:
            raise Refused(422, "A report needs its first day and its last.") from error
        wanted_reports.want(
            connection, store_id=asked.said("of") or None, first=first, last=last, by=member().name, now=now()
        )
        days = f"{first}" if first == last else f"{first} to {last}"
        return f"The report of {days} {_what_becomes_of_it(wanted_reports.destination(connection))}"

    return do(act, then=url_for("reports.runs"), shown_again=runs)


@blueprint.post("/reports/wanted/<int:wanted_id>/withdraw")
@needs(Permission.SEND_REPORTS)
def withdraw(wanted_id: int) -> Answer | tuple[str, int]:
    """No run tries any more to store and announce it."""

    def act(connection: Connection) -> str:
        wanted_reports.withdraw(connection, wanted_id, by=member().name, now=now())
        return "It is withdrawn: no run tries it any more."

    return do(act, then=url_for("reports.runs"), shown_again=runs)


def _what_becomes_of_it(destination: Destination | None) -> str:
    """As far as the newest run of the reconciliation has told, which alone knows its settings."""
    if destination is None:
        return "waits for the next run of the reconciliation, which knows where reports go; none has run so far."
    if destination.is_none:
        return "waits: the newest run of the reconciliation knew no place for reports. It is kept until one does."
    what = " and ".join(
        word for word, so in (("stored", destination.stores), ("announced", destination.announces)) if so
    )
    return f"is {what} by the next run of the reconciliation."


@blueprint.get('/reports/<first>/<last>/<path:stem>.<any(html, xlsx, "figures.csv", "figures.parquet"):kind>')
@needs(Permission.SEE_REPORTS)
def of_range(first: str, last: str, stem: str, kind: str) -> Response:
    """The report of any days of a store, or of the company, written anew; of a closed month as it was kept."""
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as error:
        raise Refused(400, "The days of a report are written as 2026-03-01.") from error
    with _DRAWING, tempfile.TemporaryDirectory() as folder, transaction() as connection:
        written = on_demand.write(
            connection, store_id=None if stem == on_demand.COMPANY else stem, first=begin, last=end,
            folder=Path(folder),
        )  # fmt: skip
        body = written.html.with_name(f"{stem}.{kind}").read_bytes()
    return _as_file(body, f"{stem}.{kind}", download_name=f"{stem} {begin} {end}.{kind}")


def _as_file(body: bytes, name: str, *, download_name: str) -> Response:
    """A page is shown, and runs nothing; every other file is downloaded."""
    answer = Response(body, mimetype=report_files.content_type(name))
    if name.endswith(".html"):
        answer.headers["Content-Security-Policy"] = REPORT_POLICY
    else:
        answer.headers.set("Content-Disposition", "attachment", filename=download_name)
    return answer


@blueprint.get("/months")
@needs(Permission.SEE_REPORTS)
def all_months() -> str:
    """Each store's months: open, or closed by whom."""
    with engine().connect() as connection:
        found = listing.months(connection, store_id=asked.text("store"), after=asked.after())
    return render_template("months.html", page=found, last_of_month=last_of_month)


@blueprint.get("/months/<month>")
@needs(Permission.SEE_REPORTS)
def company(month: str) -> str:
    """A month of all stores: which are closed, and what stands in the way of the others."""
    first = _month(month)
    with engine().connect() as connection:
        stores = company_month.standing(connection, month=first, now=now())
    return render_template("company_month.html", stores=stores, first=first, last=last_of_month(first))


@blueprint.post("/months/<month>")
@needs(Permission.CLOSE_MONTHS)
def close_company(month: str) -> Answer | tuple[str, int]:
    """Closes it for good at every store that is open, or at none."""

    def act(connection: Connection) -> str:
        first, why = _confirmed(month)
        with _DRAWING:  # the reports' files are written and kept
            closed = closing.close_company(
                connection, month=first, by=member().name, reason=why, now=now(),
                with_breaks="with_breaks" in request.form,
            )  # fmt: skip
        return f"{first:%B %Y} is closed at {', '.join(closed)}. What comes later is posted to the next open month."

    return do(act, then=url_for("reports.company", month=month), shown_again=lambda: company(month))


@blueprint.get("/months/<month>/<path:store>")
@needs(Permission.SEE_REPORTS)
def one_month(month: str, store: str) -> str:
    """A store's month: what it came to, and what stands in the way of closing it."""
    first = _month(month)
    with engine().connect() as connection:
        period = months.of_month(connection, store_id=store, month=first)
        closed = months.closed_month(connection, store_id=store, month=first)
        reasons = [] if closed else months.not_yet(connection, period, now=now(), with_breaks=False)
    return render_template(
        "month.html", period=period, closed=closed, reasons=reasons, first=first, last=last_of_month(first)
    )


@blueprint.post("/months/<month>/<path:store>")
@needs(Permission.CLOSE_MONTHS)
def close_month(month: str, store: str) -> Answer | tuple[str, int]:
    """Closes it for good; the month is typed once more, since nothing opens it again."""

    def act(connection: Connection) -> str:
        first, why = _month(month), reason_needed(asked.said())
        if asked.said("confirmed") != f"{first:%Y-%m}":
            raise Refused(422, f"Write {first:%Y-%m} to confirm: a closed month never opens again.")
        with _DRAWING:  # the report's files are written and kept
            closing.close_store(
                connection, store_id=store, month=first, by=member().name, reason=why, now=now(),
                with_breaks="with_breaks" in request.form,
            )  # fmt: skip
        return f"{first:%B %Y} of {store} is closed. What comes later is posted to the next open month."

    there = url_for("reports.one_month", month=month, store=store)
    return do(act, then=there, shown_again=lambda: one_month(month, store))


def _confirmed(month: str) -> tuple[date, str]:
    """Its first day, and why it is closed; it must have been typed once more. Raises Refused."""
    first, why = _month(month), reason_needed(asked.said())
    if asked.said("confirmed") != f"{first:%Y-%m}":
        raise Refused(422, f"Write {first:%Y-%m} to confirm: a closed month never opens again.")
    return first, why


def _month(said: str) -> date:
    """Its first day."""
    try:
        return date.fromisoformat(f"{said}-01")
    except ValueError as error:
        raise Refused(404, "A month is written as 2026-03.") from error
