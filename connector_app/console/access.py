"""Who may in: signing in and out, the session before each call, the form's token, and what each route asks for."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from typing import TypeVar

from flask import Blueprint, Flask, Response, current_app, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from backroom.db.engine import engine, transaction
from backroom.staff import sign_in as staff
from backroom.staff.permissions import Permission
from backroom.staff.sign_in import Member, SignInRefused
from connector_app.console.errors import Refused

SESSION_COOKIE = "backroom_console"
FORM_COOKIE = "backroom_form"
"""Ties the sign-in form to the browser that asked for it, before there is a session."""
LONGEST_COOKIE = 200

blueprint = Blueprint("access", __name__)
View = TypeVar("View", bound=Callable[..., object])


def needs(permission: Permission) -> Callable[[View], View]:
    """What a route asks of who calls it; a route that asks for nothing is answered 403."""

    def mark(view: View) -> View:
        view.permission = permission  # type: ignore[attr-defined]
        return view

    return mark


def guard(app: Flask, open_endpoints: frozenset[str]) -> None:
    """Before each call: the session, the permission, and that a form is one of ours."""

    @app.before_request
    def _guard() -> Answer | None:
        if request.routing_exception is not None:
            return None  # no such path, no such method: answered without looking at the call
        if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") not in (
            "same-origin", "none",
        ):  # fmt: skip
            raise Refused(403, "This form was sent from another site.")
        if request.endpoint in open_endpoints:
            return None
        cookie = request.cookies.get(SESSION_COOKIE, "")
        member = _member(cookie)
        if member is None:
            if request.method == "GET" and request.headers.get("HX-Request"):
                # a part of a page was asked for by script: the whole page goes to sign in
                return Response("", 200, {"HX-Redirect": url_for("access.sign_in", next=_here())})
            if request.method == "GET":
                return redirect(url_for("access.sign_in", next=_here()), 303)
            raise Refused(401, "Your session has ended; nothing was changed. Sign in and do it again.")
        g.member, g.form_token = member, staff.form_token(cookie)
        if request.method == "POST" and not staff.is_form_token(cookie, request.form.get("form_token", "")):
            raise Refused(403, "This form is not of your session any more; go back, load the page again and repeat.")
        asked = getattr(app.view_functions[request.endpoint or ""], "permission", None)
        if asked is None or not member.may(asked):
            need = f" It takes the permission to {asked}." if asked else ""
            raise Refused(403, f"As {' and '.join(member.roles)} you can't do this.{need}")
        return None


def member() -> Member:
    """Who calls."""
    who: Member = g.member
    return who


@blueprint.get("/sign-in")
def sign_in() -> Answer:
    """The form."""
    if _member(request.cookies.get(SESSION_COOKIE, "")) is not None:
        return redirect(url_for("today.today"), 303)
    return _form(200)


@blueprint.post("/sign-in")
def begin() -> Answer:
    """Name and password; then to where one was going."""
    cookie = request.cookies.get(FORM_COOKIE, "")
    if (
        not cookie
        or len(cookie) > LONGEST_COOKIE
        or not staff.is_form_token(cookie, request.form.get("form_token", ""))
    ):
        return _form(403, "The form was too old, or your browser takes no cookies. Try again.")
    name, password = request.form.get("name", ""), request.form.get("password", "")
    try:
        token = _sign_in(name, password)
    except SignInRefused as refused:
        g.outcome = "SIGN_IN_REFUSED"
        if refused.wait is None:
            return _form(401, "Name or password is wrong.", name)
        minutes = math.ceil(refused.wait.total_seconds() / 60)
        waiting = _form(
            429, f"Too many tries. Wait {minutes} minute{'' if minutes == 1 else 's'}, then try again.", name
        )
        waiting.headers["Retry-After"] = str(math.ceil(refused.wait.total_seconds()))
        return waiting
    g.outcome = "SIGNED_IN"
    answer = redirect(_target(request.form.get("next", "")), 303)
    _set_cookie(answer, SESSION_COOKIE, token)
    answer.delete_cookie(FORM_COOKIE, path="/sign-in")
    return answer


@blueprint.post("/sign-out")
@needs(Permission.SEE_TODAY)
def sign_out() -> Answer:
    """Ends the person's sessions everywhere."""
    with transaction() as connection:
        staff.sign_out(connection, member(), now=current_app.config["CLOCK"]())
    answer = redirect(url_for("access.sign_in"), 303)
    answer.delete_cookie(SESSION_COOKIE)
    return answer


def _sign_in(name: str, password: str) -> str:
    """A try that fails is counted: what it wrote is committed before it is told."""
    with engine().connect() as connection:
        try:
            return staff.sign_in(
                connection,
                name,
                password,
                address=request.remote_addr or "",
                new_token=lambda: secrets.token_urlsafe(32),
                now=current_app.config["CLOCK"](),
            )
        finally:
            connection.commit()


def _member(cookie: str) -> Member | None:
    if not cookie or len(cookie) > LONGEST_COOKIE:
        return None
    with transaction() as connection:
        return staff.session(connection, cookie, limits=current_app.config["LIMITS"], now=current_app.config["CLOCK"]())


def _form(status: int, complaint: str = "", name: str = "") -> Response:
    cookie = secrets.token_urlsafe(32)
    wanted = request.values.get("next", "")
    answer = current_app.make_response(
        (
            render_template(
                "sign_in.html",
                complaint=complaint,
                name=name[:64],
                wanted=wanted if _target(wanted) == wanted else "",
                form_token=staff.form_token(cookie),
            ),
            status,
        )
    )
    _set_cookie(answer, FORM_COOKIE, cookie, path="/sign-in")
    return answer


def _set_cookie(answer: Answer, name: str, value: str, path: str = "/") -> None:
    local = current_app.config["BACKROOM"].env == "development"
    answer.set_cookie(name, value, httponly=True, samesite="Lax", secure=not local or request.is_secure, path=path)


def _here() -> str:
    """Path and query of this page, to come back to; only where there is one to see."""
    where = request.full_path.rstrip("?")
    return "" if where == "/" or len(where) > 1_000 else where


def _target(wanted: str) -> str:
    """Where to go after signing in: a path of ours, never another site's."""
    fine = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    return wanted if fine and len(wanted) <= 1_000 else url_for("today.today")
