"""What goes to PostgreSQL unjudged breaks no rule."""

from __future__ import annotations

import io

import pytest

from backroom.feeds.layout import columns
from backroom.feeds.sound_rows import Unsound, sound_only
from tests.feeds.conftest import STORE, as_csv, order

BAD = {
    "orderId": ["", " o", "o ", "é", 'a"b', "a\\.", "o" * 256, "a\tb", "a\0b"],
    "shoppingTripId": ["", "a b", "t" * 256],
    "storeId": ["", "STORE-002", "STORE-0011"],
    "currency": ["", "EUR"],
    "orderStatus": ["", "DONE", "OPEN2"],
    "entryMethod": ["", "DOOR"],
    "lineNumber": ["", "0", "-1", "1.5", "1234567890"],
    "merchantSku": ["", "s" * 256],
    "quantityValue": ["", "-1", "1e5", "NaN", "1.123456789", "12345678901"],
    "priceValue": ["", "-0.01", "1.00001", "Infinity", "1,0", "."],
    "orderTotal": ["", "12345678901", "0x10"],
    "capturedAmount": ["", "-1"],
    "cardLastFourDigits": ["123", "12345", "abcd"],
    "cardBrand": ["b" * 256],
    "updatedAt": ["", "2026-03-01", "2026-03-01T15:11:00", "now", "infinity"],
}


def passed(content: bytes) -> bytes:
    """What goes through, without the header."""
    file = io.BytesIO(content)
    file.readline()
    return b"".join(sound_only(file, tuple(columns().values()), STORE, "USD"))


@pytest.mark.parametrize(("column", "value"), [(column, value) for column, values in BAD.items() for value in values])
def test_a_file_with_one_doubtful_value_is_not_passed(column: str, value: str) -> None:
    rows = order("o-1") + order("o-2", ("1.00", "0.00"), **{column: value})
    with pytest.raises(Unsound):
        passed(as_csv(rows))


def test_sound_rows_pass_to_the_byte_whatever_their_line_ends() -> None:
    for content in (as_csv(order()), as_csv(order()).replace(b"\n", b"\r\n"), as_csv(order()).rstrip(b"\n")):
        assert passed(content) == content.split(b"\n", 1)[1]
    many = as_csv([row for number in range(3000) for row in order(f"o-{number}", cardBrand="", quantityUnit="fl oz")])
    assert passed(many) == many.split(b"\n", 1)[1]


@pytest.mark.parametrize("torn", [b"o-3,t", b"\n", b"x" * 200_000])
def test_torn_blank_and_endless_rows_are_not_passed(torn: bytes) -> None:
    with pytest.raises(Unsound):
        passed(as_csv(order()) + torn + b"\n")
