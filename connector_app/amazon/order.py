"""`POST /v1/order/purchases`: a shopper has left, this is their cart."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import structlog
from flask import Blueprint, Response, current_app, g
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from backroom.clock import Clock
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
from connector_app.amazon.limits import AtCapacity, Zone
from connector_app.amazon.short_way import Call, Reply, reply_of, response

blueprint = Blueprint("order", __name__)

log = structlog.get_logger("connector")


class Carts:
    """Records the carts of a process."""

    def __init__(self, recorder: Recorder, zone: Zone, clock: Clock, locations: list[str]) -> None:
        """`locations`: those that an auth event may name."""
        self._recorder = recorder
        self._zone = zone
        self._clock = clock
        self._locations = locations

    def work(self, call: Call) -> Reply:
        """201 with the purchase's id. Raises RequestRefused, AtCapacity, TookTooLong and LOST."""
        return self._zone.work(lambda: self._record(call))

    def _record(self, call: Call) -> Reply:
        require_json(call.content_type, call.body)
        facts = call.facts

        def read() -> tuple[Cart, str]:
            raw = parsed(call.body.data, exact=False)
            return _cart(raw.value, self._locations), raw.text

        try:
            taken = self._recorder.take(read, now=self._clock(), new_id=_new_id)
            cart = taken.read_cart
            facts["request_id"], facts["trip_id"] = cart.request_id, cart.shopping_trip_id
            facts["store_id"] = cart.store_id
            recorded = self._recorder.settle(taken)
        except psycopg.DataError as error:  # what JSON can say and no column can hold
            raise RequestRefused(400, "body: a number is out of range") from error
        except UnknownStore as error:
            raise RequestRefused(400, "storeId: not a store of ours") from error
        facts["outcome"] = recorded.outcome
        return Reply(201, recorded.body)


@blueprint.post("/v1/order/purchases")
def purchases() -> Response:
    """What went wrong with a cart (short_way.py). One that is turned away is a lost sale: it is kept, with an alert."""
    try:
        return response(reply_of(current_app.config["CARTS"].work))
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
