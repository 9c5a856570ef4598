"""JSON whose numbers are exact: Decimal in, Decimal out, never through a float."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Final

WIDEST_NUMBER: Final = 330
"""Decimal digits before or after the point: every double is within, and PostgreSQL's numeric holds it."""


def loads(text: str | bytes) -> Any:
    """Parses JSON; numbers with a point or an exponent become Decimal. Raises ValueError, also for NaN and Infinity."""
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse)


def dumps(value: Any) -> str:
    """Writes JSON; a Decimal keeps the places that it has (15.90 stays 15.90). Raises TypeError for a float."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} can't be written as a JSON number")
        return format(value, "f")
    if isinstance(value, dict | Mapping):
        return "{" + ",".join([f"{_quoted(str(key))}:{dumps(item)}" for key, item in value.items()]) + "}"
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, Sequence):
        return "[" + ",".join([dumps(item) for item in value]) + "]"
    raise TypeError(f"{type(value).__name__} can't be written to JSON exactly")


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
