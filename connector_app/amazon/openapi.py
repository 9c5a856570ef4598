"""`GET /openapi.json`: the connector's interfaces as an OpenAPI 3.1 document, from the models that check the calls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, current_app
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from backroom.entry.answers import (
    ErrorAnswer,
    PurchaseAnswer,
    ScanAnswer,
    ScanDetailsAnswer,
    ShopperAuthorizationAnswer,
    VisitorAnswer,
)
from backroom.entry.get_shopper_request import GetShopperRequest
from backroom.entry.identity_keys_request import IdentityKeysRequest
from backroom.entry.scan_request import ScanDetailsRequest, ScanRequest
from backroom.entry.shopper_authorization_request import ShopperAuthorizationRequest
from backroom.purchases.purchases_request import PurchasesRequest
from backroom.settings import Settings

blueprint = Blueprint("openapi", __name__)

REFERENCE = "#/components/schemas/{model}"
MEANINGS = {
    400: "malformed, or a store that is not ours",
    401: "the key is unknown or may not open",
    403: "the caller is not authenticated or not allowed on this path",
    404: "not found",
    413: "the body is larger than BACKROOM_CONNECTOR_MAX_BODY_BYTES",
    415: "the body is not application/json",
    429: "beyond capacity",
    500: "our fault",
    503: "unavailable, try again",
}
EVERYWHERE = (400, 403, 413, 415, 500)


@dataclass(frozen=True)
class Operation:
    """One call: what is sent, what is answered when it goes well, and how else it may end."""

    path: str
    name: str
    summary: str
    request: type[BaseModel]
    answer: type[BaseModel]
    success: int
    errors: tuple[int, ...]
    meanings: tuple[tuple[int, str], ...] = ()


OPERATIONS = (
    Operation(
        "/v1/identity/identity-keys", "verifyIdentityKeys", "May this shopper come in?",
        IdentityKeysRequest, VisitorAnswer, 200, (401, 429),
    ),
    Operation(
        "/v1/identity/scan", "resolveScan", "Whose is this scan?", ScanRequest, ScanAnswer, 200, (429,),
    ),
    Operation(
        "/v1/identity/scan/details", "getScanDetails", "What does this scan result bring?",
        ScanDetailsRequest, ScanDetailsAnswer, 200, (404, 429),
        ((404, "no open loyalty account is behind the scan result"),),
    ),
    Operation(
        "/v1/identity/shopper", "getShopper", "Whom does an associate help?",
        GetShopperRequest, VisitorAnswer, 200, (401, 429),
    ),
    Operation(
        "/v1/fraudandabuse/shopperauthorization", "authorizeShopper", "May the holder of this card come in?",
        ShopperAuthorizationRequest, ShopperAuthorizationAnswer, 200, (404, 503),
        ((404, "the store's strategy has no shopper authorization"),),
    ),
    Operation(
        "/v1/order/purchases", "createPurchases", "A shopper has left with this cart.",
        PurchasesRequest, PurchaseAnswer, 201, (503,),
    ),
)  # fmt: skip


@blueprint.get("/openapi.json")
def document() -> Response:
    """The document, built once. It holds nothing secret, so it asks for no credentials."""
    written = current_app.extensions.get("openapi")
    if written is None:
        written = current_app.extensions["openapi"] = json.dumps(openapi(current_app.config["BACKROOM"]))
    return Response(written, 200, content_type="application/json")


def openapi(config: Settings) -> dict[str, Any]:
    """The document as an object, with the lists of values that the settings allow."""
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(ErrorAnswer, "validation")]
    for operation in OPERATIONS:
        models += [(operation.request, "validation"), (operation.answer, "validation")]
    unique = list(dict.fromkeys(models))
    references, definitions = models_json_schema(unique, by_alias=True, ref_template=REFERENCE)
    values = {"locations": config.auth_event_locations, "key_channels": config.key_channels}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Just Walk Out connector",
            "version": "1",
            "description": "What Amazon calls. A call may be repeated: it has no further effect and gets the same "
            "bytes again. Strings hold neither NUL nor unpaired surrogates; bodies are nested at most 50 levels deep.",
        },
        "paths": {operation.path: {"post": _operation(operation, references)} for operation in OPERATIONS},
        "components": {
            "schemas": _written_out(definitions["$defs"], values),
            "securitySchemes": {"sigv4": _security(config)},
        },
        "security": [{"sigv4": []}],
    }


def _operation(operation: Operation, references: Any) -> dict[str, Any]:
    meanings = MEANINGS | dict(operation.meanings)
    failures = {
        str(status): _answer(meanings[status], references[ErrorAnswer, "validation"])
        for status in sorted({*EVERYWHERE, *operation.errors})
    }
    success = (operation.answer.__doc__ or "").strip().splitlines()[0]
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": references[operation.request, "validation"]}},
        },
        "responses": {str(operation.success): _answer(success, references[operation.answer, "validation"])} | failures,
    }


def _answer(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _security(config: Settings) -> dict[str, str]:
    """As AWS's API Gateway describes it: a signature in the Authorization header."""
    return {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "x-amazon-apigateway-authtype": "awsSigv4",
        "description": f"AWS Signature Version 4, service execute-api, region {config.amazon_region}. Behind an API "
        "Gateway, the gateway checks it and the caller's role is held against the list of the path.",
    }


def _written_out(schema: Any, values: dict[str, list[str]]) -> Any:
    """The schema with each `x-values-of` replaced by the list that the settings allow."""
    if isinstance(schema, list):
        return [_written_out(item, values) for item in schema]
    if not isinstance(schema, dict):
        return schema
    written = {name: _written_out(inner, values) for name, inner in schema.items() if name != "x-values-of"}
    if isinstance(schema.get("x-values-of"), str):
        written["enum"] = values[schema["x-values-of"]]
    return written
