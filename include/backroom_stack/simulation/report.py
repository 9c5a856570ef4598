"""What a simulation says at its end: a table, or JSON."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from backroom_stack.simulation.run import Result

SHOWN = 5


def as_json(result: Result) -> str:
    """The whole result."""
    scenario = result.scenario
    shown: dict[str, Any] = {
        "seed": scenario.seed,
        "trips": scenario.trips,
        "faults": scenario.faults,
        "kills": scenario.kills,
        "capture_repeat": scenario.capture_repeat,
        "seconds": round(result.seconds, 1),
        "holds": result.holds,
        "checks": [{"number": check.number, "says": check.says, "breaches": check.breaches} for check in result.checks],
        "figures": result.figures,
    }
    return json.dumps(shown, indent=2)


def show(result: Result, console: Console) -> None:
    """A table of the checks, with the first breaches of each, and what happened."""
    table = Table("", "what must be true", "", title=f"seed {result.scenario.seed}, {result.scenario.trips} trips")
    for check in result.checks:
        held = "holds" if not check.breaches else f"{len(check.breaches)} breaches"
        table.add_row(str(check.number), check.says, held, style="" if not check.breaches else "red")
    console.print(table)
    for check in result.checks:
        for breach in check.breaches[:SHOWN]:
            console.print(f"  {check.number}: {breach}", style="red")
        if len(check.breaches) > SHOWN:
            console.print(f"  {check.number}: … and {len(check.breaches) - SHOWN} more", style="red")
    figures = result.figures
    console.print(f"{figures['trips']} carts; charges: {_counts(figures['states'])}")
    console.print(
        f"{figures['calls']} calls; {sum(figures['faults'].values())} faults; {_counts(figures['accidents'])}"
    )
    console.print(f"people decided: {_counts(figures['decisions']) or 'nothing'}")
    console.print(f"debts: {_counts(figures['debtors']) or 'none paid or written off'}")
    console.print(f"refunds: {_counts(figures['refunds']) or 'none asked for'}")
    console.print(f"{figures['simulated_hours']} hours in {result.seconds:.0f} s")


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in found.items())
