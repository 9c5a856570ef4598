"""`POST /v1/fraudandabuse/shopperauthorization`: may the holder of this card come in, and for how much?"""

from __future__ import annotations

import psycopg
import structlog
from flask import Blueprint, Response, current_app, g, request
from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backroom.db.serving import transaction
from backroom.entry.authorization_decision import AuthorizationRules, without_risk_data
from backroom.entry.gate import UnknownStore
from backroom.entry.shopper_authorization import (
    AuthorizationAnswer,
    AuthorizationQuestion,
    NoConnector,
    answer_body,
    authorize_shopper,
)
from backroom.entry.shopper_authorization_request import ShopperAuthorizationRequest
from backroom.entry.wire import complaint
from backroom.settings import Settings
from connector_app.amazon.body import json_object
from connector_app.amazon.errors import RequestRefused
from connector_app.amazon.limits import AtCapacity, in_zone

blueprint = Blueprint("fraud_and_abuse", __name__)

log = structlog.get_logger("connector")

_NO_ANSWER = (OperationalError, InterfaceError, PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError)


@blueprint.post("/v1/fraudandabuse/shopperauthorization")
def shopper_authorization() -> Response:
    """200 with the decision, remembered by the gate event's id; while our risk data does not answer, the fallback."""
    config: Settings = current_app.config["BACKROOM"]
    raw = json_object(request, g.body)
    try:
        body = ShopperAuthorizationRequest.model_validate(raw.value, context={"locations": config.auth_event_locations})
    except ValidationError as error:
        raise RequestRefused(400, complaint(error)) from error
    asked = body.question()
    g.trip_id, g.store_id = asked.shopping_trip_id, asked.store_id
    g.asked, g.raw_text = asked, raw.text
    try:
        answer = _authorize()
    except UnknownStore as error:
        raise RequestRefused(400, "storeId: not a store of ours") from error
    except NoConnector as error:
        raise RequestRefused(404, "storeId: no shopper authorization is configured for this store") from error
    except AtCapacity as error:
        raise RequestRefused(503, "service: at capacity, try again") from error
    except _NO_ANSWER as error:
        answer = _fall_back(config, asked, error)
    g.outcome = answer.outcome
    return Response(answer.body, 200, content_type="application/json")


@in_zone("gate")
def _authorize(engine: Engine) -> AuthorizationAnswer:
    config: Settings = current_app.config["BACKROOM"]
    rules = AuthorizationRules(
        frozenset(config.authorization_heeded_risks),
        config.authorization_repeat_offender_debts,
        config.authorization_repeat_offender_amount,
    )
    with transaction(engine) as connection:
        return authorize_shopper(connection, g.asked, g.raw_text, rules=rules, now=current_app.config["CLOCK"]())


def _fall_back(config: Settings, asked: AuthorizationQuestion, error: Exception) -> AuthorizationAnswer:
    log.error("risk data", fallback=config.risk_fallback, exc_info=error)
    decision = without_risk_data(config.risk_fallback, asked.recommendation)
    if decision is None:
        raise RequestRefused(503, "service: unavailable, try again") from error
    return AuthorizationAnswer(answer_body(decision), decision.because.value)
