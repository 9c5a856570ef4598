"""What `make up` does once the parts run, so that the connector can price a cart at once."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime

import httpx
from rich.console import Console

from backroom_stack.part import PartFailed
from backroom_stack.supervisor import Supervisor


def run_clock(sandbox_url: str, now: datetime) -> None:
    """Brings the sandbox's clock to the present and lets it run: captures mature, windows close, files come."""
    answer = httpx.post(f"{sandbox_url}/sandbox/clock", json={"now": now.isoformat(), "running": True}, timeout=300)
    if answer.is_error:
        raise PartFailed(f"the sandbox's clock can't be started: {answer.text}")


def synchronise_catalog(supervisor: Supervisor, console: Console) -> None:
    """Runs `backroom catalog sync` as the pipeline's role."""
    environment = {**os.environ, **supervisor.environment.pipeline()}
    done = subprocess.run(
        [sys.executable, "-m", "backroom.cli", "catalog", "sync"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PartFailed(f"the catalog could not be synchronised: {(done.stderr or done.stdout).strip()}")
    console.print("  the demo's catalog is at Amazon and here")
