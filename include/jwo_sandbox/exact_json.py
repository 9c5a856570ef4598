"""JSON whose numbers are exact: read as Decimal, written digit for digit. No amount passes through a float."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


def loads(text: bytes | str) -> Any:
    """The value; numbers with a point or exponent become Decimal. Raises ValueError for what is not JSON."""
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text))
    return _DECODER.decode(text)


def dumps(value: Any) -> str:
    """Compact JSON; Decimals keep their places (16.00 stays 16.00)."""
    try:
        return json.dumps(value, separators=(",", ":"))
    except TypeError:
        return _exact(value)


def _exact(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(name))}:{_exact(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_exact(item) for item in value) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(value)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)
