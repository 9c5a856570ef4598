"""The pages that shoppers see: HTML that works without JavaScript."""

from flask import Flask

from connector_app.portal.pages import account, debts, entry_code, presenting, refunds, sign_in, trips, visit

__all__ = ["register"]


def register(app: Flask) -> None:
    """Adds the pages, their filters and their headers."""
    presenting.register(app)
    for part in (sign_in, entry_code, trips, refunds, debts, account):
        app.register_blueprint(part.blueprint)
    app.after_request(visit.dress)
