"""The entry code as a QR code that is renewed before it goes stale; for who may not enter, the way to put it right."""

from __future__ import annotations

import io
import secrets
from datetime import timedelta

import segno
from flask import Blueprint, Response, abort, current_app, g

from backroom.db.engine import transaction
from backroom.entry.issuing import IssuedCode, IssuingRules, MayNotEnter, TooManyTokens, issue_scan_code
from connector_app.portal.pages import visit
from connector_app.portal.pages.presenting import page

blueprint = Blueprint("pages_entry_code", __name__)


@blueprint.get("/entry-code")
def show() -> tuple[str, int]:
    """The code, in the page itself; renewed in place by the script, else by loading the page again."""
    if not visit.visitor().holders.shopper_ids:
        return page("entry_card.html")
    try:
        issued = _issue()
    except MayNotEnter as error:
        g.outcome = error.reason
        return page("entry_refused.html", 200, reason=error.reason)
    except TooManyTokens as error:
        g.outcome = "TOO_MANY_TOKENS"
        return page("entry_wait.html", 429, seconds=int(error.retry_after.total_seconds()) + 1)
    seconds = int(issued.refresh_after.total_seconds())
    return page("entry_code.html", picture=_picture(issued.scan_key_code), seconds=seconds)


@blueprint.get("/entry-code.svg")
def picture() -> Response:
    """A fresh code alone. 403 where there is none any more: the page is to be loaded again."""
    if not visit.visitor().holders.shopper_ids:
        abort(403)
    try:
        issued = _issue()
    except (MayNotEnter, TooManyTokens):
        abort(403)
    return Response(_picture(issued.scan_key_code, inline=False), content_type="image/svg+xml")


def _issue() -> IssuedCode:
    config = current_app.config["BACKROOM"]
    rules = IssuingRules(
        prefix=config.scan_code_prefix,
        freshness=timedelta(seconds=config.scan_code_freshness_seconds),
        token_life=timedelta(minutes=config.recognition_token_minutes),
        most_live=config.recognition_tokens_live,
    )
    with transaction() as connection:
        return issue_scan_code(
            connection,
            visit.visitor().holders.shopper_ids[0],
            store_id=None,
            custom_part="",
            rules=rules,
            random_bits=secrets.randbits,
            now=visit.now(),
        )


def _picture(code: str, *, inline: bool = True) -> str:
    """Black on white with its quiet zone, whatever the page looks like."""
    out = io.BytesIO()
    made = segno.make(code, error="m", micro=False)
    if inline:
        return made.svg_data_uri(border=4, light="#fff", scale=8)
    made.save(out, kind="svg", border=4, light="#fff", scale=8)
    return out.getvalue().decode()
