"""`POST /v1/order/purchases`: a shopper has left, this is their cart."""

from __future__ import annotations

from uuid import uuid4

from flask import Blueprint, Response, current_app, g, request
from pydantic import ValidationError

from backroom.db.engine import transaction
from backroom.entry.wire import complaint
from backroom.purchases.purchases_request import PurchasesRequest
from backroom.purchases.recording import UnknownStore, record_purchase
from backroom.purchases.refusals import keep_refused_cart
from connector_app.amazon.body import json_object
from connector_app.amazon.errors import RequestRefused

blueprint = Blueprint("order", __name__)


@blueprint.post("/v1/order/purchases")
def purchases() -> Response:
    """201 with the purchase's id; a cart that can't be taken is refused, kept and alerted about."""
    try:
        return _record()
    except RequestRefused as refused:
        with transaction() as connection:
            keep_refused_cart(
                connection,
                status=refused.status,
                reason=refused.message,
                body=g.body.data,
                now=current_app.config["CLOCK"](),
            )
        raise


def _record() -> Response:
    raw = json_object(request, g.body)
    try:
        asked = PurchasesRequest.model_validate(
            raw.value, context={"locations": current_app.config["BACKROOM"].auth_event_locations}
        )
    except ValidationError as error:
        raise RequestRefused(400, complaint(error)) from error
    g.request_id, g.trip_id, g.store_id = asked.request_id, asked.idempotent_shopping_trip_id, asked.store_id
    try:
        with transaction() as connection:
            recorded = record_purchase(
                connection,
                asked.cart(),
                raw.text,
                now=current_app.config["CLOCK"](),
                new_id=lambda: str(uuid4()),
            )
    except UnknownStore as error:
        raise RequestRefused(400, "storeId: not a store of ours") from error
    g.outcome = recorded.outcome
    return Response(recorded.body, 201, content_type="application/json")
