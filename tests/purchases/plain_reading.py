"""docs/pricing.md read step by step, with fractions, one unit and one cent at a time: slow, and in no way clever."""

from __future__ import annotations

from fractions import Fraction
from heapq import heapify, heappop, heappush
from math import floor

from backroom.money import places
from backroom.purchases.promotions import Promotion
from tests.purchases.carts import Till

GRAMS = {
    "g": Fraction(1),
    "kg": Fraction(1000),
    "lb": Fraction("453.59237"),
    "oz": Fraction("28.349523125"),
    "unit": Fraction(1),
}
KINDS = ["LINE_PERCENTAGE", "LINE_AMOUNT", "BUY_X_GET_Y", "BASKET_PERCENTAGE", "BASKET_AMOUNT"]
Result = list[tuple[int, list[tuple[str, int]], int, int]]


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def read_plainly(till: Till) -> Result:
    """Per line: list amount, (promotion id, amount) in order, tax, total; in minor units."""
    minor = 10 ** places(till.currency)
    lines = [(item, till.products["SKU", item.item_id]) for item in till.items]
    prices = [Fraction(product.list_price or 0) * minor for _, product in lines]
    quantities = [Fraction(item.quantity) * GRAMS[item.unit] / GRAMS[product.sold_by] for item, product in lines]
    list_amounts = [half_up(price * quantity) for price, quantity in zip(prices, quantities, strict=True)]
    order = sorted(
        range(len(lines)),
        key=lambda i: (lines[i][1].item_sku, lines[i][0].quantity, lines[i][0].unit, lines[i][0].line_number),
    )

    def takes(promotion: Promotion, left: list[int]) -> list[int]:
        share, amount = Fraction(promotion.percentage or 0), Fraction(promotion.amount or 0) * minor
        its = [product.item_sku in promotion.item_skus for _, product in lines]
        match promotion.kind:
            case "LINE_PERCENTAGE":
                return [half_up(one * share) if mine else 0 for one, mine in zip(left, its, strict=True)]
            case "LINE_AMOUNT":
                return [
                    min(one, half_up(amount * quantity)) if mine else 0
                    for one, quantity, mine in zip(left, quantities, its, strict=True)
                ]
            case "BASKET_PERCENTAGE":
                return [half_up(one * share) for one in left]
            case "BUY_X_GET_Y":
                row = [
                    i
                    for i in order
                    if its[i] and lines[i][1].sold_by == "unit" and quantities[i].denominator == 1
                    for _ in range(int(quantities[i]))
                ]
                row.sort(key=lambda i: -prices[i])
                size = promotion.buy_quantity + promotion.get_quantity
                got = [0] * len(lines)
                for start in range(0, len(row) - size + 1, size):
                    for i in row[start + promotion.buy_quantity : start + size]:
                        got[i] += 1
                return [min(left[i], half_up(prices[i] * got[i] * share)) for i in range(len(lines))]
        shared = [0] * len(lines)

        def turn(i: int) -> tuple[Fraction, int, int, int]:
            return Fraction(shared[i] + 1, list_amounts[i]), -list_amounts[i], order.index(i), i

        turns = [turn(i) for i in order if left[i]]
        heapify(turns)
        for _ in range(min(half_up(amount), sum(left))):
            *_, i = heappop(turns)
            shared[i] += 1
            if shared[i] < left[i]:
                heappush(turns, turn(i))
        return shared

    total = sum(list_amounts)
    counting = sorted(
        (one for one in till.promotions if one.minimum_amount is None or total >= one.minimum_amount * minor),
        key=lambda one: one.promotion_id,
    )
    exclusive = [one for one in counting if not one.stacks]
    by_line: list[list[tuple[str, int]]] = [[] for _ in lines]
    for i in range(len(lines)):
        offers = [(one, takes(one, list_amounts)[i]) for one in exclusive if one.kind != "BASKET_AMOUNT"]
        best = max((amount for _, amount in offers), default=0)
        by_line[i] = [(one.promotion_id, amount) for one, amount in offers if amount == best][:1]
    alternatives = [by_line]
    for one in exclusive:
        if one.kind == "BASKET_AMOUNT":
            alternatives.append([[(one.promotion_id, amount)] for amount in takes(one, list_amounts)])
    results = []
    for applied in alternatives:
        left = [
            listed - sum(amount for _, amount in taken) for listed, taken in zip(list_amounts, applied, strict=True)
        ]
        for one in sorted(
            (one for one in counting if one.stacks),
            key=lambda one: (one.stacking_order, KINDS.index(one.kind), one.promotion_id),
        ):
            for i, amount in enumerate(takes(one, left)):
                left[i] -= amount
                applied[i].append((one.promotion_id, amount))
        result: Result = []
        for i, (_, product) in enumerate(lines):
            rate = Fraction(product.tax_rate)
            tax = half_up(left[i] * rate / (1 + rate) if till.prices_include_tax else left[i] * rate)
            named = [(promotion_id, amount) for promotion_id, amount in applied[i] if amount]
            result.append((list_amounts[i], named, tax, left[i] if till.prices_include_tax else left[i] + tax))
        results.append(result)
    return min(results, key=lambda result: sum(line[3] for line in result))
