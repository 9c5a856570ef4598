"""`POST /app/v1/recognition-tokens`: the app's screen is open, it needs a code to show at the gate."""

from __future__ import annotations

import math
import secrets
from datetime import datetime, timedelta
from typing import Annotated

from flask import Blueprint, Response, current_app, g, jsonify, request
from pydantic import AfterValidator, StringConstraints, ValidationError

from backroom.db.engine import transaction
from backroom.entry.issuing import IssuingRules, MayNotEnter, StoreUnknown, TooManyTokens, issue_scan_code
from backroom.entry.scan_code import LONGEST_CUSTOM_PART
from backroom.entry.wire import Identifier, WireModel, complaint
from connector_app.portal.body import json_object
from connector_app.portal.errors import RequestRefused

blueprint = Blueprint("recognition_tokens", __name__)


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds NUL")
    return value


class RecognitionTokenRequest(WireModel):
    """Where the shopper is about to enter, where the app knows it, and what the app wants in its code."""

    store_id: Annotated[Identifier, AfterValidator(_no_nul)] | None = None
    custom_part: Annotated[str, StringConstraints(pattern=rf"^[0-9A-Za-z]{{0,{LONGEST_CUSTOM_PART}}}\z")] | None = None


@blueprint.post("/app/v1/recognition-tokens")
def recognition_tokens() -> tuple[Response, int]:
    """201 with a code; 403 for whoever may not enter."""
    config = current_app.config["BACKROOM"]
    try:
        asked = RecognitionTokenRequest.model_validate(json_object(request, config.portal_max_body_bytes))
    except ValidationError as error:
        raise RequestRefused(400, complaint(error)) from error
    g.store_id = asked.store_id
    rules = IssuingRules(
        prefix=config.scan_code_prefix,
        freshness=timedelta(seconds=config.scan_code_freshness_seconds),
        token_life=timedelta(minutes=config.recognition_token_minutes),
        most_live=config.recognition_tokens_live,
    )
    try:
        with transaction() as connection:
            issued = issue_scan_code(
                connection,
                g.shopper_id,
                store_id=asked.store_id,
                custom_part=asked.custom_part or "",
                rules=rules,
                random_bits=secrets.randbits,
                now=current_app.config["CLOCK"](),
            )
    except StoreUnknown as error:
        g.store_id = None  # what is not a store's id may be anything: it is not logged
        raise RequestRefused(400, "storeId: not a store of ours") from error
    except MayNotEnter as error:
        raise RequestRefused(403, "shopper: no code can be issued", error.reason) from error
    except TooManyTokens as error:
        seconds = str(math.ceil(error.retry_after.total_seconds()))
        raise RequestRefused(429, "shopper: too many live codes", "TOO_MANY_TOKENS", Retry_After=seconds) from error
    g.outcome = "ISSUED"
    answer = jsonify(
        scanKeyCode=issued.scan_key_code,
        staleAt=_text(issued.stale_at),
        expiresAt=_text(issued.expires_at),
        refreshAfterSeconds=int(issued.refresh_after.total_seconds()),
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer, 201


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
