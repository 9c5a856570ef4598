"""What a store sells, kept in the memory of the process that prices carts, so that a cart costs one round trip.

Whatever a price is made of has a version per store, which the database raises with every change (price_book_version).
A shelf belongs to one version. The statement that stores a cart asks whether that version still stands, so that a price
from a shelf that is out of date is never stored; the cart is then looked up anew, and so is the shelf.

A shelf holds every period of a product, since a trip is priced as of its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Engine

from backroom.clock import parse_instant
from backroom.db.serving import Statement
from backroom.purchases.barcodes import spellings
from backroom.purchases.cart import Cart
from backroom.purchases.pricing import CartItem, Product
from backroom.purchases.promotions import Promotion

LARGEST = 50_000  # items of one store; beyond it the shelf begins anew
NO_TAX = Decimal(0)
EVER, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Period(NamedTuple):
    """A value that is in force from `valid_from` (inclusive) to `valid_to` (exclusive, None: open)."""

    valid_from: datetime
    valid_to: datetime | None
    value: Any

    def holds(self, at: datetime) -> bool:
        """Whether it is in force."""
        return self.valid_from <= at and (self.valid_to is None or self.valid_to > at)


@dataclass(slots=True)
class ShelfItem:
    """One SKU or barcode with all its periods: prices, (rate, jurisdiction), (promotion, whether for loyalty only)."""

    item_sku: str
    unit: str
    product_tax_code: str
    prices: tuple[Period, ...]
    taxes: tuple[Period, ...]
    promotions: tuple[Period, ...]
    _latest: tuple[datetime, datetime, Product] | None = None

    def product(self, at: datetime) -> Product:
        """The product at that instant; carts that end at about the same time get the same one."""
        latest = self._latest
        if latest is not None and latest[0] <= at < latest[1]:
            return latest[2]
        rate, jurisdiction = next((tax.value for tax in self.taxes if tax.holds(at)), (NO_TAX, None))
        price = next((price.value for price in self.prices if price.holds(at)), None)
        product = Product(self.item_sku, self.unit, price, self.product_tax_code, rate, jurisdiction)
        self._latest = (*self._unchanged_around(at), product)
        return product

    def _unchanged_around(self, at: datetime) -> tuple[datetime, datetime]:
        """From when (inclusive) to when (exclusive) no price and no tax begins or ends."""
        changes = [
            instant
            for period in (*self.prices, *self.taxes)
            for instant in (period.valid_from, period.valid_to)
            if instant is not None
        ]
        before = max((instant for instant in changes if instant <= at), default=EVER)
        return before, min((instant for instant in changes if instant > at), default=NEVER)


@dataclass(slots=True)
class Shelf:
    """One version of one store."""

    store_id: str
    version: int
    currency: str
    time_zone: str
    prices_include_tax: bool
    pricing_provider: str
    for_every_basket: tuple[Period, ...]
    items: dict[tuple[str, str], ShelfItem] = field(default_factory=dict)

    def products(self, cart: Cart) -> dict[tuple[str, str], Product] | None:
        """The cart's products as of the trip's end; None where an item is not on the shelf."""
        found = {}
        for item in cart.items:
            key = (item.item_type, item.item_id)
            if key not in found:
                kept = self.items.get(key)
                if kept is None:
                    return None
                found[key] = kept.product(cart.ended_at)
        return found

    def promotions(self, cart: Cart, *, loyalty_possible: bool) -> list[Promotion] | None:
        """Those in force for the cart, but for one basket's own; None where it depends on a loyalty account."""
        at = cart.ended_at
        offered: dict[str, tuple[Promotion, set[str]]] = {}
        for promotion, loyalty in (period.value for period in self.for_every_basket if period.holds(at)):
            if loyalty and loyalty_possible:
                return None
            if not loyalty:
                offered[promotion.promotion_id] = (promotion, set())
        for item in cart.items:
            kept = self.items[item.item_type, item.item_id]
            for period in kept.promotions:
                if not period.holds(at):
                    continue
                promotion, loyalty = period.value
                if loyalty and loyalty_possible:
                    return None
                if not loyalty:
                    offered.setdefault(promotion.promotion_id, (promotion, set()))[1].add(kept.item_sku)
        return [
            replace(promotion, item_skus=frozenset(item_skus)) if item_skus else promotion
            for promotion, item_skus in offered.values()
        ]


class Shelves:
    """The shelves of one process, filled as carts ask for items. Costs memory for at most LARGEST items a store."""

    def __init__(self) -> None:
        self._shelves: dict[str, Shelf] = {}

    def of(self, engine: Engine, cart: Cart) -> Shelf | None:
        """The store's shelf with the cart's items on it; None where the store or an item is unknown."""
        shelf = self._shelves.get(cart.store_id)
        missing = _missing(shelf, cart.items)
        if shelf is not None and not missing:
            return shelf
        return self._fill(engine, cart.store_id, missing)

    def drop(self, store_id: str, version: int | None) -> None:
        """Forgets that version, which may be out of date."""
        shelf = self._shelves.get(store_id)
        if shelf is not None and shelf.version == version:
            self._shelves.pop(store_id, None)

    def _fill(self, engine: Engine, store_id: str, missing: Sequence[tuple[str, str]]) -> Shelf | None:
        row = _SHELF.one(engine, {"store_id": store_id, "items": orjson.dumps(list(_spelled(missing))).decode()})
        if row is None:
            return None
        shelf = self._shelves.get(store_id)
        if shelf is None or shelf.version != row.version or len(shelf.items) > LARGEST:
            shelf = Shelf(
                store_id,
                row.version,
                row.currency,
                row.time_zone,
                row.prices_include_tax,
                row.pricing_provider,
                tuple(_promotion(*values) for values in _list(row.for_every_basket)),
            )
        for item_type, item_id, *values in _list(row.items):
            shelf.items[item_type, item_id] = _item(*values)
        self._shelves[store_id] = shelf
        return shelf if all(key in shelf.items for key in missing) else None


def _missing(shelf: Shelf | None, items: Iterable[CartItem]) -> list[tuple[str, str]]:
    keys = {(item.item_type, item.item_id): None for item in items}
    return list(keys) if shelf is None else [key for key in keys if key not in shelf.items]


def _spelled(keys: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str, str]]:
    for item_type, item_id in keys:
        for spelling in spellings(item_id) if item_type == "SCANCODE" else (item_id,):
            yield item_type, item_id, spelling


# Version and contents come from one snapshot. Numerics and instants travel as text, which keeps them exact.
_PROMOTION_JSON = """json_build_array(
    promotion.promotion_id, promotion.kind, promotion.percentage::text, promotion.amount::text,
    coalesce(promotion.buy_quantity, 0), coalesce(promotion.get_quantity, 0), promotion.minimum_amount::text,
    promotion.stacks, promotion.stacking_order, promotion.description, promotion.loyalty, promotion.valid_from,
    promotion.valid_to)"""
_SHELF = Statement(f"""
    with item as (
        select item ->> 0 as item_type, item ->> 1 as item_id, item ->> 2 as spelling
        from json_array_elements(%(items)s::json) as item
    ), product as materialized (
        select item.item_type, item.item_id, item.spelling, product.item_sku, product.unit, product.product_tax_code
        from item
        left join lateral (
            select item_sku from catalog_barcode
            where item.item_type = 'SCANCODE' and store_id = %(store_id)s and barcode = item.spelling limit 1
        ) as code on true
        cross join lateral (
            select item_sku, unit, product_tax_code from catalog_item
            where store_id = %(store_id)s
              and item_sku = case item.item_type when 'SCANCODE' then code.item_sku else item.item_id end limit 1
        ) as product
    )
    select version.version, store.currency, store.time_zone, store.prices_include_tax, store.pricing_provider,
           (select json_agg({_PROMOTION_JSON}) from promotion
            where promotion.store_id = store.store_id and kind like 'BASKET%' and shopping_trip_id is null
           )::text as for_every_basket,
           (select json_agg(json_build_array(item_type, item_id, item_sku, unit, product_tax_code,
               (select json_agg(json_build_array(amount::text, valid_from, valid_to)) from shelf_price
                where shelf_price.store_id = store.store_id and shelf_price.item_sku = product.item_sku),
               (select json_agg(json_build_array(rate::text, jurisdiction, valid_from, valid_to)) from tax_rate
                where tax_rate.store_id = store.store_id and tax_rate.product_tax_code = product.product_tax_code),
               (select json_agg({_PROMOTION_JSON}) from promotion_item join promotion using (promotion_id)
                where promotion_item.store_id = store.store_id and promotion_item.item_sku = product.item_sku)
            ) order by spelling = item_id, spelling) from product)::text as items
    from store join price_book_version as version using (store_id)
    where store.store_id = %(store_id)s
""")  # noqa: S608 - a constant of this module


def _list(text: str | None) -> list[Any]:
    found: list[Any] = orjson.loads(text) if text else []
    return found


def _item(
    item_sku: str,
    unit: str,
    product_tax_code: str,
    prices: list[list[Any]] | None,
    taxes: list[list[Any]] | None,
    promotions: list[list[Any]] | None,
) -> ShelfItem:
    return ShelfItem(
        item_sku,
        unit,
        product_tax_code,
        tuple(_period(since, until, Decimal(amount)) for amount, since, until in prices or ()),
        tuple(_period(since, until, (Decimal(rate), place)) for rate, place, since, until in taxes or ()),
        tuple(_promotion(*values) for values in promotions or ()),
    )


def _promotion(  # the values of _PROMOTION_JSON
    promotion_id: str,
    kind: str,
    percentage: str | None,
    amount: str | None,
    buy_quantity: int,
    get_quantity: int,
    minimum_amount: str | None,
    stacks: bool,
    stacking_order: int,
    description: str,
    loyalty: bool,
    valid_from: str,
    valid_to: str | None,
) -> Period:
    promotion = Promotion(
        promotion_id,
        kind,
        percentage=None if percentage is None else Decimal(percentage),
        amount=None if amount is None else Decimal(amount),
        buy_quantity=buy_quantity,
        get_quantity=get_quantity,
        minimum_amount=None if minimum_amount is None else Decimal(minimum_amount),
        stacks=stacks,
        stacking_order=stacking_order,
        description=description,
    )
    return _period(valid_from, valid_to, (promotion, loyalty))


def _period(valid_from: str, valid_to: str | None, value: Any) -> Period:
    return Period(parse_instant(valid_from), None if valid_to is None else parse_instant(valid_to), value)
