"""backroom quality: check, results."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from backroom import command_line
from backroom.db.engine import check_reachable, engine
from backroom.quality import suites
from backroom.settings import settings

app = typer.Typer(help="The data quality suites and what they found.", no_args_is_help=True)

AS_JSON = typer.Option(False, "--json", help="for machines")


@app.command()
def check(
    data_set: list[str] = typer.Option([], "--data-set", help="this one alone; may be repeated"),
    run: str = typer.Option("", "--run", help="a name for the results; a repeat replaces them"),
    now: str = typer.Option("", "--now", help="business time, ISO 8601 with its zone; the present by default"),
    as_json: bool = AS_JSON,
) -> None:
    """Run the suites. Exits 1 where a critical expectation failed."""
    moment = command_line.moment(now)
    check_reachable(engine())
    folder = settings().reports_folder / "quality"
    results = suites.check(
        engine(),
        data_sets=data_set or suites.names(),
        run=run or f"by hand {moment.isoformat()}",
        now=moment,
        docs_folder=folder,
    )
    if as_json:
        typer.echo(json.dumps([result.__dict__ for result in results]))
    else:
        table = Table("data set", "expectation", "column", "severity", "", "unexpected", "rows")
        for result in results:
            if not result.success:
                table.add_row(
                    result.data_set,
                    result.meaning or result.expectation,
                    result.column_name or "",
                    result.severity,
                    "failed",
                    str(result.rows_unexpected if result.rows_unexpected is not None else ""),
                    ", ".join(map(str, result.sample[:5])),
                )
        failed = table.row_count
        if failed:
            Console().print(table)
        typer.echo(f"{len(results) - failed} of {len(results)} expectations hold; Data Docs: {folder / 'index.html'}")
    raise typer.Exit(1 if any(result.is_critical for result in results) else 0)


@app.command(name="results")
def show_results(
    limit: int = typer.Option(50, "--limit", min=1, help="show at most so many, the newest first"),
    as_json: bool = AS_JSON,
) -> None:
    """Show what failed in earlier checks."""
    check_reachable(engine())
    with engine().connect() as connection:
        rows = connection.execute(
            text(
                "select checked_at, run, data_set, expectation, column_name, severity, rows_unexpected, sample"
                " from quality_result where not success order by result_id desc limit :limit"
            ),
            {"limit": limit},
        ).all()
    if as_json:
        typer.echo(json.dumps([dict(row._mapping) for row in rows], default=str))
        return
    table = Table("checked", "run", "data set", "expectation", "column", "severity", "unexpected", "sample")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console().print(table)
