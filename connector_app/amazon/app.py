"""Puts the connector together: authentication before everything, routes, one envelope for errors, one log line a call.

No rule and no SQL here: what is decided and stored is in `backroom.entry` and `backroom.purchases`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
from connector_app.amazon.short_way import Report, Route, ShortWay, read_call

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
    app.config["UNAUTHENTICATED"] = Bounds(config.refused_unauthenticated_carts)
    authenticator = authenticator_for(config, clock)
    _authenticate_before_all_else(app, config, authenticator)
    for room in (health, metrics, openapi, identity, fraud_and_abuse, order):
        app.register_blueprint(room.blueprint)
    errors.register(app)
    report = _report_of(config)
    _report_each_call(app, report)
    _take_the_short_way(app, config, clock, authenticator, report)
    return app


def _take_the_short_way(
    app: Flask, config: Settings, clock: Clock, authenticator: Authenticator, report: Report
) -> None:
    zones = app.config["ZONES"]
    app.config["GATE"] = gate = Gate(
        zones["gate"].engine,
        GateRules(config.scan_code_prefix, timedelta(seconds=config.scan_code_freshness_seconds)),
        seconds=config.connector_gate_seconds / 4,
    )
    app.config["RECORDER"] = recorder = _recorder(config, zones["purchases"], clock)
    app.config["GATE_EVENTS"] = gate_events = identity.GateEvents(gate, zones["gate"], clock, config)
    app.config["CARTS"] = carts = order.Carts(recorder, zones["purchases"], clock, config.auth_event_locations)
    app.wsgi_app = ShortWay(  # type: ignore[method-assign]
        app.wsgi_app,
        {
            "/v1/identity/identity-keys": Route("identity.identity_keys", "identity", gate_events.work),
            "/v1/order/purchases": Route("order.purchases", "order", carts.work),
        },
        authenticator=authenticator,
        largest_body=config.connector_max_body_bytes,
        report=report,
    )


def _recorder(config: Settings, zone: limits.Zone, clock: Clock) -> Recorder:
    points_of_sale = PointsOfSale.of(config, alert=alert_in(zone.engine), clock=clock)
    return Recorder(zone.engine, price_elsewhere=points_of_sale, seconds=config.connector_purchases_seconds / 4)


def _authenticate_before_all_else(app: Flask, config: Settings, authenticator: Authenticator) -> None:
    largest = config.connector_max_body_bytes

    @app.before_request
    def _authenticate() -> Response | None:
        received, kept = request._get_current_object(), g._get_current_object()  # type: ignore[attr-defined]
        kept.began = time.perf_counter()
        if received.routing_exception is not None or received.endpoint in OPEN_ENDPOINTS:
            return None  # no such path, no such method: answered without looking at the body
        kept.call = call = read_call(received.environ, largest)
        kept.body, kept.began = call.body, call.began
        vars(kept).update(call.facts)
        refusal = authenticator.refusal(received.environ, received.blueprint or "", call.body)
        if refusal is None:
            return None
        kept.outcome = "NOT_AUTHENTICATED"
        if received.blueprint == order.blueprint.name:
            order.keep_unauthenticated_cart(refusal)
        return errors.envelope(403, f"authentication: {refusal}")


def _report_of(config: Settings) -> Report:
    """Logs and counts a call. What is logged of it are ids and an outcome, never what was sent."""
    logged = logs.LEVELS[config.log_level] <= logs.LEVELS["INFO"]

    def report(method: str, path: str, operation: str, status: int, facts: Mapping[str, Any], began: float) -> None:
        seconds = time.perf_counter() - began
        metrics.observe(operation, status, facts.get("outcome"), seconds)
        if logged:
            logs.call_answered(
                method=method,
                path=path,
                status=status,
                seconds=round(seconds, 4),
                **{name: facts[name] for name in LOGGED if facts.get(name)},
            )

    return report


def _report_each_call(app: Flask, report: Report) -> None:
    @app.after_request
    def _report(answer: Response) -> Response:
        call = request._get_current_object()  # type: ignore[attr-defined]
        facts: dict[str, Any] = g._get_current_object().__dict__
        rule = call.url_rule
        operation = rule.endpoint if rule else "none"
        if operation not in OPEN_ENDPOINTS:
            path = rule.rule if rule else "no such path"
            report(call.method, path, operation, answer.status_code, facts, facts.get("began", time.perf_counter()))
        return answer
