"""The connector: what Amazon calls."""

from connector_app.amazon.app import create_app

__all__ = ["create_app"]
