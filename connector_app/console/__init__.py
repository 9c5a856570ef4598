"""The console: where staff work."""

from connector_app.console.app import create_app

__all__ = ["create_app"]
