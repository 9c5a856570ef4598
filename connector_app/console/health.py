"""Whether the process lives, and whether it can serve. These routes ask for no session."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from backroom.db import migrate
from backroom.db.engine import engine

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """The database answers and its schema is the newest."""
    try:
        current, newest = migrate.status(engine())
    except SQLAlchemyError:
        return jsonify(status="the database does not answer"), 503
    if current != newest:
        return jsonify(status=f"the database is at revision {current or 'none'}, {newest} is needed"), 503
    return jsonify(status="ready", revision=current), 200
