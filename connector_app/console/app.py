"""Puts the console together: who it is before everything, what they may, routes, safe headers, one log line a call.

No rule and no SQL here: what waits, and what a decision does, is in `backroom`.
"""

from __future__ import annotations

import time
from datetime import timedelta

import structlog
from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter, Map

from backroom import logs
from backroom.clock import Clock, system_clock
from backroom.settings import Settings, settings
from backroom.staff.sign_in import Limits
from connector_app.console import access, errors, health, words
from connector_app.console.pages import (
    audit,
    breaks,
    carts,
    catalog,
    charges,
    debts,
    feeds,
    refunds,
    refused,
    reports,
    reviews,
    today,
)

OPEN_ENDPOINTS = frozenset({"health.healthz", "health.readyz", "access.sign_in", "access.begin", "static"})
"""They ask for no session: health, the way in, the stylesheet and the one script."""
PAGES = (today, reviews, reports, breaks, carts, refused, charges, debts, refunds, feeds, catalog, audit)
QUIET = frozenset({"health.healthz", "health.readyz", "static"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

log = structlog.get_logger("console")


class RowNumber(IntegerConverter):
    """An id in an address: one that the database can hold; every other is no page of ours."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=2**63 - 1)


def create_app(config: Settings | None = None, clock: Clock = system_clock) -> Flask:
    """The WSGI app. Raises ConfigurationError where a setting is wrong."""
    config = config or settings()
    logs.configure(config.log_level)
    app = Flask(__name__, static_folder="static", template_folder="templates")
    app.url_map.converters["int"] = RowNumber
    app.config["BACKROOM"] = config
    app.config["CLOCK"] = clock
    app.config["MAX_CONTENT_LENGTH"] = config.console_max_body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = config.console_max_body_bytes
    app.config["LIMITS"] = Limits(
        timedelta(minutes=config.console_idle_minutes), timedelta(hours=config.console_session_hours)
    )
    if config.console_behind_proxy:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    app.before_request(_begin)
    access.guard(app, OPEN_ENDPOINTS)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(access.blueprint)
    for page in PAGES:
        app.register_blueprint(page.blueprint)
    words.teach(app)
    errors.register(app)
    app.after_request(_make_safe)
    app.after_request(_log_call)
    return app


def _begin() -> None:
    g.began = time.perf_counter()


def _make_safe(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response


def _log_call(response: Response) -> Response:
    rule = request.url_rule.rule if request.url_rule else "no such path"
    who = g.get("member")
    facts = {"who": who.name} if who else {}
    if "outcome" in g:
        facts["outcome"] = g.outcome
    seconds = round(time.perf_counter() - g.began, 4) if "began" in g else None
    write = log.debug if request.endpoint in QUIET else log.info
    write("call", method=request.method, path=rule, status=response.status_code, seconds=seconds, **facts)
    return response
