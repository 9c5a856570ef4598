"""The connector: what Amazon calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask


def create_app(*args: Any, **kwargs: Any) -> Flask:
    """The WSGI app, imported late: metrics choose how they count when they are first imported."""
    from connector_app.amazon.app import create_app as create

    return create(*args, **kwargs)
