"""An amount as people write it: 12.30, 12,30, $1,234.50, 1.234,50."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_PLAIN: Final = re.compile(r"([0-9]{1,9})(?:[.,]([0-9]{1,2}))?")
_GROUPED: Final = re.compile(r"([0-9]{1,3}(?:([.,' ])[0-9]{3})(?:\2[0-9]{3}){0,2})(?:(?!\2)[.,]([0-9]{1,2}))?")


def typed_amount(said: str) -> Decimal:
    """What was meant. Three digits after a separator are thousands. Raises ValueError for what is no amount."""
    plain = said.replace("\u00a0", " ").replace("\u202f", " ").strip(" $€£")
    if found := _PLAIN.fullmatch(plain):
        return Decimal(f"{found[1]}.{found[2] or 0}")
    if found := _GROUPED.fullmatch(plain):
        return Decimal(f"{re.sub('[^0-9]', '', found[1])}.{found[3] or 0}")
    raise ValueError("not an amount")
