"""What looks like a card number is removed; barcodes and identifiers stay."""

from __future__ import annotations

import pytest

from backroom.card_numbers import REMOVED, remove_card_numbers

# the networks' published test numbers
NUMBERS = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "5555-5555-5555-4444",
    "2223003122003222",
    "378282246310005",
    "6011111111111117",
    "3566002020360505",
]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_card_number_in_a_text_is_removed(number: str) -> None:
    assert remove_card_numbers(f"paid with {number}, thanks") == f"paid with {REMOVED}, thanks"


def test_nested_values_names_and_numbers_are_searched() -> None:
    value = {"a": [{"b": NUMBERS[0]}], NUMBERS[4]: 1, "n": int(NUMBERS[0])}
    assert remove_card_numbers(value) == {"a": [{"b": REMOVED}], REMOVED: 1, "n": REMOVED}


@pytest.mark.parametrize(
    "other",
    [
        "4111111111111112",
        "4006381333931",
        "036000291452",
        "00012345600012",
        "18bc0554d045a48b29afa9e2aaac14ae",
        "12.50",
    ],
)
def test_other_digits_stay(other: str) -> None:
    assert remove_card_numbers(other) == other


def test_digits_inside_an_identifier_stay() -> None:
    assert remove_card_numbers("trip4111111111111111x") == "trip4111111111111111x"


def test_a_kept_path_is_left_alone() -> None:
    cart = {"cartItems": [{"id": NUMBERS[0], "note": NUMBERS[0]}]}
    kept = remove_card_numbers(cart, keep=frozenset({("cartItems", "id")}))
    assert kept == {"cartItems": [{"id": NUMBERS[0], "note": REMOVED}]}
