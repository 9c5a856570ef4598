"""Puts the connector together: authentication before everything, routes, one envelope for errors, one log line a call.

No rule and no SQL here: what is decided and stored is in `backroom.entry` and `backroom.purchases`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask, Response, g, request

from backroom import logs
from backroom.clock import Clock, system_clock
from backroom.entry.decision import GateRules
from backroom.entry.gate import Gate
from backroom.purchases.point_of_sale import PointsOfSale, alert_in
from backroom.purchases.recording import Recorder
from backroom.purchases.unauthenticated import Bounds
from backroom.settings import Settings, settings
from connector_app.amazon import errors, fraud_and_abuse, health, identity, limits, metrics, openapi, order
from connector_app.amazon.authentication import Authenticator, authenticator_for
from connector_app.amazon.body import read_body

OPEN_ENDPOINTS = frozenset({"health.healthz", "health.readyz", "metrics.metrics", "openapi.document"})

LOGGED = ("request_id", "trip_id", "store_id", "outcome")


class Synchronous(Flask):
    """No view of ours is a coroutine, so that none has to be looked at for being one, at every call."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function as it is."""
        return func


def create_app(config: Settings | None = None, clock: Clock = system_clock) -> Flask:
    """The WSGI app. Raises ConfigurationError where a setting that it needs is missing or forbidden."""
    config = config or settings()
    logs.configure(config.log_level)
    app = Synchronous(__name__, static_folder=None)
    app.config["BACKROOM"] = config
    app.config["CLOCK"] = clock
    app.config["ZONES"] = limits.zones(config)
    app.config["GATE"] = Gate(
        app.config["ZONES"]["gate"].engine,
        GateRules(config.scan_code_prefix, timedelta(seconds=config.scan_code_freshness_seconds)),
        seconds=config.connector_gate_seconds / 4,
    )
    app.config["UNAUTHENTICATED"] = Bounds(config.refused_unauthenticated_carts)
    app.config["RECORDER"] = _recorder(config, app.config["ZONES"]["purchases"], clock)
    _authenticate_before_all_else(app, config, authenticator_for(config, clock))
    for room in (health, metrics, openapi, identity, fraud_and_abuse, order):
        app.register_blueprint(room.blueprint)
    errors.register(app)
    _report_each_call(app, config)
    return app


def _recorder(config: Settings, zone: limits.Zone, clock: Clock) -> Recorder:
    points_of_sale = PointsOfSale.of(config, alert=alert_in(zone.engine), clock=clock)
    return Recorder(zone.engine, price_elsewhere=points_of_sale, seconds=config.connector_purchases_seconds / 4)


def _authenticate_before_all_else(app: Flask, config: Settings, authenticator: Authenticator) -> None:
    largest = config.connector_max_body_bytes

    @app.before_request
    def _authenticate() -> Response | None:
        call, facts = request._get_current_object(), g._get_current_object()  # type: ignore[attr-defined]
        facts.began = time.perf_counter()
        if call.routing_exception is not None or call.endpoint in OPEN_ENDPOINTS:
            return None  # no such path, no such method: answered without looking at the body
        facts.body = read_body(call.stream, largest)
        refusal = authenticator.refusal(call, facts.body.sha256)
        if refusal is None:
            return None
        facts.outcome = "NOT_AUTHENTICATED"
        if call.blueprint == order.blueprint.name:
            order.keep_unauthenticated_cart(refusal)
        return errors.envelope(403, f"authentication: {refusal}")


def _report_each_call(app: Flask, config: Settings) -> None:
    """Logs and counts it. What is logged of a call are ids and an outcome, never what was sent."""
    logged = logs.LEVELS[config.log_level] <= logs.LEVELS["INFO"]

    @app.after_request
    def _report(response: Response) -> Response:
        call = request._get_current_object()  # type: ignore[attr-defined]
        facts: dict[str, Any] = g._get_current_object().__dict__
        rule = call.url_rule
        operation = rule.endpoint if rule else "none"
        if operation in OPEN_ENDPOINTS:
            return response
        seconds = time.perf_counter() - facts.get("began", time.perf_counter())
        metrics.observe(operation, response.status_code, facts.get("outcome"), seconds)
        if logged:
            logs.call_answered(
                method=call.method,
                path=rule.rule if rule else "no such path",
                status=response.status_code,
                seconds=round(seconds, 4),
                **{name: facts[name] for name in LOGGED if facts.get(name)},
            )
        return response
