"""Serves the connector with granian: `python -m connector_app.amazon`."""

from __future__ import annotations

import os
import shutil
import tempfile

from backroom.settings import Settings
from connector_app.amazon import create_app
from connector_app.serving import Place, serve


def main() -> None:
    """Serves until it is told to stop. What is wrong with the set-up ends it with 2 and one line."""
    counted = tempfile.mkdtemp(prefix="backroom-metrics-")
    # each worker counts in a file of its own there; set before the app is first made, which settles how it counts
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = counted
    try:
        serve("connector", "connector_app.amazon.worker:create_app", create_app, _place)
    finally:
        shutil.rmtree(counted, ignore_errors=True)


def _place(config: Settings) -> Place:
    """More threads than calls that are worked on or wait, so that there is always one to turn a call away."""
    worked_on = config.connector_gate_calls + config.connector_purchases_calls
    threads = worked_on + 2 * config.connector_waiting + 4
    return Place(config.connector_host, config.connector_port, config.connector_workers, threads)


if __name__ == "__main__":
    main()
