"""Bodies of refused carts at rest. One that names a loyalty account is sealed whole, to be taken later as it came."""

from __future__ import annotations

import re
from typing import Final

from backroom.errors import ConfigurationError
from backroom.settings import settings
from backroom.shoppers.sealing import seal_of

_SEALED: Final = b"sealed "
_LOYALTY: Final = re.compile(rb"LOYALTY|\\u00[45]")  # or a capital letter of it, written as an escape


def to_keep(body: bytes) -> bytes:
    """As it is kept. Where no key is set no account can be known, and nothing is sealed."""
    if not _LOYALTY.search(body) or settings().privacy_keys is None:
        return body
    return _SEALED + seal_of(settings()).seal(body.decode("latin-1")).encode()


def as_it_came(kept: bytes) -> bytes:
    """The body. Raises ConfigurationError where its key is not at hand."""
    if not kept.startswith(_SEALED):
        return kept
    return seal_of(settings()).open(kept.removeprefix(_SEALED).decode()).encode("latin-1")


def to_show(kept: bytes) -> str:
    """The body as text, or why it can't be read here."""
    try:
        return as_it_came(kept).decode("utf-8", errors="replace")
    except ConfigurationError as error:
        return f"(it names a loyalty account and is sealed: {error})"
