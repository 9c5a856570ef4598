"""Figures, the limits that they must keep, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Goal:
    """A figure, the limit it must keep (None: it is there to be read beside another), and what is aimed for."""

    name: str
    value: float
    limit: float | None
    at_least: bool
    unit: str = ""
    aim: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the limit holds."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def show(console: Console, title: str, goals: Sequence[Goal], reference: str) -> int:
    """Prints the table; the exit code: 1 where a limit is missed."""
    table = Table(title, "measured", "limit", "aim", "")
    for goal in goals:
        limit = "" if goal.limit is None else f"{'≥' if goal.at_least else '≤'} {goal.limit:g} {goal.unit}"
        aim = "" if goal.aim is None else f"{goal.aim:g}"
        table.add_row(goal.name, f"{goal.value:.2f} {goal.unit}", limit, aim, "" if goal.kept else "[red]missed[/red]")
    console.print(table)
    console.print(f"reference: {reference}")
    return 0 if all(goal.kept for goal in goals) else 1
