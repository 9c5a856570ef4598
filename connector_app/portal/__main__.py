"""Serves the portal with granian: `python -m connector_app.portal`."""

from __future__ import annotations

from backroom.settings import Settings
from connector_app.portal.app import create_app
from connector_app.serving import Place, serve


def _place(config: Settings) -> Place:
    threads = min(config.portal_threads, config.db_pool_size)  # no thread waits for a connection
    return Place(config.portal_host, config.portal_port, config.portal_workers, threads)


if __name__ == "__main__":
    serve("portal", "connector_app.portal:create_app", create_app, _place)
