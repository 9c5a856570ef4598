"""The app as each process of the server makes it."""

from __future__ import annotations

import gc

from flask import Flask

from connector_app.amazon.app import create_app as create


def create_app() -> Flask:
    """The app, in a process whose garbage is collected more rarely."""
    app = create()
    collect_rarely()
    return app


def collect_rarely() -> None:
    """A call leaves no cycles behind, but makes hundreds of objects, and what stays for good is large (code, shelves).

    With Python's own thresholds nearly each call would be followed by a search for cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
