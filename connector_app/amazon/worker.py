"""The app as each process of the server makes it."""

from __future__ import annotations

import gc
import sys

from flask import Flask

from connector_app.amazon.app import create_app as create


def create_app() -> Flask:
    """The app, in a process whose garbage is collected more rarely."""
    app = create()
    collect_rarely()
    take_short_turns()
    return app


def collect_rarely() -> None:
    """A call leaves no cycles behind, but makes hundreds of objects, and what stays for good is large (code, shelves).

    With Python's own thresholds nearly each call would be followed by a search for cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def take_short_turns() -> None:
    """A thread that comes back from the database waits for its turn as long as another may keep it: Python's own 5 ms,
    several times a call, are most of what the slowest calls took.
    """
    sys.setswitchinterval(0.0005)
