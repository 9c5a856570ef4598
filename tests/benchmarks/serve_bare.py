"""Serves the reference as the connector is served."""

from __future__ import annotations

import sys

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from backroom.settings import settings

if __name__ == "__main__":
    config = settings()
    Granian(
        "tests.benchmarks.bare_app:create_app",
        factory=True,
        interface=Interfaces.WSGI,
        port=int(sys.argv[1]),
        workers=config.connector_workers,
        blocking_threads=config.connector_gate_calls
        + config.connector_purchases_calls
        + 2 * config.connector_waiting
        + 4,
        websockets=False,
        log_level=LogLevels.warning,
    ).serve()
