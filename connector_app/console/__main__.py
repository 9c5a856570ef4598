"""Serves the console with granian: `python -m connector_app.console`."""

from __future__ import annotations

import sys

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from backroom import logs
from backroom.db.embedded import require_free_port
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.settings import Settings, settings
from connector_app.console.app import create_app


def main() -> None:
    """Serves until it is told to stop. What is wrong with the set-up ends it with 2 and one line."""
    try:
        config = _checked()
    except BackroomError as error:
        sys.stderr.write(f"backroom console: {error}\n")
        sys.exit(2)
    Granian(
        "connector_app.console:create_app",
        factory=True,
        interface=Interfaces.WSGI,
        address=config.console_host,
        port=config.console_port,
        workers=config.console_workers,
        blocking_threads=min(config.console_threads, config.db_pool_size),  # no thread waits for a connection
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
    require_free_port(config.console_port, "the console", "BACKROOM_CONSOLE_PORT")
    return config


if __name__ == "__main__":
    main()
