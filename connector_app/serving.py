"""Serves one of the apps with granian, once what it needs is known to be there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from backroom import logs
from backroom.db.embedded import require_free_port
from backroom.db.engine import check_reachable, engine
from backroom.errors import BackroomError
from backroom.settings import Settings, settings


@dataclass(frozen=True)
class Place:
    """Where an app listens, and with what."""

    host: str
    port: int
    workers: int
    threads: int


def serve(name: str, factory: str, create_app: Callable[[Settings], Flask], place: Callable[[Settings], Place]) -> None:
    """Serves until it is told to stop. What is wrong with the set-up ends it with 2 and one line.

    `factory` is the path (module:function) by which each worker makes its app; `name` is as in BACKROOM_<NAME>_PORT.
    """
    try:
        config = settings()
        at = place(config)
        create_app(config)
        check_reachable(engine())
        engine().dispose()  # the workers open their own
        require_free_port(at.port, f"the {name}", f"BACKROOM_{name.upper()}_PORT")
    except BackroomError as error:
        sys.stderr.write(f"backroom {name}: {error}\n")
        sys.exit(2)
    Granian(
        factory,
        factory=True,
        interface=Interfaces.WSGI,
        address=at.host,
        port=at.port,
        workers=at.workers,
        blocking_threads=at.threads,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        log_level=LogLevels.warning,
        log_dictconfig=logs.of_server("_granian", "granian.access"),
    ).serve()
