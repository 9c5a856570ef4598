"""Whether a file's rows are all sound, told by one pattern while the file streams past. Pure.

It may doubt a row that breaks no rule (of letters beyond ASCII, say), and never passes one that breaks a rule of
feeds/judging.py, save that only PostgreSQL knows which days there are; the file of a row in doubt is judged in SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO

_BLOCK = 1 << 18
_LONGEST_ROW = 1 << 16
_VISIBLE = r"[ !#-+\--\[\]-~]"  # printable ASCII without quotes, commas and backslashes
_AMOUNT = r"[0-9]{1,10}+(?:\.[0-9]{1,4}+)?+"
_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6}+)?+Z"
_FILLED = rf"(?! ){_VISIBLE}{{1,255}}+(?<! )"
_PATTERNS = {
    "order_id": _FILLED,
    "shopping_trip_id": r"[0-9A-Za-z_-]{1,255}+",
    "item_sku": _FILLED,
    "status": "(?:OPEN|SETTLED|CANCELLED|REFUNDED)",
    "entry_method": "(?:APP|CREDIT_CARD)",
    "line_number": "[1-9][0-9]{0,8}+",
    "quantity": r"[0-9]{1,10}+(?:\.[0-9]{1,8}+)?+",
    "card_last_four": "(?:[0-9]{4})?+",
    **dict.fromkeys(("trip_started_at", "trip_ended_at", "updated_at"), _INSTANT),
    **dict.fromkeys(("card_brand", "reconciliation_id", "unit"), rf"(?! ){_VISIBLE}{{0,255}}+(?<! )"),
    **dict.fromkeys(
        ("order_total", "authorized", "captured", "refunded", "list_price", "price", "promotion", "tax"), _AMOUNT
    ),
}


class Unsound(Exception):
    """A row may break a rule."""


def sound_only(content: BinaryIO, ours: tuple[str, ...], store_id: str, currency: str) -> Iterator[bytes]:
    """Blocks of whole rows, all sound, of a file whose header has been read. Raises Unsound.

    `ours` are our names of the file's columns, in its order; each row is of that store and in that currency.
    """
    sound = _pattern(ours, store_id, currency)
    rest = b""
    while block := content.read(_BLOCK):
        whole, end, rest = (rest + block).rpartition(b"\n")
        if len(rest) > _LONGEST_ROW:
            raise Unsound
        if end:
            if sound.fullmatch(whole + end) is None:
                raise Unsound
            yield whole + end
    if rest:
        if sound.fullmatch(rest + b"\n") is None:
            raise Unsound
        yield rest


@lru_cache(maxsize=256)
def _pattern(ours: tuple[str, ...], store_id: str, currency: str) -> re.Pattern[bytes]:
    fixed = {"store_id": re.escape(store_id), "currency": re.escape(currency)}
    row = ",".join(fixed.get(name) or _PATTERNS[name] for name in ours)
    return re.compile(rf"(?:{row}\r?\n)*+".encode())
