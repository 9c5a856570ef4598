"""What a line costs besides its price: promotions, most of them found in the real discounts, and generated taxes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

from jwo_sandbox import instants
from jwo_sandbox.world.assortment import Assortment
from jwo_sandbox.world.baskets import Basket, SourceLine
from jwo_sandbox.world.offers import Offer

MILLION = 1_000_000
LARGEST = 900_000
"""No promotion takes more than 90 % off."""
PROMOTION_COLUMNS = [
    "promotion_id",
    "store_id",
    "kind",
    "item_sku",
    "shopping_trip_id",
    "percentage",
    "valid_from",
    "valid_to",
    "description",
    "amount",
    "buy_quantity",
    "get_quantity",
    "minimum_amount",
    "stacks",
    "stacking_order",
    "loyalty",
]
TAX_RATES = {
    "US-NY": {"FOOD_EXEMPT": "0.000000", "FOOD_PREPARED": "0.088750", "ALCOHOL": "0.088750", "GENERAL": "0.088750"},
    "US-CA": {"FOOD_PREPARED": "0.095000", "ALCOHOL": "0.095000", "GENERAL": "0.095000"},
}
"""Made up after real ones. California's table has no row for exempt food: no row means no tax."""


@dataclass(frozen=True)
class Promotion:
    """A percentage in millionths, on one SKU of a store or on one trip's basket."""

    promotion_id: str
    store_id: str
    item_sku: str
    shopping_trip_id: str
    millionths: int


def find_promotions(baskets: dict[str, Basket], assortment: Assortment) -> list[Promotion]:
    """Promotions that explain what was paid; `baskets` by trip id.

    One percentage per SKU and store where it explains most of its (at least two) lines there; what is left of a
    basket's discount becomes that basket's own percentage.
    """
    lines: dict[tuple[str, int], list[SourceLine]] = {}
    for basket in baskets.values():
        for line in basket.lines:
            lines.setdefault((basket.store_id, line.product_id), []).append(line)
    by_line = {}
    for (store_id, product_id), sold in sorted(lines.items()):
        percentage = _one_percentage(sold, assortment.articles[product_id].cents[store_id])
        if percentage:
            by_line[store_id, product_id] = percentage
    promotions = [
        Promotion(f"L{number:05d}", store_id, assortment.articles[product_id].sku, "", millionths)
        for number, ((store_id, product_id), millionths) in enumerate(by_line.items(), start=1)
    ]
    for trip_id, basket in baskets.items():
        millionths = _rest_of_basket(basket, by_line, assortment)
        if millionths:
            promotions.append(Promotion(f"B{len(promotions):05d}", basket.store_id, "", trip_id, millionths))
    return promotions


def promotion_rows(
    promotions: list[Promotion], offers: list[Offer], day: date, time_zones: dict[str, str]
) -> list[dict[str, str]]:
    """Rows of promotions.csv; offers and a SKU's promotion run for two weeks, a basket's on the day."""
    rows = []
    for one in promotions:
        when = _two_weeks(day, time_zones[one.store_id])
        if not one.item_sku:
            when = _period(day, day + timedelta(days=1), time_zones[one.store_id])
        rows.append(
            {
                **dict.fromkeys(PROMOTION_COLUMNS, ""),
                "promotion_id": one.promotion_id,
                "store_id": one.store_id,
                "kind": "LINE_PERCENTAGE" if one.item_sku else "BASKET_PERCENTAGE",
                "item_sku": one.item_sku,
                "shopping_trip_id": one.shopping_trip_id,
                "percentage": f"{one.millionths // MILLION}.{one.millionths % MILLION:06d}",
                **when,
                "description": "on the shelf" if one.item_sku else "loyalty and coupons of this basket",
            }
        )
    rows += [
        {
            **dict.fromkeys(PROMOTION_COLUMNS, ""),
            "promotion_id": offer.promotion_id,
            "store_id": offer.store_id,
            "kind": offer.kind,
            "item_sku": ";".join(offer.item_skus),
            "description": offer.description,
            **_two_weeks(day, time_zones[offer.store_id]),
            **offer.terms,
        }
        for offer in offers
    ]
    return rows


def tax_rows(jurisdictions: dict[str, str], day: date, time_zones: dict[str, str]) -> list[dict[str, str]]:
    """Rows of taxes.csv; `jurisdictions` by store."""
    return [
        {
            "store_id": store_id,
            "product_tax_code": code,
            "jurisdiction": jurisdiction,
            "rate": rate,
            "valid_from": instants.text(instants.day_start(day.replace(month=1, day=1), time_zones[store_id])),
            "valid_to": "",
        }
        for store_id, jurisdiction in jurisdictions.items()
        for code, rate in TAX_RATES[jurisdiction[:5]].items()
    ]


def _two_weeks(day: date, zone: str) -> dict[str, str]:
    return _period(day - timedelta(days=6), day + timedelta(days=8), zone)


def _period(first: date, last: date, zone: str) -> dict[str, str]:
    return {
        "valid_from": instants.text(instants.day_start(first, zone)),
        "valid_to": instants.text(instants.day_start(last, zone)),
    }


def _one_percentage(lines: list[SourceLine], cents: int) -> int:
    """The percentage (millionths) that explains more than half of at least two lines, or 0."""
    if len(lines) < 2:
        return 0
    seen = Counter(_percentage(line, cents) for line in lines)
    millionths, times = max(seen.items(), key=lambda item: (item[1], item[0]))
    return millionths if times * 2 > len(lines) else 0


def _percentage(line: SourceLine, cents: int) -> int:
    """What was taken off this line's shelf price, in millionths rounded to a tenth of a percent."""
    list_cents = cents * line.quantity
    off = max(0, list_cents - line.paid_cents)
    return min(LARGEST, (off * 1000 + list_cents // 2) // list_cents * 1000)


def _rest_of_basket(basket: Basket, by_line: dict[tuple[str, int], int], assortment: Assortment) -> int:
    """What was taken off the lines that have no promotion of their own, over those lines' list amounts."""
    rest = [line for line in basket.lines if (basket.store_id, line.product_id) not in by_line]
    listed = sum(assortment.articles[line.product_id].cents[basket.store_id] * line.quantity for line in rest)
    paid = sum(line.paid_cents for line in rest)
    return min(LARGEST, max(0, listed - paid) * MILLION // listed) if listed else 0
