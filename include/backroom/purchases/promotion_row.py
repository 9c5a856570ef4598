"""A row of promotions.csv: which columns each kind of promotion needs. docs/pricing.md has the table."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, model_validator

from backroom.source_files import (
    Identifier,
    Instant,
    OptionalIdentifier,
    OptionalInstant,
    SourceRow,
    Words,
    exact,
)

_MOST_UNITS: Final = 1_000_000
# What a kind must have; every other of these columns stays empty for it.
_NEEDS: Final[dict[str, frozenset[str]]] = {
    "LINE_PERCENTAGE": frozenset({"item_sku", "percentage"}),
    "LINE_AMOUNT": frozenset({"item_sku", "amount"}),
    "BUY_X_GET_Y": frozenset({"item_sku", "percentage", "buy_quantity", "get_quantity"}),
    "BASKET_PERCENTAGE": frozenset({"percentage"}),
    "BASKET_AMOUNT": frozenset({"amount"}),
}
_BY_KIND: Final = ("item_sku", "percentage", "amount", "buy_quantity", "get_quantity")


def _or_empty(read: Callable[[Any], object]) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value in ("", None) else read(value))


def _units(value: object) -> int:
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 7:
        raise ValueError("not a whole number such as 2")
    if not 1 <= int(value) <= _MOST_UNITS:
        raise ValueError(f"not from 1 to {_MOST_UNITS}")
    return int(value)


def _position(value: object) -> int:
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 9:
        raise ValueError("not a whole number from 0, such as 10")
    return int(value)


def _yes_or_no(value: object) -> bool:
    if value not in ("true", "false"):
        raise ValueError("neither true nor false")
    return value == "true"


def _money(value: object) -> Decimal:
    amount = exact(4)(value)
    if not amount:
        raise ValueError("not above 0; leave it empty where there is none")
    return amount


def _fraction(value: object) -> Decimal:
    fraction = exact(6)(value)
    if not 0 < fraction <= 1:
        raise ValueError("percentage is a fraction above 0, at most 1: 0.125 is 12.5 %")
    return fraction


def _skus(value: object) -> list[str]:
    names = [name.strip() for name in str(value).split(";")]
    if "" in names:
        raise ValueError("an empty SKU; write A;B;C")
    if len(set(names)) != len(names):
        raise ValueError("names a SKU twice")
    return names


class Period(SourceRow):
    """From when (inclusive) to when (exclusive; empty: open) a row of the price book is valid."""

    valid_from: Instant
    valid_to: OptionalInstant

    @model_validator(mode="after")
    def _forward(self) -> Period:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("valid_to is not after valid_from")
        return self


class PromotionRow(Period):
    """Columns with a default may be missing from the file, as they are from older ones."""

    promotion_id: Identifier
    store_id: Identifier
    kind: Literal["LINE_PERCENTAGE", "LINE_AMOUNT", "BUY_X_GET_Y", "BASKET_PERCENTAGE", "BASKET_AMOUNT"]
    item_sku: Annotated[list[Identifier] | None, _or_empty(_skus)]
    shopping_trip_id: OptionalIdentifier
    percentage: Annotated[Decimal | None, _or_empty(_fraction)]
    description: Words
    amount: Annotated[Decimal | None, _or_empty(_money)] = None
    buy_quantity: Annotated[int | None, _or_empty(_units)] = None
    get_quantity: Annotated[int | None, _or_empty(_units)] = None
    minimum_amount: Annotated[Decimal | None, _or_empty(_money)] = None
    stacks: Annotated[bool, BeforeValidator(lambda value: value not in ("", None) and _yes_or_no(value))] = False
    stacking_order: Annotated[int, BeforeValidator(lambda value: 0 if value in ("", None) else _position(value))] = 0
    loyalty: Annotated[bool, BeforeValidator(lambda value: value not in ("", None) and _yes_or_no(value))] = False

    @model_validator(mode="after")
    def _complete(self) -> PromotionRow:
        needed = _NEEDS[self.kind]
        for name in _BY_KIND:
            given = getattr(self, name) is not None
            if given != (name in needed):
                raise ValueError(f"column {name!r}: {self.kind} {'needs it' if name in needed else 'has none'}")
        if self.shopping_trip_id is not None and not self.kind.startswith("BASKET_"):
            raise ValueError(f"column 'shopping_trip_id': goes with BASKET_… only, not with {self.kind}")
        return self
