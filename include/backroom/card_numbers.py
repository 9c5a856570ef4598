"""Card numbers are never kept. What looks like one in free text is replaced before anything else sees it.

A bare Luhn check would also hit one barcode in ten, so the networks' prefixes and lengths must fit too, and fields
that hold barcodes or Amazon's identifiers of a trip, event or store are left alone.
"""

from __future__ import annotations

import re
from typing import Any

from stdnum import luhn

REMOVED = "[card number removed]"

# Visa, Mastercard (both ranges), American Express, Discover, JCB; groups may be set apart by spaces or hyphens
_NETWORKS = re.compile(
    r"^(4\d{15}(\d{3})?|5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|6(011|5\d\d)\d{12}"
    r"|35(2[89]|[3-8]\d)\d{12})$"
)
_CANDIDATE = re.compile(r"(?<![0-9A-Za-z])\d(?:[ -]?\d){12,18}(?![0-9A-Za-z])")

_CANDIDATE_BYTES = re.compile(_CANDIDATE.pattern.encode())


def remove_card_numbers(
    value: Any, *, keep: frozenset[tuple[str, ...]] = frozenset(), path: tuple[str, ...] = ()
) -> Any:
    """The same JSON value with card numbers in its strings and names replaced by `REMOVED`.

    `keep` names the paths that are left alone, list positions left out: ("cartItems", "id").
    """
    if isinstance(value, str):
        return value if path in keep else _CANDIDATE.sub(_replacement, value)
    if isinstance(value, dict):
        return {
            _CANDIDATE.sub(_replacement, name): remove_card_numbers(inner, keep=keep, path=(*path, name))
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [remove_card_numbers(inner, keep=keep, path=path) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and looks_like_card_number(str(value)):
        return REMOVED
    return value


def remove_from_bytes(data: bytes) -> bytes:
    """The same for bytes of whatever kind, JSON or not: what a refused call's body is kept as."""
    return _CANDIDATE.sub(_replacement, data.decode("latin-1")).encode("latin-1")


def holds_card_number(data: bytes) -> bool:
    """Whether anything in it looks like a card number; quick where nothing has enough digits."""
    return any(
        looks_like_card_number(re.sub(rb"[ -]", b"", found[0]).decode("ascii"))
        for found in _CANDIDATE_BYTES.finditer(data)
    )


def looks_like_card_number(digits: str) -> bool:
    """Whether a run of digits has a network's prefix and length and a right check digit."""
    return bool(_NETWORKS.match(digits)) and luhn.is_valid(digits)


def _replacement(found: re.Match[str]) -> str:
    return REMOVED if looks_like_card_number(re.sub(r"[ -]", "", found[0])) else found[0]
