"""Money: an exact amount and its currency. Never a float."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache

from babel.numbers import format_currency, get_currency_precision, list_currencies

CURRENCIES = frozenset(list_currencies())


class CurrencyMismatch(ValueError):
    """Two amounts in different currencies were brought together."""


@cache
def places(currency: str) -> int:
    """The decimal places of a currency: USD 2, JPY 0. Raises ValueError for an unknown code."""
    if currency not in CURRENCIES:
        raise ValueError(f"{currency!r} is not an ISO 4217 currency code")
    return get_currency_precision(currency)


def round_amount(amount: Decimal, currency: str) -> Decimal:
    """Half up (away from zero on a tie) to the currency's places: the one rounding rule. Zero has no sign."""
    rounded = amount.quantize(Decimal(1).scaleb(-places(currency)), rounding=ROUND_HALF_UP)
    return rounded or rounded.copy_abs()


@dataclass(frozen=True, order=False)
class Money:
    """An amount in whole units of `currency`, with exactly that currency's places."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if isinstance(self.amount, float) or not isinstance(self.amount, Decimal):
            raise TypeError(f"an amount must be a Decimal, not {type(self.amount).__name__}")
        if not self.amount.is_finite():
            raise ValueError(f"{self.amount} is not an amount of money")
        rounded = round_amount(self.amount, self.currency)
        if rounded != self.amount:
            raise ValueError(
                f"{self.amount} {self.currency} has more than {places(self.currency)} decimal places; "
                "round it where the rule says so"
            )
        object.__setattr__(self, "amount", rounded)

    @classmethod
    def of(cls, text: str | int | Decimal, currency: str) -> Money:
        """From exact text such as "15.99". Raises ValueError where it is not a number."""
        try:
            return cls(Decimal(text), currency)
        except InvalidOperation as error:
            raise ValueError(f"{text!r} is not an amount of money") from error

    @classmethod
    def rounded(cls, amount: Decimal, currency: str) -> Money:
        """The nearest amount that exists in that currency, by `round_amount`."""
        return cls(round_amount(amount, currency), currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        """Nothing, in that currency."""
        return cls(Decimal(0), currency)

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} can't be put together")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.amount < other.amount

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.amount <= other.amount

    def __bool__(self) -> bool:
        return self.amount != 0

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def display(self, locale: str = "en_US") -> str:
        """As a person reads it: $1,234.50."""
        return format_currency(self.amount, self.currency, locale=locale)
