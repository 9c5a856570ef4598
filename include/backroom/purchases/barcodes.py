"""One trade item number has several spellings: a UPC is an EAN with a zero before it (GS1 General Specifications)."""

from __future__ import annotations

LENGTHS = (8, 12, 13, 14)  # GTIN-8, UPC-A, EAN-13, GTIN-14


def spellings(code: str) -> list[str]:
    """The code as it came, then the other lengths that the same number can be written in."""
    if not (code.isascii() and code.isdigit() and len(code) in LENGTHS):
        return [code]
    number = code.lstrip("0")
    return [code, *(number.zfill(length) for length in LENGTHS if len(number) <= length != len(code))]
