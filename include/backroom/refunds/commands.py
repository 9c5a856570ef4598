"""backroom refunds: what shoppers get back."""

from __future__ import annotations

import getpass
import json
import uuid
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from backroom.clock import parse_instant, system_clock
from backroom.command_line import needed
from backroom.db.engine import check_reachable, engine, transaction
from backroom.errors import BackroomError
from backroom.refunds import attempts, deciding, decisions, requesting
from backroom.refunds.requesting import Request

app = typer.Typer(help="What shoppers get back.", no_args_is_help=True)

AS_JSON = typer.Option(False, "--json", help="for machines")
BY = typer.Option("", "--by", help="who does it; the login name if left out")
WHY = typer.Option(..., "--reason", help="why; kept in the audit trail", callback=needed)

_LIST = text(
    """
    select q.request_id, q.shopping_trip_id, q.store_id, q.amount, q.currency, q.reason, q.state, q.requested_by,
           q.requested_at, q.decided_by, q.is_return,
           coalesce((select sum(r.amount) from refund r where r.request_id = q.request_id and r.state = 'FINAL'), 0)
               as given_back,
           (select string_agg(distinct r.state, ', ') from refund r where r.request_id = q.request_id
              and r.state not in ('FINAL', 'DROPPED')) as still
    from refund_request q
    where (cast(:store_id as text) is null or q.store_id = :store_id)
      and (cast(:trip as text) is null or q.shopping_trip_id = :trip)
      and (:all or cast(:trip as text) is not null or q.state in ('AWAITING_APPROVAL', 'APPROVED'))
    order by q.request_id desc limit :limit
    """
)
_REQUEST = text("select * from refund_request where request_id = :request")
_LINES = text("select * from refund_request_line where request_id = :request order by line_number")
_REFUNDS = text("select * from refund where request_id = :request order by refund_id")
_EVENTS = text(
    "select e.* from refund_event e join refund r using (refund_id) where r.request_id = :request order by e.event_id"
)


@app.command()
def request(
    trip: str = typer.Argument(..., help="the shopping trip's id"),
    amount: str | None = typer.Option(None, "--amount", help="so much, tax included, in the store's currency"),
    line: list[str] | None = typer.Option(None, "--line", help="a line, N or N:QUANTITY; may be given several times"),
    everything: bool = typer.Option(False, "--all", help="all that is left to give back"),
    reason: str = typer.Option(
        ..., "--reason", help="DAMAGED_ITEM, EXPIRED_ITEM, UNWANTED_ITEM, JWO_TECH_ERROR or OTHER"
    ),
    by: str = typer.Option(..., "--by", help="who asks for the shopper"),
    note: str = typer.Option("", "--note", help="in words; kept with the request"),
    key: str = typer.Option("", "--key", help="your own, such as a ticket's: the same key asks once"),
    goods_returned: bool = typer.Option(False, "--goods-returned", help="the goods came back and go into the stock"),
    asked_at: str = typer.Option("", "--asked-at", help="when the shopper asked, ISO 8601; unset: now"),
    as_json: bool = AS_JSON,
) -> None:
    """Ask for a refund: an amount, lines, or all that is left. Above the limit a second person approves it."""
    if [amount is not None, bool(line), everything].count(True) != 1:
        raise BackroomError("say what goes back: one of --amount, --line or --all")
    if goods_returned and amount is not None:
        raise BackroomError("--goods-returned needs --line or --all: an amount does not say which goods came back")
    check_reachable(engine())
    with transaction() as connection:
        made = requesting.request(
            connection,
            shopping_trip_id=trip,
            amount=_amount("--amount", amount) if amount is not None else None,
            lines=[_line(one) for one in line or ()],
            reason=reason,
            requested_by=by,
            asked_key=key or str(uuid.uuid4()),
            now=system_clock(),
            requested_at=_moment("--asked-at", asked_at) if asked_at else None,
            note=note,
            goods_returned=goods_returned,
        )
    _show(made, as_json=as_json)


@app.command(name="list")
def list_requests(
    store: str | None = typer.Option(None, "--store", help="of one store only"),
    trip: str | None = typer.Option(None, "--trip", help="of one trip only, closed ones too"),
    every: bool = typer.Option(False, "--all", help="also those that are closed"),
    limit: int = typer.Option(200, "--limit", min=1, help="requests at most"),
    as_json: bool = AS_JSON,
) -> None:
    """List refund requests, the newest first: those that wait for approval or are on their way."""
    check_reachable(engine())
    with engine().connect() as connection:
        values = {"store_id": store, "trip": trip, "all": every, "limit": limit}
        rows = connection.execute(_LIST, values).mappings().all()
    if as_json:
        typer.echo(json.dumps([_plain(row) for row in rows], indent=2))
        return
    table = Table("request", "trip", "store", "amount", "", "given back", "reason", "state", "asked by", "at", "parts")
    for row in rows:
        table.add_row(
            str(row["request_id"]), row["shopping_trip_id"], row["store_id"], f"{row['amount']:.2f}", row["currency"],
            f"{row['given_back']:.2f}", row["reason"], row["state"], row["requested_by"],
            f"{row['requested_at']:%Y-%m-%d %H:%M}", row["still"] or "",
        )  # fmt: skip
    Console().print(table)


@app.command()
def show(request_id: int, as_json: bool = AS_JSON) -> None:
    """Show a request: its lines, its refunds by instrument, what happened, and every call."""
    check_reachable(engine())
    with engine().connect() as connection:
        whole = _whole(connection, request_id)
    if as_json:
        typer.echo(json.dumps(_plain(whole), indent=2))
        return
    asked = whole["request"]
    console = Console()
    console.print(
        f"request {request_id}: {asked['amount']:.2f} {asked['currency']} of {asked['shopping_trip_id']}"
        f" ({asked['store_id']}), {asked['reason']}, {asked['state']}",
        markup=False,
    )
    decided = f"; decided by {asked['decided_by']}: {asked['decision_reason']}" if asked["decided_by"] else ""
    console.print(f"asked by {asked['requested_by']} at {asked['requested_at']:%Y-%m-%d %H:%M}{decided}", markup=False)
    if whole["lines"]:
        lines = Table("line", "quantity", "amount")
        for row in whole["lines"]:
            lines.add_row(str(row["line_number"]), f"{row['quantity'].normalize():f}", f"{row['amount']:.2f}")
        console.print(lines)
    console.print(_refunds_table(whole["refunds"]))
    events = Table("event", "refund", "amount", "happened", "by")
    for row in whole["events"]:
        events.add_row(
            row["kind"], str(row["refund_id"]), f"{row['amount']:.2f}", _at(row["happened_at"]), row["source"]
        )
    calls = Table("refund", "call", "intended", "outcome", "HTTP", "seconds")
    for row in whole["attempts"]:
        calls.add_row(
            str(row["refund_id"]), str(row["number"]), _at(row["intended_at"]), row["outcome"] or "no outcome",
            str(row["http_status"] or ""), f"{row['latency_seconds']:.3f}" if row["latency_seconds"] else "",
        )  # fmt: skip
    console.print(events, calls)


@app.command()
def approve(request_id: int, reason: str = WHY, by: str = BY, as_json: bool = AS_JSON) -> None:
    """Approve a request above the limit; who asked can't."""
    check_reachable(engine())
    with transaction() as connection:
        decided = deciding.approve(
            connection, request_id, by=by or getpass.getuser(), reason=reason, now=system_clock()
        )
    _show(decided, as_json=as_json)


@app.command()
def reject(request_id: int, reason: str = WHY, by: str = BY, as_json: bool = AS_JSON) -> None:
    """Reject a request above the limit: nothing goes back."""
    check_reachable(engine())
    with transaction() as connection:
        decided = deciding.reject(connection, request_id, by=by or getpass.getuser(), reason=reason, now=system_clock())
    _show(decided, as_json=as_json)


@app.command()
def retry(
    refund_id: int = typer.Argument(..., help="a parked refund, as `show` names it"), reason: str = WHY, by: str = BY
) -> None:
    """Have a parked refund asked for once more, by the same key: the money can't go back twice."""
    check_reachable(engine())
    with transaction() as connection:
        decisions.retry(connection, refund_id, by=by or getpass.getuser(), reason=reason, now=system_clock())
    Console().print(f"refund {refund_id} is asked for again at the next run of refund_processing", markup=False)


def _show(made: Request, *, as_json: bool) -> None:
    parts = [
        {
            "refund_id": part.refund_id, "instrument": part.instrument, "amount": part.amount, "state": part.state,
            "refund_request_key": part.refund_request_key,
        }
        for part in made.parts
    ]  # fmt: skip
    if as_json:
        whole = {
            "request_id": made.request_id, "shopping_trip_id": made.shopping_trip_id, "amount": made.amount,
            "currency": made.currency, "reason": made.reason, "state": made.state, "refunds": parts,
        }  # fmt: skip
        typer.echo(json.dumps(_plain(whole), indent=2))
        return
    console = Console()
    console.print(
        f"request {made.request_id}: {made.amount:.2f} {made.currency} of {made.shopping_trip_id}, {made.state}",
        markup=False,
    )
    if made.state == "AWAITING_APPROVAL":
        console.print(
            f"a second person decides it: `backroom refunds approve {made.request_id} --by … --reason …`", markup=False
        )
    else:
        console.print(_refunds_table(parts))


def _refunds_table(rows: Any) -> Table:
    table = Table("refund", "to", "amount", "state", "key")
    for row in rows:
        table.add_row(
            str(row["refund_id"]), row["instrument"], f"{row['amount']:.2f}", row["state"], row["refund_request_key"]
        )
    return table


def _whole(connection: Connection, request_id: int) -> dict[str, Any]:
    asked = connection.execute(_REQUEST, {"request": request_id}).mappings().one_or_none()
    if asked is None:
        raise BackroomError(f"there is no refund request {request_id}; `backroom refunds list --all` shows them")
    refunds = [dict(row) for row in connection.execute(_REFUNDS, {"request": request_id}).mappings()]
    return {
        "request": dict(asked),
        "lines": [dict(row) for row in connection.execute(_LINES, {"request": request_id}).mappings()],
        "refunds": refunds,
        "events": [dict(row) for row in connection.execute(_EVENTS, {"request": request_id}).mappings()],
        "attempts": [one for row in refunds for one in attempts.of_refund(connection, row["refund_id"])],
    }


def _line(said: str) -> tuple[int, Decimal | None]:
    number, colon, quantity = said.partition(":")
    if not (number.isascii() and number.isdigit()):
        raise BackroomError(f"--line {said}: write the line's number, or its number and a quantity, such as 3:2")
    return int(number), _amount("--line", quantity) if colon else None


def _amount(option: str, said: str) -> Decimal:
    try:
        amount = Decimal(said)
    except InvalidOperation as error:
        raise BackroomError(f"{option} {said}: {said!r} is not a number") from error
    if not amount.is_finite():
        raise BackroomError(f"{option} {said}: {said!r} is not a number")
    return amount


def _moment(option: str, said: str) -> datetime:
    try:
        return parse_instant(said)
    except ValueError as error:
        raise BackroomError(f"{option}: {error}") from error


def _at(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else format(value, "f")
