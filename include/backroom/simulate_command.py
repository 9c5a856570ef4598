"""backroom simulate: starts the proof by simulation, which stands on all parts and is therefore no part of Backroom."""

from __future__ import annotations

import subprocess
import sys

import typer

app = typer.Typer(help="Prove the money by simulation: faults, kills, and what must be true at the end.")


@app.callback(invoke_without_command=True)
def simulate(
    seed: int = typer.Option(1, "--seed", help="the same seed makes the same trips and faults"),
    trips: int = typer.Option(500, "--trips", help="shopping trips"),
    faults: float = typer.Option(0.2, "--faults", help="share of the trips whose calls of each kind go wrong"),
    kills: int = typer.Option(5, "--kills", help="workers killed; a fifth as many are frozen beyond their lease"),
    days: int | None = typer.Option(None, "--days", help="days over which the trips come; by default as needed"),
    capture_repeat: str = typer.Option(
        "double", "--capture-repeat", help="what a repeated capture does at Amazon's: safe or double"
    ),
    as_json: bool = typer.Option(False, "--json", help="for machines"),
) -> None:
    """Run one simulation with a database of its own (docs/simulation.md). Exits 1 on any breach."""
    asked = ["--seed", seed, "--trips", trips, "--faults", faults, "--kills", kills, "--capture-repeat", capture_repeat]
    asked += ["--days", days] if days is not None else []
    asked += ["--json"] if as_json else []
    command = [sys.executable, "-m", "backroom_stack", "simulate", *map(str, asked)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)
