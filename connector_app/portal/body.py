"""Reads a call's body: bounded, and as one JSON object."""

from __future__ import annotations

import json
from typing import Any

from flask import Request

from connector_app.portal.errors import RequestRefused


def json_object(request: Request, limit: int) -> dict[str, Any]:
    """The body as a JSON object. Raises RequestRefused: 413, 415 or 400.

    A call without a content type is taken as JSON.
    """
    if (request.content_length or 0) > limit:
        raise RequestRefused(413, "body: too large")
    data = request.stream.read(limit + 1)
    if len(data) > limit:
        raise RequestRefused(413, "body: too large")
    if request.mimetype not in ("", "application/json"):
        raise RequestRefused(415, "Content-Type: must be application/json")
    try:
        parsed = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, a number or a nesting beyond all bounds
        raise RequestRefused(400, "body: not JSON") from error
    if not isinstance(parsed, dict):
        raise RequestRefused(400, "body: not a JSON object")
    return parsed


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
