"""Runs `python -m backroom_stack simulate` as anyone would, and reads what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """One simulation that has ended."""

    exit_code: int
    said: dict[str, Any]

    def breaches(self, number: int) -> list[str]:
        """What was found against one invariant."""
        return list(self.said["checks"][number - 1]["breaches"])

    @property
    def all_breaches(self) -> list[str]:
        """What was found against any."""
        return [breach for check in self.said["checks"] for breach in check["breaches"]]


def simulate(home: Path, *arguments: str, plugin: str | None = None) -> Run:
    """`plugin`: a `module:function` that each worker calls before it begins."""
    environment = {key: value for key, value in os.environ.items() if key != "BACKROOM_DATABASE_URL"}
    environment |= {"BACKROOM_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    environment |= {"SIMULATION_PLUGIN": plugin} if plugin else {}
    ended = subprocess.run(
        [sys.executable, "-m", "backroom_stack", "simulate", *arguments, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert ended.returncode in (0, 1), ended.stderr[-2000:]
    assert "{" in ended.stdout, ended.stderr[-2000:]
    return Run(ended.returncode, json.loads(ended.stdout[ended.stdout.index("{") :]))
