"""backroom review: what waits for a person."""

from __future__ import annotations

import getpass
import json

import typer
from rich.console import Console
from rich.table import Table

from backroom.clock import system_clock
from backroom.db.engine import check_reachable, engine
from backroom.reviews import cases

app = typer.Typer(help="Cases that wait for a person.", no_args_is_help=True)


@app.command(name="list")
def list_cases(
    store: str | None = typer.Option(None, "--store", help="of one store only"),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """List the open cases, the most urgent first."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = cases.open_cases(connection, store_id=store)
    if as_json:
        typer.echo(json.dumps([dict(row) for row in rows], default=str, indent=2))
        return
    table = Table("case", "kind", "about", "store", "asked by", "due", "choices")
    for row in rows:
        table.add_row(
            str(row["case_id"]), row["kind"], row["subject"], row["store_id"] or "", row["asked_by"],
            f"{row['due_at']:%Y-%m-%d %H:%M}" if row["due_at"] else "",
            ", ".join(choice["choice"] for choice in row["choices"]),
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
    if case["decision"] is not None:
        console.print(f"decided: {case['decision']} by {case['decided_by']}: {case['decision_reason']}", markup=False)


@app.command()
def decide(
    case_id: int,
    choice: str,
    reason: str = typer.Option(..., "--reason", help="why; kept in the audit trail"),
    by: str = typer.Option("", "--by", help="who decides; the login name if left out"),
) -> None:
    """Decide a case. The first decision wins; the room that asked acts on it at its next run."""
    check_reachable(engine())
    who = by or getpass.getuser()
    with engine().begin() as connection:
        cases.decide(connection, case_id, choice, by=who, reason=reason, now=system_clock())
    Console().print(f"case {case_id}: {choice}, decided by {who}", markup=False)
