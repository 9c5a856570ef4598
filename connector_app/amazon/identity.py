"""`POST /v1/identity/identity-keys`: may this shopper come in?"""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, current_app, g, request
from pydantic import ValidationError
from sqlalchemy import Engine

from backroom.entry.decision import GateRules
from backroom.entry.gate import UnknownStore, verify_identity_key
from backroom.entry.identity_keys_request import IdentityKeysRequest
from backroom.entry.wire import complaint
from connector_app.amazon.body import json_object
from connector_app.amazon.errors import RequestRefused
from connector_app.amazon.limits import in_zone

blueprint = Blueprint("identity", __name__)


@blueprint.post("/v1/identity/identity-keys")
@in_zone("gate")
def identity_keys(engine: Engine) -> Response:
    """200 opens the gate, 401 keeps it shut; both are remembered by `authEvent.id`."""
    config = current_app.config["BACKROOM"]
    raw = json_object(request, g.body).value
    try:
        asked = IdentityKeysRequest.model_validate(
            raw, context={"locations": config.auth_event_locations, "key_channels": config.key_channels}
        )
    except ValidationError as error:
        raise RequestRefused(400, complaint(error)) from error
    g.request_id, g.store_id = asked.request_id, asked.store_id
    rules = GateRules(config.scan_code_prefix, timedelta(seconds=config.scan_code_freshness_seconds))
    try:
        answer = verify_identity_key(engine, asked.gate_event(), raw, rules=rules, now=current_app.config["CLOCK"]())
    except UnknownStore as error:
        raise RequestRefused(400, "storeId: not a store of ours") from error
    g.outcome = answer.reason
    return Response(answer.body, answer.status, content_type="application/json")
