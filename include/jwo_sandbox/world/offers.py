"""The stores' own offers, one of each kind that the real discounts do not show: made up, over what really sells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from jwo_sandbox.world.assortment import Assortment
from jwo_sandbox.world.baskets import Basket

CLUB_ID = "GREEN-10"
CLUB_PRODUCTS = 12
HIDDEN_FROM = 150_000
"""A basket's own discount (millionths) above which it would take more than these offers do."""


@dataclass(frozen=True)
class Offer:
    """A promotion for two weeks; `terms` are columns of promotions.csv beside its id, store, kind and description."""

    promotion_id: str
    store_id: str
    kind: str
    description: str
    item_skus: tuple[str, ...] = ()
    terms: dict[str, str] = field(default_factory=dict)


def for_everybody(store_id: str, baskets: list[Basket], assortment: Assortment, taken: set[str]) -> list[Offer]:
    """Three offers of a store; not on products (SKUs, `taken`) that have a percentage already.

    A second one at half price of the two that are bought by twos most often, a fifth off another that sells best, and
    3.00 off a basket from 30.00 on. `baskets` are those with no large discount of their own, which would hide these.
    """
    offers = [
        Offer(
            "OVER-30",
            store_id,
            "BASKET_AMOUNT",
            "3 off from 30 on",
            terms={"amount": "3.00", "minimum_amount": "30.00", "stacks": "true", "stacking_order": "2"},
        )
    ]
    units, pairs = Counter[int](), Counter[int]()
    for line in (line for basket in baskets if basket.store_id == store_id for line in basket.lines):
        article = assortment.articles[line.product_id]
        if article.unit == "unit" and article.sku not in taken:
            units[line.product_id] += line.quantity
            pairs[line.product_id] += line.quantity // 2
    if len(units) < 3:
        return offers
    by_twos = sorted(units, key=lambda product_id: (-pairs[product_id], -units[product_id], product_id))[:2]
    best = min(units.keys() - by_twos, key=lambda product_id: (-units[product_id], product_id))
    fifth = max(1, assortment.articles[best].cents[store_id] // 5)
    return [
        Offer(
            "SECOND-HALF",
            store_id,
            "BUY_X_GET_Y",
            "the second at half price",
            tuple(assortment.articles[product_id].sku for product_id in by_twos),
            {"percentage": "0.500000", "buy_quantity": "1", "get_quantity": "1"},
        ),
        Offer(
            "FIFTH-OFF",
            store_id,
            "LINE_AMOUNT",
            "off each",
            (assortment.articles[best].sku,),
            {"amount": f"{fifth // 100}.{fifth % 100:02d}"},
        ),
        *offers,
    ]


def for_members(store_id: str, trips: list[dict[str, Any]]) -> list[Offer]:
    """A tenth, on top of anything else, off what those bought most who showed their card; none where nobody did."""
    carts = [trip["cart"] for trip in trips if "loyalty" in trip and trip["store_id"] == store_id]
    sold = Counter(item["id"] for cart in carts for item in cart if item["type"] == "SKU")
    skus = sorted(sold, key=lambda sku: (-sold[sku], sku))[:CLUB_PRODUCTS]
    terms = {"percentage": "0.100000", "stacks": "true", "stacking_order": "1", "loyalty": "true"}
    return [Offer(CLUB_ID, store_id, "LINE_PERCENTAGE", "members", tuple(skus), terms)] if skus else []
