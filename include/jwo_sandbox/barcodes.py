"""Barcodes: check digits, and what is wrong with one."""

from __future__ import annotations

LENGTHS: dict[str, tuple[int, ...]] = {
    "UPC": (12, 8),
    "EAN": (13,),
    "EAN8": (8,),
    "ISBN": (10,),
    "GTIN": (14,),
    "PLU": (3, 4, 5, 6),
}
CHECKED = frozenset({"UPC", "EAN", "EAN8", "GTIN"})


def check_digit(digits: str) -> str:
    """The check digit of a UPC, EAN or GTIN without its last digit: weights 3, 1, 3, … from the right."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def problem(barcode: str, kind: str | None) -> str | None:
    """What is wrong with a barcode of a kind (None: any kind that its length allows), or None."""
    if kind is not None and kind not in LENGTHS:
        return f"{kind} is no kind of barcode"
    kinds = [kind] if kind else [name for name, lengths in LENGTHS.items() if len(barcode) in lengths]
    problems = [_of_kind(barcode, name) for name in kinds]
    return None if None in problems else (problems[0] if problems else f"{len(barcode)} characters fit no kind")


def _of_kind(barcode: str, kind: str) -> str | None:
    if kind == "ISBN":
        return _isbn(barcode)
    if not (barcode.isascii() and barcode.isdecimal()) or len(barcode) not in LENGTHS[kind]:
        return f"a {kind} has {' or '.join(map(str, LENGTHS[kind]))} digits"
    if kind == "UPC" and len(barcode) == 8:
        return None if check_digit(_upc_a(barcode)) == barcode[-1] else f"check digit of {barcode} is wrong"
    if kind in CHECKED and check_digit(barcode[:-1]) != barcode[-1]:
        return f"check digit of {barcode} is wrong"
    return None


def _isbn(barcode: str) -> str | None:
    if len(barcode) != 10 or not barcode[:9].isdecimal() or not (barcode[9].isdecimal() or barcode[9] == "X"):
        return "an ISBN has 9 digits and a check character"
    values = [10 if character == "X" else int(character) for character in barcode]
    good = sum(value * weight for value, weight in zip(values, range(10, 0, -1), strict=True)) % 11 == 0
    return None if good else f"check character of {barcode} is wrong"


def _upc_a(upc_e: str) -> str:
    """The eleven digits of the UPC-A that an eight-digit UPC-E stands for."""
    system, six = upc_e[0], upc_e[1:7]
    last = six[5]
    if last in "012":
        return f"{system}{six[:2]}{last}0000{six[2:5]}"
    if last == "3":
        return f"{system}{six[:3]}00000{six[3:5]}"
    if last == "4":
        return f"{system}{six[:4]}00000{six[4]}"
    return f"{system}{six[:5]}0000{last}"
