"""Puts the connector together: authentication before everything, routes, one envelope for errors, one log line a call.

No rule and no SQL here: what is decided and stored is in `backroom.entry` and `backroom.purchases`.
"""

from __future__ import annotations

import time

import structlog
from flask import Flask, Response, g, request

from backroom import logs
from backroom.clock import Clock, system_clock
from backroom.settings import Settings, settings
from connector_app.amazon import errors, health, identity, order
from connector_app.amazon.authentication import Authenticator, authenticator_for
from connector_app.amazon.body import read_body

OPEN_ENDPOINTS = frozenset({"health.healthz", "health.readyz"})

log = structlog.get_logger("connector")


def create_app(config: Settings | None = None, clock: Clock = system_clock) -> Flask:
    """The WSGI app. Raises ConfigurationError where a setting that it needs is missing or forbidden."""
    config = config or settings()
    logs.configure(config.log_level)
    app = Flask(__name__, static_folder=None)
    app.config["BACKROOM"] = config
    app.config["CLOCK"] = clock
    _authenticate_before_all_else(app, config, authenticator_for(config, clock))
    app.register_blueprint(health.blueprint)
    app.register_blueprint(identity.blueprint)
    app.register_blueprint(order.blueprint)
    errors.register(app)
    app.after_request(_log_call)
    return app


def _authenticate_before_all_else(app: Flask, config: Settings, authenticator: Authenticator) -> None:
    @app.before_request
    def _authenticate() -> Response | None:
        g.began = time.perf_counter()
        if request.routing_exception is not None or request.endpoint in OPEN_ENDPOINTS:
            return None  # no such path, no such method: answered without looking at the body
        g.body = read_body(request.stream, config.connector_max_body_bytes)
        refusal = authenticator.refusal(request, g.body.sha256)
        if refusal is None:
            return None
        g.outcome = "NOT_AUTHENTICATED"
        return errors.envelope(403, f"authentication: {refusal}")


def _log_call(response: Response) -> Response:
    rule = request.url_rule.rule if request.url_rule else "no such path"
    facts = {name: g.get(name) for name in ("request_id", "trip_id", "store_id", "outcome") if g.get(name)}
    seconds = round(time.perf_counter() - g.began, 4) if "began" in g else None
    write = log.debug if request.endpoint in OPEN_ENDPOINTS else log.info
    write("call", method=request.method, path=rule, status=response.status_code, seconds=seconds, **facts)
    return response
