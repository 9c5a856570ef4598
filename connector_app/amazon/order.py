"""`POST /v1/order/purchases`: a shopper has left, this is their cart."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import structlog
from flask import Blueprint, Response, current_app, g, request
from pydantic import ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from backroom.db.serving import transaction
from backroom.db.together import TookTooLong
from backroom.entry.wire import complaint
from backroom.purchases import unauthenticated
from backroom.purchases.cart import Cart
from backroom.purchases.plain_carts import read_plain
from backroom.purchases.purchases_request import PurchasesRequest
from backroom.purchases.recording import Recorder, UnknownStore
from backroom.purchases.refusals import keep_refused_cart
from backroom.purchases.refused_spool import spool
from connector_app.amazon.body import parsed, require_json
from connector_app.amazon.errors import LOST, RequestRefused
from connector_app.amazon.limits import AtCapacity, Zone, in_zone

blueprint = Blueprint("order", __name__)

log = structlog.get_logger("connector")


@blueprint.post("/v1/order/purchases")
def purchases() -> Response:
    """201 with the purchase's id. A cart that is turned away is a lost sale: it is kept, and there is an alert."""
    try:
        return _record()
    except RequestRefused as refused:
        _keep(refused)
        raise
    except (AtCapacity, TookTooLong):
        _put_aside(503, "service: at capacity")
        raise
    except LOST:
        _put_aside(503, "service: the database did not answer")
        raise
    except Exception:
        _put_aside(500, "service: internal error")
        raise


@in_zone("purchases")
def _record(_engine: Engine) -> Response:
    config, facts = current_app.config, g._get_current_object()
    body, locations = facts.body, config["BACKROOM"].auth_event_locations
    require_json(request.mimetype, body)

    def read() -> tuple[Cart, str]:
        raw = parsed(body.data, exact=False)
        return _cart(raw.value, locations), raw.text

    recorder: Recorder = config["RECORDER"]
    try:
        taken = recorder.take(read, now=config["CLOCK"](), new_id=_new_id)
        cart = taken.read_cart
        facts.request_id, facts.trip_id, facts.store_id = cart.request_id, cart.shopping_trip_id, cart.store_id
        recorded = recorder.settle(taken)
    except psycopg.DataError as error:  # what JSON can say and no column can hold
        raise RequestRefused(400, "body: a number is out of range") from error
    except UnknownStore as error:
        raise RequestRefused(400, "storeId: not a store of ours") from error
    facts.outcome = recorded.outcome
    return Response(recorded.body, 201, content_type="application/json")


def _cart(value: dict[str, Any], locations: list[str]) -> Cart:
    if (cart := read_plain(value, locations)) is not None:
        return cart
    try:
        return PurchasesRequest.model_validate(value, context={"locations": locations}).cart()
    except ValidationError as error:
        raise RequestRefused(400, complaint(error)) from error


def _new_id() -> str:
    return str(uuid4())


def _keep(refused: RequestRefused) -> None:
    """In the database, with an alert; where that does not answer, on disk, from where it is taken in later."""
    zone: Zone = current_app.config["ZONES"]["purchases"]
    kept: dict[str, Any] = {"status": refused.status, "reason": refused.message, "body": g.body.data}
    try:
        with zone.in_flight.place(), transaction(zone.engine) as connection:
            keep_refused_cart(connection, **kept, now=current_app.config["CLOCK"](), shopping_trip_id=g.get("trip_id"))
    except (AtCapacity, SQLAlchemyError, psycopg.Error) as error:
        log.warning("refused cart put aside", error=type(error).__name__)
        _put_aside(refused.status, refused.message)


def keep_unauthenticated_cart(refusal: str) -> None:
    """Of carts whose callers did not prove who they are (403), a bounded number is kept; the others are counted.

    Where the database does not answer they go to the disk, to the first quarter of its room: strangers leave the rest.
    """
    config, now = current_app.config["BACKROOM"], current_app.config["CLOCK"]()
    bounds: unauthenticated.Bounds = current_app.config["UNAUTHENTICATED"]
    reason, zone = f"authentication: {refusal}", current_app.config["ZONES"]["purchases"]
    keep = bounds.has_room(reason, now=now)
    counts = bounds.due_counts(now=now)
    if not (keep or counts):
        return
    try:
        with zone.in_flight.place(), transaction(zone.engine) as connection:
            unauthenticated.count(connection, counts, now=now)
            if keep:
                unauthenticated.keep_unauthenticated(
                    connection, reason=reason, body=g.body.data, now=now,
                    most_bytes=config.refused_unauthenticated_bytes,
                )  # fmt: skip
    except (AtCapacity, SQLAlchemyError, psycopg.Error) as error:
        log.warning("refused cart put aside", error=type(error).__name__)
        bounds.put_back(counts)
        if keep:
            _put_aside(unauthenticated.STATUS, reason, max_bytes=config.refused_spool_max_bytes // 4)


def _put_aside(status: int, reason: str, *, max_bytes: int | None = None) -> None:
    config, now = current_app.config["BACKROOM"], current_app.config["CLOCK"]()
    spool(config.refused_spool_folder, status=status, reason=reason, body=g.body.data, now=now, max_bytes=max_bytes)
