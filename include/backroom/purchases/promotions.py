"""What promotions take off the lines of a cart. Pure, in whole minor units; docs/pricing.md is the rule.

First each line gets at most one of the promotions that exclude each other, then those that stack act in their order on
what is left. Each step maps what was left before to what is left after without ever turning less into more, so that one
more promotion (without a threshold) can't make a cart dearer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from msgspec import Struct

from backroom.purchases.basket_share import share_out
from backroom.purchases.minor_units import decimal, for_quantity, half_up, times, whole

KINDS: Final = ("LINE_PERCENTAGE", "LINE_AMOUNT", "BUY_X_GET_Y", "BASKET_PERCENTAGE", "BASKET_AMOUNT")
NO_SKUS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Promotion:
    """One promotion of the price book, valid at that store and instant and given to that trip.

    `percentage` is a fraction (0.125 is 12.5 %); `amount` is off each unit that the product is sold by (LINE_AMOUNT)
    or off the basket (BASKET_AMOUNT); `minimum_amount` is what the basket's list amount must reach. `item_skus` are
    the products of a LINE_… or BUY_X_GET_Y promotion; those that are not in the cart may be left out.
    """

    promotion_id: str
    kind: str
    percentage: Decimal | None = None
    amount: Decimal | None = None
    item_skus: frozenset[str] = NO_SKUS
    buy_quantity: int = 0
    get_quantity: int = 0
    minimum_amount: Decimal | None = None
    stacks: bool = False
    stacking_order: int = 0
    description: str = ""


class BasketLine(Struct, gc=False):
    """A line as promotions see it: `list_amount` in minor units, `list_price` per `sold_by`, `quantity` in `unit`."""

    item_sku: str
    quantity: Decimal
    unit: str
    sold_by: str
    list_price: Decimal
    list_amount: int


@dataclass(slots=True)
class Reduced:
    """The lines after promotions: what is left of each, and (promotion, amount taken) in the order applied."""

    remaining: list[int]
    applied: list[list[tuple[Promotion, int]]]

    def take(self, line: int, promotion: Promotion, amount: int) -> None:
        """Takes an amount off a line; nothing is not worth a word."""
        if amount:
            self.remaining[line] -= amount
            self.applied[line].append((promotion, amount))


def reduce(
    lines: Sequence[BasketLine],
    promotions: Iterable[Promotion],
    places: int,
    payable: Callable[[Sequence[int]], int],
) -> Reduced:
    """The lines with the promotions taken off, in the way that costs the shopper least.

    `places` are those of the currency. `payable` tells what a cart costs, tax included, from what is left of its
    lines: it decides between an exclusive BASKET_AMOUNT and the exclusive promotions by line.
    """
    basket = _Basket(lines, places)
    reached = [promotion for promotion in promotions if basket.reaches(promotion.minimum_amount)]
    exclusive = sorted((one for one in reached if not one.stacks), key=lambda one: one.promotion_id)
    stacking = sorted(
        (one for one in reached if one.stacks),
        key=lambda one: (one.stacking_order, KINDS.index(one.kind), one.promotion_id),
    )
    best = _stack(basket, _best_by_line(basket, [one for one in exclusive if one.kind != "BASKET_AMOUNT"]), stacking)
    for whole_cart in exclusive:
        if whole_cart.kind == "BASKET_AMOUNT":
            other = _stack(basket, basket.untouched(), [whole_cart, *stacking])
            if payable(other.remaining) < payable(best.remaining):
                best = other
    return best


class _Basket:
    """The lines with what is worked out of them once."""

    def __init__(self, lines: Sequence[BasketLine], places: int) -> None:
        self.lines = lines
        self.places = places
        self.list_amounts = [line.list_amount for line in lines]
        self.list_total = decimal(sum(self.list_amounts), places)
        self._by_sku: dict[str, list[int]] | None = None
        self._in_order: list[int] | None = None
        self._fixed: dict[str, list[tuple[int, int]]] = {}

    def untouched(self) -> Reduced:
        return Reduced(list(self.list_amounts), [[] for _ in self.lines])

    def reaches(self, minimum: Decimal | None) -> bool:
        return minimum is None or self.list_total >= minimum

    def of(self, skus: frozenset[str]) -> list[int]:
        """The lines of these products."""
        if self._by_sku is None:
            self._by_sku = {}
            for number, line in enumerate(self.lines):
                self._by_sku.setdefault(line.item_sku, []).append(number)
        by_sku = self._by_sku
        return [line for sku in by_sku.keys() & skus for line in by_sku[sku]]

    def fixed(self, promotion: Promotion) -> list[tuple[int, int]]:
        """(line, minor units off) of a promotion that does not depend on what others have left."""
        if promotion.promotion_id not in self._fixed:
            self._fixed[promotion.promotion_id] = list(_FIXED[promotion.kind](self, promotion))
        return self._fixed[promotion.promotion_id]

    def in_order(self) -> list[int]:
        """The lines in an order that does not depend on how they came, but for lines that are the same."""
        if self._in_order is None:
            lines = self.lines
            self._in_order = sorted(
                range(len(lines)), key=lambda i: (lines[i].item_sku, lines[i].quantity, lines[i].unit)
            )
        return self._in_order


def _best_by_line(basket: _Basket, exclusive: Sequence[Promotion]) -> Reduced:
    """Each line with the one promotion that takes most off it; of equals, the one with the smaller id."""
    reduced = basket.untouched()
    best: dict[int, tuple[int, Promotion]] = {}
    for promotion in exclusive:
        for line, amount in _TAKES[promotion.kind](basket, promotion, reduced.remaining):
            if line not in best or amount > best[line][0]:
                best[line] = (amount, promotion)
    for line, (amount, promotion) in best.items():
        reduced.take(line, promotion, amount)
    return reduced


def _stack(basket: _Basket, reduced: Reduced, promotions: Iterable[Promotion]) -> Reduced:
    """One promotion after the other, each on what the one before has left."""
    for promotion in promotions:
        for line, amount in _TAKES[promotion.kind](basket, promotion, reduced.remaining):
            reduced.take(line, promotion, amount)
    return reduced


Takes = Iterator[tuple[int, int]]  # (line, minor units off it), never more than is left


def _line_percentage(basket: _Basket, promotion: Promotion, remaining: Sequence[int]) -> Takes:
    return _percentage(promotion, basket.of(promotion.item_skus), remaining)


def _basket_percentage(basket: _Basket, promotion: Promotion, remaining: Sequence[int]) -> Takes:
    return _percentage(promotion, range(len(basket.lines)), remaining)


def _percentage(promotion: Promotion, lines: Iterable[int], remaining: Sequence[int]) -> Takes:
    numerator, denominator = _given(promotion.percentage).as_integer_ratio()
    for line in lines:
        yield line, half_up(remaining[line] * numerator, denominator)


def _fixed(basket: _Basket, promotion: Promotion, remaining: Sequence[int]) -> Takes:
    """What the list prices alone tell; no more than is left."""
    for line, off in basket.fixed(promotion):
        yield line, min(remaining[line], off)


def _line_amount(basket: _Basket, promotion: Promotion) -> Takes:
    amount = _given(promotion.amount)
    for number in basket.of(promotion.item_skus):
        line = basket.lines[number]
        yield number, for_quantity(amount, line.quantity, line.unit, line.sold_by, basket.places) or 0


def _buy_x_get_y(basket: _Basket, promotion: Promotion) -> Takes:
    """Units in a row, dearest first, in groups of buy + get: the last `get` of each whole group are the got ones."""
    lines, percentage = basket.lines, _given(promotion.percentage)
    chosen = set(basket.of(promotion.item_skus))
    row = [i for i in basket.in_order() if i in chosen and _counts_by_the_piece(lines[i])]
    row.sort(key=lambda i: lines[i].list_price, reverse=True)  # stable: of equal prices, the order stands
    buy, get = promotion.buy_quantity, promotion.get_quantity
    group = buy + get
    units = sum([int(lines[i].quantity) for i in row])
    end_of_groups = units - units % group
    position = got = 0  # units of the row so far, and how many of them are got
    for number in row:
        position += int(lines[number].quantity)
        groups, rest = divmod(min(position, end_of_groups), group)
        got_so_far = groups * get + max(0, rest - buy)
        if got_so_far > got:
            yield number, times(lines[number].list_price, got_so_far - got, percentage, basket.places)
            got = got_so_far


def _counts_by_the_piece(line: BasketLine) -> bool:
    return line.sold_by == "unit" == line.unit and line.quantity == int(line.quantity)


def _basket_amount(basket: _Basket, promotion: Promotion, remaining: Sequence[int]) -> Takes:
    order = basket.in_order()
    shares = share_out(
        whole(_given(promotion.amount), basket.places),
        [basket.list_amounts[line] for line in order],
        [remaining[line] for line in order],
    )
    return zip(order, shares, strict=True)


def _given(value: Decimal | None) -> Decimal:
    if value is None:
        raise ValueError("the promotion lacks the value that its kind needs")
    return value


_FIXED: Final[dict[str, Callable[[_Basket, Promotion], Takes]]] = {
    "LINE_AMOUNT": _line_amount,
    "BUY_X_GET_Y": _buy_x_get_y,
}
_TAKES: Final[dict[str, Callable[[_Basket, Promotion, Sequence[int]], Takes]]] = {
    "LINE_PERCENTAGE": _line_percentage,
    "LINE_AMOUNT": _fixed,
    "BUY_X_GET_Y": _fixed,
    "BASKET_PERCENTAGE": _basket_percentage,
    "BASKET_AMOUNT": _basket_amount,
}
