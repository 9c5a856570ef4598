"""The reference: the barest Flask handler with one committed INSERT … ON CONFLICT … RETURNING."""

from __future__ import annotations

from flask import Flask, Response, request

from backroom.db.engine import database_url
from backroom.db.serving import Statement, serving_engine
from backroom.settings import settings
from connector_app.amazon.worker import collect_rarely, take_short_turns

_INSERT = Statement(
    "insert into bare (id, body) values (%(id)s, %(body)s) on conflict (id) do update set id = bare.id returning id"
)


def create_app() -> Flask:
    """One route. Its id is a header, so that not even JSON is read."""
    app = Flask(__name__, static_folder=None)
    config = settings()
    engine = serving_engine(
        database_url(config), connections=config.connector_connections, timeout_seconds=5, application="bare"
    )

    @app.post("/bare")
    def bare() -> Response:
        row = _INSERT.one(engine, {"id": request.headers["X-Id"], "body": request.get_data()})
        return Response(f'{{"id":"{row.id}"}}', 201, content_type="application/json")

    collect_rarely()
    take_short_turns()
    return app
