"""Whether the process lives, and whether it can serve. These routes ask for no credentials."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from backroom.db import migrate
from backroom.db.engine import engine
from connector_app.portal.errors import envelope

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def readyz() -> Response:
    """The database answers and its schema is the newest."""
    try:
        current, newest = migrate.status(engine())
    except SQLAlchemyError:
        return envelope(503, "database: unreachable")
    if current != newest:
        return envelope(503, f"database: at revision {current or 'none'}, {newest} is needed")
    return jsonify(status="ready", revision=current)
