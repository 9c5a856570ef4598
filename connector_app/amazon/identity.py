"""`POST /v1/identity/…`: who may come in, whose a scan is, what it brings, whom an associate helps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

from flask import Blueprint, Response, current_app, g, request
from pydantic import ValidationError
from sqlalchemy import Engine

from backroom.clock import Clock
from backroom.db.serving import transaction
from backroom.entry.decision import GateRules
from backroom.entry.gate import Gate, UnknownStore
from backroom.entry.get_shopper import get_shopper
from backroom.entry.get_shopper_request import GetShopperRequest
from backroom.entry.identity_keys_request import IdentityKeysRequest
from backroom.entry.remembered import Answer
from backroom.entry.scan import resolve_scan
from backroom.entry.scan_details import scan_details
from backroom.entry.scan_request import ScanDetailsRequest, ScanRequest, without_what_was_scanned
from backroom.entry.wire import WireModel, complaint
from backroom.settings import Settings
from connector_app.amazon.body import json_object, parsed, require_json
from connector_app.amazon.errors import RequestRefused
from connector_app.amazon.limits import Zone, in_zone
from connector_app.amazon.short_way import Call, Reply, reply_of, response

blueprint = Blueprint("identity", __name__)

UNKNOWN_STORE = "storeId: not a store of ours"
Asked = TypeVar("Asked", bound=WireModel)


class GateEvents:
    """Answers the gate events of a process."""

    def __init__(self, gate: Gate, zone: Zone, clock: Clock, config: Settings) -> None:
        self._gate = gate
        self._zone = zone
        self._clock = clock
        self._context = _context(config)

    def work(self, call: Call) -> Reply:
        """200 opens the gate, 401 keeps it shut. Raises RequestRefused, AtCapacity, TookTooLong and the driver's."""
        return self._zone.work(lambda: self._decide(call))

    def _decide(self, call: Call) -> Reply:
        require_json(call.content_type, call.body)
        raw = parsed(call.body.data).value
        asked = _validated(IdentityKeysRequest, raw, self._context)
        call.facts["request_id"], call.facts["store_id"] = asked.request_id, asked.store_id
        try:
            answer = self._gate.verify(asked.gate_event(), raw, now=self._clock())
        except UnknownStore as error:
            raise RequestRefused(400, UNKNOWN_STORE) from error
        call.facts["outcome"] = answer.reason
        return Reply(answer.status, answer.body)


@blueprint.post("/v1/identity/identity-keys")
def identity_keys() -> Response:
    """What went wrong with a gate event (short_way.py). Decisions are remembered by `authEvent.id`."""
    return response(reply_of(current_app.config["GATE_EVENTS"].work))


@blueprint.post("/v1/identity/scan")
@in_zone("gate")
def scan(engine: Engine) -> Response:
    """200 with ACCEPT and whose it is, or with REJECT; remembered by `scanEvent.id`, or `requestId`."""
    raw = json_object(request, g.body).value
    asked = _validated(ScanRequest, raw)
    g.request_id, g.store_id = asked.request_id, asked.store_id
    kept = without_what_was_scanned(raw)
    try:
        with transaction(engine) as connection:
            answer = resolve_scan(connection, asked.scan(), kept, rules=_rules(), now=current_app.config["CLOCK"]())
    except UnknownStore as error:
        raise RequestRefused(400, UNKNOWN_STORE) from error
    return _remembered(answer)


@blueprint.post("/v1/identity/scan/details")
@in_zone("gate")
def details(engine: Engine) -> Response:
    """200 with the provider and the promotions, 404 where no open account is behind the scan result."""
    asked = _validated(ScanDetailsRequest, json_object(request, g.body).value)
    g.store_id = asked.store_id
    try:
        with transaction(engine) as connection:
            found = scan_details(connection, asked.store_id, asked.scan_result.id, asked.scan_result.type)
    except UnknownStore as error:
        raise RequestRefused(400, UNKNOWN_STORE) from error
    if found is None:
        raise RequestRefused(404, "scanResult: not found")
    g.outcome = "FOUND"
    body = {"provider": found.provider, "promotionIds": found.promotion_ids}
    return Response(json.dumps(body), 200, content_type="application/json")


@blueprint.post("/v1/identity/shopper")
@in_zone("gate")
def shopper(engine: Engine) -> Response:
    """200 with the shopper whom an associate helps, 401 for an unknown key; remembered by `requestId`."""
    raw = json_object(request, g.body).value
    asked = _validated(GetShopperRequest, raw)
    g.request_id, g.store_id = asked.request_id, asked.store_id
    kept = {name: value for name, value in raw.items() if name != "shopperKey"}
    try:
        with transaction(engine) as connection:
            answer = get_shopper(connection, asked.question(), kept, rules=_rules(), now=current_app.config["CLOCK"]())
    except UnknownStore as error:
        raise RequestRefused(400, UNKNOWN_STORE) from error
    return _remembered(answer)


def _context(config: Settings) -> dict[str, Any]:
    """What the rules of a request go by."""
    return {"locations": config.auth_event_locations, "key_channels": config.key_channels}


def _validated(model: type[Asked], raw: Mapping[str, Any], context: dict[str, Any] | None = None) -> Asked:
    try:
        return model.model_validate(raw, context=context or _context(current_app.config["BACKROOM"]))
    except ValidationError as error:
        raise RequestRefused(400, complaint(error)) from error


def _rules() -> GateRules:
    config: Settings = current_app.config["BACKROOM"]
    return GateRules(config.scan_code_prefix, timedelta(seconds=config.scan_code_freshness_seconds))


def _remembered(answer: Answer) -> Response:
    g.outcome = answer.reason
    return Response(answer.body, answer.status, content_type="application/json")
