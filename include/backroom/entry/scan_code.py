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
TOKEN_BITS = 84  # 21 hex digits
LONGEST_CUSTOM_PART = 64  # (ours): with it, a code is read by any telephone's camera, and far below Amazon's limit
_LAYOUT = re.compile(rb"JWO([A-Z0-9]{4})([0-9a-fA-F]{11})([0-9a-fA-F]{21})[0-9a-zA-Z]*")
_PREFIX = re.compile("[A-Z0-9]{4}")
_TOKEN = re.compile("[0-9a-f]{21}")
_CUSTOM_PART = re.compile(f"[0-9A-Za-z]{{0,{LONGEST_CUSTOM_PART}}}")


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


def make_scan_code(prefix: str, made_at: datetime, token: str, custom_part: str = "") -> str:
    """The text of a code. `token`: 21 lower-case hex digits. Raises ValueError where a part has not its shape."""
    milliseconds = (made_at - EPOCH) // timedelta(milliseconds=1)
    for part, shape in ((prefix, _PREFIX), (token, _TOKEN), (custom_part, _CUSTOM_PART)):
        if not shape.fullmatch(part):
            raise ValueError(f"a part of a scan key code must have the shape {shape.pattern}")
    if not 0 <= milliseconds < 1 << 44:
        raise ValueError("a scan key code's time must be in the years 1970 to 2527")
    return f"JWO{prefix}{milliseconds:011x}{token}{custom_part}"


def portal_pattern(prefix: str) -> str:
    """The regular expression for Amazon's merchant portal: what it does not match never reaches our gate.

    Every engine reads it alike: letters, digits, classes and counts only.
    """
    return f"^JWO{prefix}[0-9a-fA-F]{{32}}[0-9A-Za-z]{{0,{LONGEST_CUSTOM_PART}}}$"
