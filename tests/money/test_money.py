"""Money is exact, has its currency's places, and never mixes currencies."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.money import CURRENCIES, CurrencyMismatch, Money, places, round_amount

CENTS = st.integers(min_value=-(10**12), max_value=10**12).map(lambda number: Decimal(number).scaleb(-2))
FINE = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6)
CODES = st.sampled_from(sorted(CURRENCIES))


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("0.005", "USD", "0.01"),
        ("0.0049", "USD", "0.00"),
        ("-0.005", "USD", "-0.01"),
        ("2.675", "USD", "2.68"),
        ("0.5", "JPY", "1"),
        ("1.0005", "KWD", "1.001"),
    ],
)
def test_rounding_is_half_up_to_the_currencys_places(amount: str, currency: str, rounded: str) -> None:
    assert str(round_amount(Decimal(amount), currency)) == rounded


@given(FINE, CODES)
def test_rounding_moves_an_amount_by_at_most_half_a_unit_and_only_once(amount: Decimal, currency: str) -> None:
    rounded = round_amount(amount, currency)
    assert abs(rounded - amount) <= Decimal(1).scaleb(-places(currency)) / 2
    assert round_amount(rounded, currency) == rounded
    assert -rounded.as_tuple().exponent == places(currency)  # type: ignore[operator]


@given(FINE)
def test_rounding_treats_both_signs_alike(amount: Decimal) -> None:
    assert round_amount(-amount, "USD") == -round_amount(amount, "USD")


@given(CENTS, CENTS, CENTS)
def test_sums_are_exact_in_any_order(one: Decimal, two: Decimal, three: Decimal) -> None:
    a, b, c = (Money(amount, "USD") for amount in (one, two, three))
    assert (a + b) + c == a + (b + c) == c + b + a
    assert (a + b) - b == a
    assert a - a == Money.zero("USD")
    assert Money.zero("USD") - a == -a
    assert (a < b) == (one < two)
    assert (a <= b) == (one <= two)


@pytest.mark.parametrize("work", [Money.__add__, Money.__sub__, Money.__lt__, Money.__le__])
def test_two_currencies_cannot_be_put_together(work: object) -> None:
    with pytest.raises(CurrencyMismatch, match="USD and EUR can't be put together"):
        work(Money.of("1", "USD"), Money.of("1", "EUR"))  # type: ignore[operator]


@pytest.mark.parametrize("amount", [0.1, 1, "1.00"])
def test_an_amount_is_a_decimal_and_nothing_else(amount: object) -> None:
    with pytest.raises(TypeError, match="must be a Decimal"):
        Money(amount, "USD")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_is_not_money(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount of money"):
        Money(Decimal(text), "USD")


def test_too_many_places_are_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="more than 2 decimal places"):
        Money.of("1.005", "USD")
    assert Money.rounded(Decimal("1.005"), "USD") == Money.of("1.01", "USD")


def test_text_that_is_no_number_and_a_currency_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="'a lot' is not an amount"):
        Money.of("a lot", "USD")
    with pytest.raises(ValueError, match="'XYZW' is not an ISO 4217 currency code"):
        Money.of("1", "XYZW")


def test_money_is_shown_with_its_places_and_knows_whether_it_is_nothing() -> None:
    assert str(Money.of("1234.5", "USD")) == "1234.50 USD"
    assert str(Money.of("1234", "JPY")) == "1234 JPY"
    assert Money.of("1234.5", "USD").display() == "$1,234.50"
    assert not Money.zero("USD")
    assert Money.of("-0.01", "USD")


@pytest.mark.parametrize("amount", ["-0", "-0.00", "-0.004"])
def test_nothing_is_not_negative(amount: str) -> None:
    assert str(round_amount(Decimal(amount), "USD")) == "0.00"
