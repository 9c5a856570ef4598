"""Serves the console with granian: `python -m connector_app.console`."""

from __future__ import annotations

from backroom.settings import Settings
from connector_app.console.app import create_app
from connector_app.serving import Place, serve


def _place(config: Settings) -> Place:
    threads = min(config.console_threads, config.db_pool_size)  # no thread waits for a connection
    return Place(config.console_host, config.console_port, config.console_workers, threads)


if __name__ == "__main__":
    serve("console", "connector_app.console:create_app", create_app, _place)
