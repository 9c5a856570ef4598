"""What the demo says at its end."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Engine, text

from backroom.ledger.verification import verify
from backroom_stack.airflow_api import AirflowApi
from backroom_stack.books_check import Verdict
from backroom_stack.part import PartFailed

SHOWN = 10


def show(
    engine: Engine,
    console: Console,
    day: date,
    verdict: Verdict,
    summary: dict,
    airflow: AirflowApi,
    home: Path,
) -> bool:
    """Prints the table and the report's path. True where everything agrees."""
    with engine.connect() as connection:
        console.print(_table(connection, day, verdict))
        wrong = list(verdict.differences)
        wrong += _feeds(connection, summary)
        wrong += _ledger(connection, verdict, summary)
    html, xlsx = _report(home, day)
    wrong += [f"forbidden call at the sandbox: {call}" for call in summary["forbidden"]]
    _runs(console, airflow)
    for line in wrong[:SHOWN]:
        console.print(f"  differs: {line}", style="red")
    if len(wrong) > SHOWN:
        console.print(f"  … and {len(wrong) - SHOWN} more", style="red")
    console.print(
        f"{verdict.figures} figures of {verdict.trips} trips and {verdict.lines} lines compared with the sandbox's "
        f"books: {'all equal to the cent' if not wrong else f'{len(wrong)} differ'}.",
        style="bold green" if not wrong else "bold red",
    )
    console.print(f"Finance report: {html}\n                {xlsx}")
    return not wrong


def _table(connection: Connection, day: date, verdict: Verdict) -> Table:
    table = Table("", "STORE-001", "STORE-002", "both", title=f"{day}")
    for title, query in ROWS:
        found = {row.store_id: row.value for row in connection.execute(text(query))}
        values = [found.get("STORE-001", 0), found.get("STORE-002", 0)]
        table.add_row(title, *(f"{value:,}" for value in (*values, sum(values))))
    table.add_row("carts that wait for a person", "", "", f"{verdict.waiting:,}")
    return table


def _feeds(connection: Connection, summary: dict) -> list[str]:
    """Every version of every file and every event that the sandbox sent is here, once, and in the books."""
    there = connection.execute(text(FEEDS)).one()
    sent = summary["files"]["files"]  # each version of a rewritten file counts
    wrong = []
    if there.files != sent:
        wrong.append(f"files: {there.files} known, the sandbox sent {sent}")
    if there.not_taken_in:
        wrong.append(f"files: {there.not_taken_in} of {there.files} not taken in")
    events = sum(kind["count"] for kind in summary["events"])
    if there.events != events:
        wrong.append(f"events: {there.events} known, the sandbox sent {events}")
    wrong += [f"the sandbox could not send: {failure}" for failure in summary["not_sent"]]
    wrong += [f"a repeated call was answered otherwise: {name}" for name in summary["answers_that_differ"]]
    return wrong


def _ledger(connection: Connection, verdict: Verdict, summary: dict) -> list[str]:
    """The ledger is in balance, says what charges and debts say, and what was cleared is what the sandbox captured."""
    wrong = [str(found) for found in verify(connection)]
    cleared = connection.execute(
        text("select coalesce(sum(amount), 0) from ledger_posting where account = 'card_clearing'")
    ).scalar_one()
    if cleared != verdict.captured:
        wrong.append(f"ledger: {cleared} cleared, the sandbox captured {verdict.captured}")
    if not verdict.trips or verdict.trips != summary["trips"]["left"]:
        wrong.append(f"trips: {verdict.trips} compared, the sandbox handed over {summary['trips']['left']}")
    return wrong


def _report(home: Path, day: date) -> tuple[Path, Path]:
    """The company's page and workbook of that day. Raises PartFailed where they were not written."""
    html, xlsx = (home / "reports" / day.isoformat() / f"company.{kind}" for kind in ("html", "xlsx"))
    for path in (html, xlsx):
        if not path.exists():
            raise PartFailed(f"the finance report was not written: there is no {path}")
    return html, xlsx


def _runs(console: Console, airflow: AirflowApi) -> None:
    dags = (
        "catalog_sync",
        "intraday_ingestion",
        "event_feed",
        "charge_lifecycle",
        "debt_aging",
        "data_quality",
        "reconciliation",
    )
    counts = ", ".join(f"{dag_id} {len(airflow.runs(dag_id))}" for dag_id in dags)
    console.print(f"Runs under Airflow's scheduler: {counts}.")


ROWS = (
    ("trips handed over", "select store_id, count(*) as value from purchase group by 1"),
    ("  by the app", "select store_id, count(*) as value from purchase where entry_method = 'APP' group by 1"),
    ("captured, trips", "select store_id, count(*) as value from charge where state = 'CAPTURED' group by 1"),
    (
        "captured, USD",
        "select store_id, round(sum(captured), 2) as value from charge group by 1",
    ),
    ("cancelled, trips", "select store_id, count(*) as value from charge where state = 'CANCELLED' group by 1"),
    ("debts", "select store_id, count(*) as value from debt where state = 'OPEN' group by 1"),
    ("debts, USD", "select store_id, round(sum(outstanding), 2) as value from debt where state = 'OPEN' group by 1"),
    (
        "not final yet, or parked",
        "select store_id, count(*) as value from charge where state not in ('CAPTURED','CANCELLED','IN_DEBT')"
        " group by 1",
    ),
    (
        "intra-day files taken in",
        "select store_id, count(*) as value from feed_file where state in ('INGESTED', 'SAME_CONTENT') group by 1",
    ),
    ("  rows in them", "select store_id, sum(rows_read) as value from feed_file group by 1"),
    ("order lines", "select store_id, count(*) as value from amazon_order_line where not dropped group by 1"),
    (
        "breaks open",
        "select store_id, count(*) as value from reconciliation_break where closed_at is null group by 1",
    ),
    ("cases for a person", "select store_id, count(*) as value from review_case where decision is null group by 1"),
)
FEEDS = """
    select count(*) as files, count(*) filter (where state not in ('INGESTED','SAME_CONTENT')) as not_taken_in,
           (select count(*) from feed_event) as events
    from feed_file
"""
