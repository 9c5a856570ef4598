"""Reads a call's body: bounded, hashed as it comes, and parsed as strict JSON."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any

import orjson
from flask import Request

from backroom.amazon import exact_json
from backroom.amazon.exact_json import WIDEST_NUMBER
from backroom.card_numbers import holds_card_number, remove_card_numbers
from connector_app.amazon.errors import RequestRefused

_FRACTION = re.compile(rb'(?:"\s*:|[\[,])\s*-?[0-9]+[.eE]|[0-9]{17}')  # orjson would make a float, or lose digits
_TINY = re.compile(rb"[\[:,\s]-?[0-9.]+[eE]-[0-9]{3}")  # orjson would make a zero
_DIGITS_AND_SEPARATORS = bytes(0x30 if byte in b"0123456789 -" else 0x78 for byte in range(256))
_CARD = b"0" * 13  # so many digits, perhaps set apart, has the shortest card number
_VERY_LONG = b"0" * 300
_STRINGS = re.compile(rb'"[^"]*"')
_BRACKETS = re.compile(rb"[\[\]{}]")
JSON = "application/json"
DEEPEST = 50  # levels of objects and lists
BEYOND = 8  # a body is read (for its signature) up to so many times the limit, but kept only up to the limit
CHUNK = 65_536
# Amazon's identifiers and barcodes: digits there are no card number, and changing one would change the call's meaning
IDENTIFIERS = frozenset(
    {
        ("requestId",),
        ("storeId",),
        ("identityKey",),
        ("authEvent", "id"),
        ("idempotentShoppingTripId",),
        ("shoppingTrip", "authEvents", "id"),
        ("cartItems", "id"),
        ("cartItems", "externalIdentifiers", "id"),
        ("scanEvent", "id"),
        ("scanEvent", "value"),
        ("scanResult", "id"),
        ("shopperKey",),
        ("shopperInteraction", "shoppingTripId"),
        ("shopperInteraction", "gateAuthenticationEvent", "id"),
        ("shopperInteraction", "cartHint", "items", "id"),
        ("shopperInteraction", "cartHint", "items", "externalIdentifiers", "id"),
    }
)


@dataclass(frozen=True, slots=True)
class Body:
    """`data` is cut at the limit."""

    data: bytes
    too_large: bool = False
    digest: str | None = None

    @property
    def sha256(self) -> str | None:
        """Of all that came; None where more came than was read."""
        return self.digest if self.too_large else hashlib.sha256(self.data).hexdigest()


def read_body(stream: IO[bytes], limit: int) -> Body:
    """Reads the body, keeping at most `limit` bytes."""
    kept = bytearray()
    digest = hashlib.sha256()
    read = 0
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        read += len(chunk)
        kept += chunk[: max(0, limit - len(kept))]
        if read > BEYOND * limit:
            return Body(bytes(kept), too_large=True)
    if read > limit:
        return Body(bytes(kept), too_large=True, digest=digest.hexdigest())
    return Body(bytes(kept))


@dataclass(frozen=True)
class JsonBody:
    """A call's body as an object and as the text that is kept of it; neither holds a card number."""

    value: dict[str, Any]
    text: str


def json_object(request: Request, body: Body, *, exact: bool = True) -> JsonBody:
    """The body as a JSON object. Raises RequestRefused: 413, 415 or 400."""
    require_json(request.mimetype, body)
    return parsed(body.data, exact=exact)


def require_json(content_type: str, body: Body) -> None:
    """Raises RequestRefused 413 or 415. A call without a content type is taken as JSON."""
    if body.too_large:
        raise RequestRefused(413, "body: too large")
    if content_type not in ("", JSON):
        raise RequestRefused(415, "Content-Type: must be application/json")


def parsed(data: bytes, *, exact: bool = True) -> JsonBody:
    """The JSON object. Raises RequestRefused 400.

    Refused beyond what JSON itself forbids: NUL and unpaired surrogates in strings, numbers that no column holds,
    nesting deeper than DEEPEST. Numbers with a fraction are Decimal; where only the text is kept and no number is read
    (`exact` false), they may be floats.
    """
    return _plain(data, exact) or _careful(data)


def _plain(data: bytes, exact: bool) -> JsonBody | None:
    """Nearly every body has nothing that needs a closer look, and is read at once; None where this one has.

    No escapes (so its text is its strings), too few brackets to be nested deeply, no fractions where they must be
    exact, no very long and no very small numbers, no digits that could be a card's.
    """
    if b"\\" in data or (exact and _FRACTION.search(data)):
        return None
    if (b"e-" in data or b"E-" in data) and _TINY.search(data):
        return None
    digits = data.translate(_DIGITS_AND_SEPARATORS)
    if _CARD in digits and (_VERY_LONG in digits or holds_card_number(data)):
        return None
    if data.count(b"{") + data.count(b"[") > DEEPEST and _depth(data) > DEEPEST:
        return None
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return JsonBody(parsed, data.decode()) if isinstance(parsed, dict) else None


def _depth(data: bytes) -> int:
    """How deeply brackets are nested, strings left out; for bodies without escapes."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _careful(data: bytes) -> JsonBody:
    try:
        text = data.decode("utf-8")
        parsed = json.loads(text, parse_float=_number(Decimal), parse_int=_number(int), parse_constant=_no_constant)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RequestRefused(400, "body: not JSON") from error
    except RecursionError as error:
        raise RequestRefused(400, "body: nested too deeply") from error
    if not isinstance(parsed, dict):
        raise RequestRefused(400, "body: not a JSON object")
    _check(parsed, DEEPEST)
    cleaned = remove_card_numbers(parsed, keep=IDENTIFIERS)
    return JsonBody(cleaned, text if cleaned == parsed else exact_json.dumps(cleaned))


def _number(make: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if len(text) > WIDEST_NUMBER or abs(Decimal(text).adjusted()) > WIDEST_NUMBER:
            raise RequestRefused(400, "body: a number is out of range")
        return make(text)

    return read


def _no_constant(_name: str) -> None:
    raise RequestRefused(400, "body: not JSON")


def _check(value: Any, levels: int) -> None:
    if isinstance(value, str):
        if "\0" in value or not (value.isascii() or _encodes(value)):
            raise RequestRefused(400, "body: a string holds NUL or an unpaired surrogate")
    elif isinstance(value, dict | list):
        if levels == 0:
            raise RequestRefused(400, "body: nested too deeply")
        for part in value:
            _check(part, levels - 1)
        if isinstance(value, dict):
            for part in value.values():
                _check(part, levels - 1)


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
