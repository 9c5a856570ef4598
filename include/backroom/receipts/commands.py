"""backroom receipts: list, show, pdf, send."""

from __future__ import annotations

import getpass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from backroom.audit import trail
from backroom.clock import parse_instant, system_clock
from backroom.command_line import needed, show_query
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.languages.words import LOCALES
from backroom.receipts import mails, pdf_file
from backroom.receipts.receipt import Receipt, receipt_of
from backroom.settings import settings
from backroom.shoppers.sealing import seal_of

app = typer.Typer(help="Receipts: what was sent, what came back, and sending one again.", no_args_is_help=True)

Trip = Annotated[str, typer.Argument(help="the trip's id")]
STATES = ("DUE", "SENDING", "SENT", "NO_ADDRESS", "UNKNOWN", "REFUSED", "BOUNCED")


@app.command(name="list")
def list_receipts(
    state: Annotated[str, typer.Option(help=f"one of {', '.join(STATES)}; none: all but SENT")] = "",
    trip: Annotated[str, typer.Option(help="of one trip")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
) -> None:
    """E-mails of receipts, the newest first; without their addresses."""
    if state and state not in STATES:
        raise BackroomError(f"--state: one of {', '.join(STATES)} (it is {state!r})")
    show_query(
        "select mail_id, shopping_trip_id, store_id, kind, state, asked_by, asked_at, sent_at, bounced_at, problem"
        " from receipt_mail where (cast(:trip as text) = '' or shopping_trip_id = :trip)"
        " and case when cast(:state as text) <> '' then state = :state else state <> 'SENT' or :trip <> '' end"
        " order by mail_id desc limit 500",
        {"state": state, "trip": trip},
        as_json=as_json,
    )


@app.command()
def pdf(
    trip: Trip,
    out: Annotated[Path, typer.Option(help="the file to write")],
    language: Annotated[str, typer.Option(help="en or es")] = "en",
) -> None:
    """Write the trip's receipt as a PDF."""
    if language not in LOCALES:
        raise BackroomError(f"--language: one of {', '.join(LOCALES)} (it is {language!r})")
    receipt = _receipt(trip)
    try:
        out.write_bytes(pdf_file.write(receipt, language))
    except OSError as error:
        raise BackroomError(f"{out} can't be written: {error.strerror}") from error
    typer.echo(f"receipt of trip {trip}: {out}")


@app.command()
def send(
    trip: Trip,
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the audit", callback=needed)],
    now: Annotated[datetime | None, typer.Option("--now", parser=parse_instant, help="business time")] = None,
) -> None:
    """Have the trip's receipt sent once more, to the address that is known."""
    _receipt(trip)
    at, who = now or system_clock(), getpass.getuser()
    with engine().begin() as connection:
        if not mails.ask_again(connection, seal_of(settings()), trip, asked_by=who, now=at):
            raise BackroomError(
                f"trip {trip!r}: one waits to be sent already, or three were asked for within the hour;"
                f" `backroom receipts list --trip {trip}` shows them"
            )
        trail.record(connection, at=at, actor=who, action="receipt.send", subject=trip, reason=reason)
    typer.echo(f"the receipt of trip {trip} goes out with the next run of the receipts pipeline")


def _receipt(trip: str) -> Receipt:
    check_reachable(engine())
    with engine().connect() as connection:
        receipt = receipt_of(connection, trip)
    if receipt is None:
        raise BackroomError(f"there is no trip {trip!r}; `backroom charges list` shows those that were charged")
    return receipt
