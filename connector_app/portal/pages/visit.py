"""A visit: the session's cookie, what its scope may open, forms that only our own pages can send, headers.

Every page needs a session but those on `OPEN_PAGES`. A page that a session's scope does not name is not there for it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from flask import Response, abort, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from backroom.clock import Clock
from backroom.db.engine import transaction
from backroom.languages.words import DEFAULT, LOCALES
from backroom.settings import Settings
from backroom.shoppers import sessions
from backroom.shoppers.sessions import Lives, Visitor

OPEN_PAGES: Final = frozenset(
    {
        "pages_sign_in.begin", "pages_sign_in.ask", "pages_sign_in.link", "pages_sign_in.use_link",
        "pages_sign_in.look_up", "pages_sign_in.find_paid", "pages_sign_in.find_unpaid", "pages_sign_in.home",
        "pages_sign_in.style", "pages_sign_in.script",
    }
)  # fmt: skip
OF_RECEIPT: Final = frozenset(
    {
        "pages_trips.show", "pages_trips.pdf", "pages_refunds.choose", "pages_refunds.ask", "pages_debts.pay",
        "pages_debts.payment", "pages_debts.settle_payment", "pages_account.sign_out",
    }
)  # fmt: skip
OF_PAYMENT: Final = frozenset(
    {"pages_debts.pay", "pages_debts.payment", "pages_debts.settle_payment", "pages_account.sign_out"}
)
HSTS: Final = "max-age=31536000"
_SESSION, _FORM, _LANGUAGE = "session", "visit", "language"


def admit() -> AnyResponse | None:
    """Before every page: who is it, may they, is the form ours. An answer ends the call."""
    config: Settings = current_app.config["BACKROOM"]
    request.max_content_length = config.portal_max_body_bytes
    g.language = _language()
    g.visitor = None
    if _unfit(request.path) or any(_unfit(said) for _, values in request.values.lists() for said in values):
        abort(404)
    g.visitor = _visitor(config)
    if request.endpoint not in OPEN_PAGES:
        if g.visitor is None:
            return redirect(url_for("pages_sign_in.begin"), 303)
        allowed = {"RECEIPT": OF_RECEIPT, "PAYMENT": OF_PAYMENT}.get(g.visitor.scope)
        if allowed is not None and request.endpoint not in allowed:
            abort(404)
    if request.method == "POST":
        _check_form(config)
    return None


def visitor() -> Visitor:
    """Who is signed in, on a page that needs it."""
    found: Visitor = g.visitor
    return found


def caller() -> str:
    """Where the call comes from, to count tries by: of IPv6 its network, as one caller has all addresses of it."""
    said = request.remote_addr or "nowhere"
    try:
        address = ip_address(said)
    except ValueError:
        return said
    return said if isinstance(address, IPv4Address) else str(ip_network((address, 64), strict=False))


def start(response: AnyResponse, scope: sessions.Scope, **whose: str) -> AnyResponse:
    """Signs in under a new cookie; what was there before is over."""
    cookie = secrets.token_urlsafe(32)
    with transaction() as connection:
        if g.visitor is not None:
            sessions.end(connection, g.visitor.session_hash, now=now())
        sessions.begin(
            connection,
            cookie,
            scope,
            now=now(),
            address_index=whose.get("address_index"),
            shopping_trip_id=whose.get("shopping_trip_id"),
        )
    _set(response, _SESSION, cookie)
    return response


def stop(response: AnyResponse) -> AnyResponse:
    """Signs out, here and in the database."""
    if g.visitor is not None:
        with transaction() as connection:
            sessions.end(connection, g.visitor.session_hash, now=now())
    response.delete_cookie(_name(_SESSION), secure=_secure(), path="/")
    return response


def form_token() -> str:
    """What a form carries, so that only a page that we gave this browser can send it."""
    if "form_cookie" not in g:
        g.form_cookie = request.cookies.get(_name(_SESSION)) if g.visitor is not None else None
        g.form_cookie = g.form_cookie or request.cookies.get(_name(_FORM))
        if g.form_cookie is None:
            g.form_cookie = g.new_form_cookie = secrets.token_urlsafe(32)
    return _of_cookie(g.form_cookie)


def now() -> datetime:
    """By the app's clock."""
    clock: Clock = current_app.config["CLOCK"]
    return clock()


def dress(response: Response) -> Response:
    """Headers of every answer of the portal; cookies of pages."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if _secure():
        response.headers.setdefault("Strict-Transport-Security", HSTS)
    response.headers.setdefault("Content-Security-Policy", _policy())
    if request.blueprint is not None and request.blueprint.startswith("pages_"):
        response.headers.setdefault("Cache-Control", "no-store")
        if "new_form_cookie" in g:
            _set(response, _FORM, g.new_form_cookie, lax=False)
        if g.get("new_language"):
            _set(response, _LANGUAGE, g.new_language)
    return response


def _policy() -> str:
    """Nothing from anywhere else; forms may lead on to the payment page where one is offered."""
    pay = g.get("payment_origin")
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action 'self'{' ' + pay if pay else ''}"
    )


def _unfit(said: str) -> bool:
    """What no database keeps as text."""
    return "\0" in said or any("\ud800" <= character <= "\udfff" for character in said)


def _visitor(config: Settings) -> Visitor | None:
    cookie = request.cookies.get(_name(_SESSION))
    if not cookie or len(cookie) > 100:
        return None
    lives = Lives(timedelta(minutes=config.portal_session_minutes), timedelta(hours=config.portal_session_hours))
    with transaction() as connection:
        return sessions.of_cookie(connection, cookie, lives, now=now())


def _language() -> str:
    asked = request.args.get("lang", "")
    if asked in LOCALES:
        g.new_language = asked
        return asked
    kept = request.cookies.get(_name(_LANGUAGE), "")
    if kept in LOCALES:
        return kept
    return request.accept_languages.best_match(list(LOCALES)) or DEFAULT


def _check_form(config: Settings) -> None:
    """403 for a form of another site's. Browsers say where a form comes from; the token needs no trust in that."""
    origin = request.headers.get("Origin")
    ours = {_origin(config.portal_public_url), _origin(request.host_url)}
    if origin is not None and origin not in ours:
        abort(403)
    sent = request.form.get("form", "")
    cookies = [request.cookies.get(_name(name)) for name in (_SESSION, _FORM)]
    if not any(cookie and hmac.compare_digest(_of_cookie(cookie), sent) for cookie in cookies):
        abort(403)


def _of_cookie(cookie: str) -> str:
    return hashlib.sha256(f"form {cookie}".encode("utf-8", "surrogatepass")).hexdigest()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _secure() -> bool:
    return bool(current_app.config["BACKROOM"].portal_public_url.startswith("https://"))


def _name(cookie: str) -> str:
    return f"__Host-{cookie}" if _secure() else cookie


def _set(response: AnyResponse, name: str, value: str, *, lax: bool = True) -> None:
    """Lax, for who comes back from the payment page; the form's own cookie is strict. Ends with the browser."""
    response.set_cookie(
        _name(name), value, httponly=True, secure=_secure(), samesite="Lax" if lax else "Strict", path="/"
    )
