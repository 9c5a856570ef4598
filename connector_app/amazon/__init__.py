"""The connector: what Amazon calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask


def create_app(*args: Any, **kwargs: Any) -> Flask:
    """The WSGI app; see `connector_app.amazon.app`. Imported late: metrics choose how they count when first imported."""
    from connector_app.amazon.app import create_app as create

    return create(*args, **kwargs)
