"""Puts the portal together: authentication before everything, routes, one envelope for errors, one log line a call.

No rule and no SQL here: who gets a code is decided in `backroom.entry`.
"""

from __future__ import annotations

import time

import structlog
from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as AnyResponse

from backroom import logs
from backroom.clock import Clock, system_clock
from backroom.errors import ConfigurationError
from backroom.mailing import Mailer, SesMailer
from backroom.settings import Settings, settings
from backroom.shoppers.sealing import seal_of
from connector_app.portal import errors, health, pages, recognition_tokens, webhooks
from connector_app.portal.bearer import IdentityProvider, NotAuthenticated, identity_provider
from connector_app.portal.links import LinkSender
from connector_app.portal.pages import visit

HEALTH_ENDPOINTS = frozenset({"health.healthz", "health.readyz"})
SIGNED_ENDPOINTS = frozenset({"webhooks.stripe", "webhooks.sandbox"})
"""They check a signature of their own: a processor has no shopper's token."""
OPEN_ENDPOINTS = HEALTH_ENDPOINTS | SIGNED_ENDPOINTS

log = structlog.get_logger("portal")


def create_app(config: Settings | None = None, clock: Clock = system_clock, mailer: Mailer | None = None) -> Flask:
    """The WSGI app. Raises ConfigurationError where a setting that it needs is missing or too weak.

    `mailer` sends sign-in links; None: SES, from the first link on.
    """
    config = config or settings()
    logs.configure(config.log_level)
    app = Flask(__name__, static_folder=None)
    app.config["BACKROOM"] = config
    app.config["CLOCK"] = clock
    seal_of(config)  # no page without the key that its addresses are sealed with
    _check_public_url(config)
    app.config["LINKS"] = LinkSender(config, clock, lambda: mailer or SesMailer(config))
    if config.portal_trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=config.portal_trusted_proxies)  # type: ignore[method-assign]
    _authenticate_before_all_else(app, identity_provider(config), clock)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(recognition_tokens.blueprint)
    app.register_blueprint(webhooks.blueprint)
    pages.register(app)
    errors.register(app)
    app.after_request(_log_call)
    return app


def _authenticate_before_all_else(app: Flask, provider: IdentityProvider, clock: Clock) -> None:
    @app.before_request
    def _authenticate() -> AnyResponse | None:
        g.began = time.perf_counter()
        if request.routing_exception is not None or request.endpoint in OPEN_ENDPOINTS:
            return None  # no such path, no such method: answered without looking at the call
        if request.blueprint is not None and request.blueprint.startswith("pages_"):
            return visit.admit()
        try:
            g.shopper_id = provider.shopper(request.headers.get("Authorization"), clock())
        except NotAuthenticated as error:
            g.outcome = f"NOT_AUTHENTICATED {error.reason}"
            answer = errors.envelope(401, "authentication: a valid bearer token is needed")
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        return None


def _check_public_url(config: Settings) -> None:
    """Cookies of sessions travel encrypted, but on a developer's own machine."""
    if not config.portal_public_url.startswith("https://") and config.env == "production":
        raise ConfigurationError("BACKROOM_PORTAL_PUBLIC_URL must begin with https:// where BACKROOM_ENV=production")


def _log_call(response: Response) -> Response:
    rule = request.url_rule.rule if request.url_rule else "no such path"
    facts = {name: g.get(name) for name in ("store_id", "outcome") if g.get(name)}
    seconds = round(time.perf_counter() - g.began, 4) if "began" in g else None
    write = log.debug if request.endpoint in HEALTH_ENDPOINTS else log.info
    write("call", method=request.method, path=rule, status=response.status_code, seconds=seconds, **facts)
    return response
