"""The scan key code that the app shows: JWO, the retailer's prefix, when it was made, a recognition token.

Layout (ours, after the one published sample, 39 characters): `JWO` + 4-character prefix + 11 hex digits of epoch
milliseconds + 21 hex digits of token + an optional custom part of letters and digits.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAYOUT = re.compile(rb"JWO([A-Z0-9]{4})([0-9a-fA-F]{11})([0-9a-fA-F]{21})[0-9a-zA-Z]*")


@dataclass(frozen=True)
class ScanCode:
    """A code that has the layout. Hex digits are lower case, so that case makes no second code of one."""

    prefix: str
    milliseconds: int
    token: str

    @property
    def made_at(self) -> datetime:
        """When the app made it, by the telephone's clock."""
        return EPOCH + timedelta(milliseconds=self.milliseconds)

    @property
    def code_hash(self) -> str:
        """Names the code in `scan_code_use`: SHA-256 without the custom part, which anyone could change."""
        return hashlib.sha256(f"{self.prefix}{self.milliseconds:011x}{self.token}".encode()).hexdigest()


def parse_scan_code(key: bytes) -> ScanCode | None:
    """The code in a decoded identity key; None where the key has another shape (then it is an opaque key)."""
    found = _LAYOUT.fullmatch(key)
    if found is None:
        return None
    prefix, milliseconds, token = (part.decode("ascii") for part in found.groups())
    return ScanCode(prefix, int(milliseconds, 16), token.lower())
