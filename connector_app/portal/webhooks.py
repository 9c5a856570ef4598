"""`POST /processor/v1/webhooks/…`: a payment processor tells what has become of a payment. Signed, not authenticated.

Checked, kept and answered; a pipeline applies it. A copy is answered as the first was.
"""

from __future__ import annotations

from flask import Blueprint, Response, current_app, g, jsonify, request

from backroom.db.engine import transaction
from backroom.processors.webhooks import WebhookRefused, receive
from connector_app.portal.errors import RequestRefused

blueprint = Blueprint("webhooks", __name__)


@blueprint.post("/processor/v1/webhooks/stripe")
def stripe() -> Response:
    """An event of Stripe's."""
    return _take("STRIPE")


@blueprint.post("/processor/v1/webhooks/sandbox")
def sandbox() -> Response:
    """An event of the sandbox's card processor."""
    return _take("SANDBOX")


def _take(processor: str) -> Response:
    config = current_app.config["BACKROOM"]
    limit = config.webhook_max_body_bytes
    if (request.content_length or 0) > limit:
        raise RequestRefused(413, "body: too large")
    body = request.stream.read(limit + 1)
    if len(body) > limit:
        raise RequestRefused(413, "body: too large")
    signature = request.headers.get("Stripe-Signature")
    try:
        with transaction() as connection:
            new = receive(connection, processor, body, signature, config, now=current_app.config["CLOCK"]())
    except WebhookRefused as error:
        raise RequestRefused(error.status, str(error), "WEBHOOK_REFUSED") from error
    g.outcome = f"{processor} {'TAKEN' if new else 'KNOWN'}"
    return jsonify(received=True)
