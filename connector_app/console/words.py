"""How things are written on pages: amounts, instants, days, names of kinds; and what every page knows."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from flask import Flask, current_app, g, request, url_for
from markupsafe import Markup, escape

from backroom.db.engine import transaction
from backroom.money import places
from backroom.staff import sign_in as staff
from backroom.staff.permissions import Permission

HTMX = json.dumps(
    {
        "allowEval": False, "allowScriptTags": False, "includeIndicatorStyles": False, "selfRequestsOnly": True,
        "historyCacheSize": 0,  # no page is kept in the browser's storage: going back loads it anew
        "refreshOnHistoryMiss": True,
        "responseHandling": [{"code": "204", "swap": False}, {"code": "...", "swap": True}],  # errors are pages too
    }
)  # fmt: skip
"""How the one script behaves, told in a `meta`: nothing is evaluated, and nothing of a page is kept."""
_COMMAND = re.compile(r"`([^`]{1,200})`")
MENU = (
    ("Today", "today.today", Permission.SEE_TODAY),
    ("Cases", "reviews.cases", Permission.SEE_TODAY),
    ("Reports", "reports.runs", Permission.SEE_REPORTS),
    ("Breaks", "breaks.breaks", Permission.SEE_BREAKS),
    ("Bad carts", "carts.carts", Permission.SEE_CARTS),
    ("Refused carts", "refused.refused", Permission.RESOLVE_CARTS),
    ("Charges", "charges.charges", Permission.SEE_MONEY),
    ("Debts", "debts.debts", Permission.SEE_MONEY),
    ("Refunds", "refunds.requests", Permission.SEE_MONEY),
    ("File gaps", "feeds.gaps", Permission.SEE_FEEDS),
    ("Quarantine", "feeds.quarantine", Permission.SEE_FEEDS),
    ("Catalog", "catalog.rejections", Permission.SEE_CATALOG),
    ("Audit trail", "audit.entries", Permission.SEE_AUDIT),
)


def teach(app: Flask) -> None:
    """Gives the templates their words."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(money=money, at=at, day=day, kind=kind, known=known, quantity=quantity, prose=prose)
    app.context_processor(_every_page)


def money(amount: Decimal | str | None, currency: str | None = None) -> str:
    """1,234.50, with the places of the currency, of an amount or its exact text; nothing for None."""
    if amount is None:
        return ""
    shown = f"{Decimal(amount):,.{places(currency) if currency else 2}f}"
    return f"{shown} {currency}" if currency else shown


def quantity(value: Decimal) -> str:
    """Without zeros at its end, never in powers of ten."""
    return f"{value.normalize():f}"


def prose(words: str) -> Markup:
    """A sentence in which `commands` are set apart."""
    return Markup(_COMMAND.sub(r"<code>\1</code>", str(escape(words))))  # noqa: S704 - escaped before


def at(moment: datetime | None) -> str:
    """To the minute, in UTC."""
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def day(value: date | datetime | None) -> str:
    """2026-03-01."""
    return "" if value is None else f"{value:%Y-%m-%d}"


def kind(name: str | None) -> str:
    """UNKNOWN_CAPTURE as “Unknown capture”."""
    return (name or "").replace("_", " ").capitalize()


def known(value: Any) -> str:
    """A value of JSON as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "; ".join(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _every_page() -> dict[str, Any]:
    who = g.get("member")
    if who is None:
        return {"member": None, "menu": (), "htmx_config": HTMX}
    with transaction() as connection:
        notice = staff.take_notice(connection, who)
    return {
        "member": who,
        "htmx_config": HTMX,
        "may": lambda name: who.may(Permission[name]),
        "menu": [(title, url_for(endpoint), _here(endpoint)) for title, endpoint, need in MENU if who.may(need)],
        "notice": notice,
        "complaint": g.get("complaint", ""),
        "form_token": g.form_token,
        "now": current_app.config["CLOCK"](),
        "following_page": _following_page,
        "first_page": _first_page,
        "typed": request.form if g.get("complaint") else {},
        "airflow_url": current_app.config["BACKROOM"].console_airflow_url.rstrip("/"),
    }


def _here(endpoint: str) -> bool:
    blueprint, _, _ = endpoint.partition(".")
    return request.endpoint == endpoint or (request.blueprint == blueprint and blueprint != "feeds")


def _following_page(mark: str | int, name: str = "after") -> str:
    """This list with the same filters, behind the mark."""
    return _address({**request.args.to_dict(), name: str(mark)})


def _first_page(name: str = "after") -> str:
    return _address({key: value for key, value in request.args.items() if key != name})


def _address(args: dict[str, str]) -> str:
    return f"{request.path}?{urlencode(args)}" if args else request.path
