"""The portal: what shoppers and their app see."""

from connector_app.portal.app import create_app

__all__ = ["create_app"]
