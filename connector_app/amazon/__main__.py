"""Serves the connector with granian: `python -m connector_app.amazon`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from backroom import logs
from backroom.db.embedded import require_free_port
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.settings import Settings, settings
from connector_app.amazon import create_app


def main() -> None:
    """Serves until it is told to stop. What is wrong with the set-up ends it with 2 and one line."""
    counted = tempfile.mkdtemp(prefix="backroom-metrics-")
    # each worker counts in a file of its own there; set before the app is first imported, which settles how it counts
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = counted
    try:
        _serve(_checked())
    except BackroomError as error:
        sys.stderr.write(f"backroom connector: {error}\n")
        sys.exit(2)
    finally:
        shutil.rmtree(counted, ignore_errors=True)


def _serve(config: Settings) -> None:
    """More threads than calls that are worked on or wait, so that there is always one to turn a call away."""
    worked_on = config.connector_gate_calls + config.connector_purchases_calls
    Granian(
        "connector_app.amazon.worker:create_app",
        factory=True,
        interface=Interfaces.WSGI,
        address=config.connector_host,
        port=config.connector_port,
        workers=config.connector_workers,
        blocking_threads=worked_on + 2 * config.connector_waiting + 4,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        log_level=LogLevels.warning,
        log_dictconfig=logs.of_server("_granian", "granian.access"),
    ).serve()


def _checked() -> Settings:
    config = settings()
    create_app(config)
    check_reachable(engine())
    engine().dispose()  # the workers open their own
    require_free_port(config.connector_port, "the connector", "BACKROOM_CONNECTOR_PORT")
    return config


if __name__ == "__main__":
    main()
