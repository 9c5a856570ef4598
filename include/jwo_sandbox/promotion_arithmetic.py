"""What promotions take off a cart, the slow way: sections 2 to 5 of `docs/pricing.md`, one function each."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from jwo_sandbox.minor_amounts import half_up
from jwo_sandbox.retailer_files import KINDS, Promotion

Order = tuple[str, Fraction, str, int]


@dataclass
class Priced:
    """A line with a price; amounts are whole minor units, `list_price` is per unit that the product is sold by.

    `left` shrinks as promotions are taken off; `taken` says which took how much.
    """

    place: int
    item_sku: str
    quantity_as_it_came: Fraction
    unit: str
    sold_by: str
    quantity: Fraction
    list_price: Fraction
    rate: Fraction
    list_amount: int
    left: int
    taken: list[tuple[str, int]] = field(default_factory=list)

    @property
    def order(self) -> Order:
        """The order of lines, which settles ties."""
        return (self.item_sku, self.quantity_as_it_came, self.unit, self.place)

    def take(self, promotion: Promotion, amount: int) -> None:
        """Take an amount off; nothing is not written down."""
        if amount:
            self.left -= amount
            self.taken.append((promotion.promotion_id, amount))


def apply(lines: list[Priced], promotions: list[Promotion], *, minor: int, tax_included: bool) -> None:
    """Take off the lines what the promotions take; `promotions` are valid for this trip, whatever their thresholds."""
    counting = _reaching_their_threshold(lines, promotions, minor)
    stacking = [promotion for promotion in counting if promotion.stacks]
    exclusive = [promotion for promotion in counting if not promotion.stacks]
    # 4: each alternative is carried through to the total; min() keeps the first of equals, so "by line" is the first
    alternatives: list[list[Priced]] = []
    for choice in [None, *sorted(_of_the_cart(exclusive), key=lambda promotion: promotion.promotion_id)]:
        copy = _copied(lines)
        if choice is None:
            _exclude_by_line(copy, exclusive, minor)
        else:
            _take(choice, copy, minor)
        for promotion in sorted(stacking, key=_stacking_place):
            _take(promotion, copy, minor)
        alternatives.append(copy)
    best = min(alternatives, key=lambda copy: cart_total(copy, tax_included=tax_included))
    for line, chosen in zip(lines, best, strict=True):
        line.left, line.taken = chosen.left, chosen.taken


def tax_of(line: Priced, *, included: bool) -> int:
    """6: the tax on what is left, inside of it or on top."""
    return half_up(line.left * line.rate / (1 + line.rate)) if included else half_up(line.left * line.rate)


def cart_total(lines: list[Priced], *, tax_included: bool) -> int:
    """6: what the shopper pays."""
    return sum(line.left + (0 if tax_included else tax_of(line, included=False)) for line in lines)


def _reaching_their_threshold(lines: list[Priced], promotions: list[Promotion], minor: int) -> list[Promotion]:
    """2: list amounts alone decide."""
    whole = sum(line.list_amount for line in lines)
    return [
        promotion
        for promotion in promotions
        if promotion.minimum_amount is None or whole >= promotion.minimum_amount * minor
    ]


def _of_the_cart(promotions: list[Promotion]) -> list[Promotion]:
    return [promotion for promotion in promotions if promotion.kind == "BASKET_AMOUNT"]


def _exclude_by_line(lines: list[Priced], exclusive: list[Promotion], minor: int) -> None:
    """4, by line: of all but BASKET_AMOUNT each line gets the one that takes most; of equals the smaller id."""
    by_id = sorted(
        (promotion for promotion in exclusive if promotion.kind != "BASKET_AMOUNT"),
        key=lambda promotion: promotion.promotion_id,
    )
    offers = [(promotion, _amounts(promotion, lines, minor)) for promotion in by_id]
    for index, line in enumerate(lines):
        most = max((amounts[index] for _, amounts in offers), default=0)
        for promotion, amounts in offers:
            if amounts[index] == most:
                line.take(promotion, most)
                break


def _stacking_place(promotion: Promotion) -> tuple[int, int, str]:
    """5: by stacking order, then kind, then id."""
    return (promotion.stacking_order, KINDS.index(promotion.kind), promotion.promotion_id)


def _take(promotion: Promotion, lines: list[Priced], minor: int) -> None:
    for line, amount in zip(lines, _amounts(promotion, lines, minor), strict=True):
        line.take(promotion, amount)


def _amounts(promotion: Promotion, lines: list[Priced], minor: int) -> list[int]:
    """3: what a promotion takes off each line, by what is left of each."""
    return AMOUNTS[promotion.kind](promotion, lines, minor)


def _percentages(promotion: Promotion, lines: list[Priced], minor: int) -> list[int]:
    del minor
    return [half_up(line.left * promotion.percentage) if _is_for(promotion, line) else 0 for line in lines]


def _line_amounts(promotion: Promotion, lines: list[Priced], minor: int) -> list[int]:
    return [
        min(line.left, half_up(promotion.amount * line.quantity * minor)) if _is_for(promotion, line) else 0
        for line in lines
    ]


def _is_for(promotion: Promotion, line: Priced) -> bool:
    return promotion.kind.startswith("BASKET") or line.item_sku in promotion.item_skus


def _got_amounts(promotion: Promotion, lines: list[Priced], minor: int) -> list[int]:
    """BUY_X_GET_Y: whole units in a row, dearest first, cut into groups; the last ones of each whole group are got."""
    row: list[Priced] = []
    for line in sorted(lines, key=lambda line: (-line.list_price, line.order)):
        if _is_for(promotion, line) and line.sold_by == "unit" and line.quantity.denominator == 1:
            row.extend([line] * int(line.quantity))
    got = dict.fromkeys((line.place for line in lines), 0)
    size = promotion.buy_quantity + promotion.get_quantity
    for group in range(len(row) // size):
        for line in row[group * size + promotion.buy_quantity : (group + 1) * size]:
            got[line.place] += 1
    return [min(line.left, half_up(line.list_price * got[line.place] * promotion.percentage * minor)) for line in lines]


def _shares(promotion: Promotion, lines: list[Priced], minor: int) -> list[int]:
    """BASKET_AMOUNT: minor unit by minor unit, by highest averages over the list amounts."""
    whole = sum(line.left for line in lines)
    amount = min(half_up(promotion.amount * minor), whole)
    if amount == whole:
        return [line.left for line in lines]
    shares = [0] * len(lines)
    waiting = [_claim(lines, index, 1) for index, line in enumerate(lines) if line.left]
    heapq.heapify(waiting)
    for _ in range(amount):
        index = heapq.heappop(waiting)[-1]
        shares[index] += 1
        if shares[index] < lines[index].left:
            heapq.heappush(waiting, _claim(lines, index, shares[index] + 1))
    return shares


def _claim(lines: list[Priced], index: int, nth: int) -> tuple[Fraction, int, Order, int]:
    """When a line gets its nth minor unit: the smallest first, of equals the larger list amount, then the order."""
    line = lines[index]
    return (Fraction(nth, line.list_amount), -line.list_amount, line.order, index)


def _copied(lines: list[Priced]) -> list[Priced]:
    return [replace(line, taken=list(line.taken)) for line in lines]


AMOUNTS: dict[str, Callable[[Promotion, list[Priced], int], list[int]]] = {
    "LINE_PERCENTAGE": _percentages,
    "LINE_AMOUNT": _line_amounts,
    "BUY_X_GET_Y": _got_amounts,
    "BASKET_PERCENTAGE": _percentages,
    "BASKET_AMOUNT": _shares,
}
