"""backroom review: what waits for a person."""

from __future__ import annotations

import getpass
import json
from datetime import datetime

import typer
from rich.console import Console
from rich.table import Table

from backroom.clock import parse_instant, system_clock
from backroom.command_line import needed
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.reviews import cases

app = typer.Typer(help="Cases that wait for a person.", no_args_is_help=True)


@app.command(name="list")
def list_cases(
    store: str | None = typer.Option(None, "--store", help="of one store only"),
    kind: str | None = typer.Option(None, "--kind", help="of one kind only, such as UNKNOWN_CAPTURE"),
    asked_by: str | None = typer.Option(None, "--asked-by", help="of one room only, such as charges"),
    overdue: bool = typer.Option(False, "--overdue", help="only what should have been decided by now"),
    decided: bool = typer.Option(False, "--decided", help="what was decided, instead: the latest first"),
    limit: int = typer.Option(100, "--limit", min=1, help="at most so many"),
    now: str | None = typer.Option(None, "--now", help="business time, ISO 8601 with its zone"),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """List the open cases, the most urgent first."""
    if decided and (overdue or asked_by):
        raise BackroomError("--decided goes with --store, --kind and --limit only")
    moment = _moment(now)
    check_reachable(engine())
    with engine().connect() as connection:
        if decided:
            rows = cases.decided_cases(connection, store_id=store, kind=kind, limit=limit)
        else:
            due = moment if overdue else None
            rows = cases.open_cases(
                connection, store_id=store, kind=kind, asked_by=asked_by, overdue_at=due, limit=limit
            )
    if as_json:
        typer.echo(json.dumps([dict(row) for row in rows], default=str, indent=2))
        return
    table = Table("case", "kind", "about", "store", "asked by", "due", "decision" if decided else "choices")
    for row in rows:
        late = row["due_at"] is not None and row["due_at"] <= moment and not decided
        due_at = f"{row['due_at']:%Y-%m-%d %H:%M}" if row["due_at"] else ""
        table.add_row(
            str(row["case_id"]), row["kind"], row["subject"], row["store_id"] or "", row["asked_by"],
            f"{due_at} overdue" if late else due_at,
            f"{row['decision']} by {row['decided_by']}" if decided
            else ", ".join(choice["choice"] for choice in row["choices"]),
        )  # fmt: skip
    Console().print(table)


@app.command()
def show(case_id: int, as_json: bool = typer.Option(False, "--json", help="for machines")) -> None:
    """Show a case: the question, what is known, and what each choice brings about."""
    check_reachable(engine())
    with engine().connect() as connection:
        case = cases.get_case(connection, case_id)
    if as_json:
        typer.echo(json.dumps(dict(case), default=str, indent=2))
        return
    console = Console()
    console.print(f"case {case_id}: {case['kind']} about {case['subject']}, asked by {case['asked_by']}", markup=False)
    console.print(case["question"], markup=False)
    known = Table("known", "")
    for name, value in case["known"].items():
        known.add_row(name, str(value))
    choices = Table("choice", "what it does")
    for choice in case["choices"]:
        choices.add_row(choice["choice"], choice["effect"])
    console.print(known, choices)
    if case["due_at"] is not None:
        then = case["when_overdue"] or "the case stays open"
        console.print(f"until {case['due_at']:%Y-%m-%d %H:%M} UTC; then: {then}", markup=False)
    if case["decision"] is not None:
        console.print(
            f"decided: {case['decision']} by {case['decided_by']} at {case['decided_at']:%Y-%m-%d %H:%M} UTC:"
            f" {case['decision_reason']}",
            markup=False,
        )


@app.command()
def decide(
    case_id: int,
    choice: str,
    reason: str = typer.Option(..., "--reason", help="why; kept in the audit log", callback=needed),
    by: str = typer.Option("", "--by", help="who decides; the login name if left out"),
    now: str | None = typer.Option(None, "--now", help="business time, ISO 8601 with its zone"),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Decide a case. The first decision wins; the room that asked acts on it at its next run."""
    moment = _moment(now)
    check_reachable(engine())
    who = by.strip() or getpass.getuser()
    with engine().begin() as connection:
        cases.decide(connection, case_id, choice, by=who, reason=reason, now=moment)
        case = cases.get_case(connection, case_id)
    if as_json:
        typer.echo(json.dumps(dict(case), default=str, indent=2))
        return
    effect = next(one["effect"] for one in case["choices"] if one["choice"] == choice)
    Console().print(f"case {case_id}: {choice}, decided by {who}: {effect}", markup=False)


def _moment(now: str | None) -> datetime:
    try:
        return parse_instant(now) if now else system_clock()
    except ValueError as error:
        raise BackroomError(f"--now: {error}") from error
