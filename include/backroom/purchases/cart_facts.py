"""All that is known when a cart comes in, in one look-up: store, earlier answer, who came in, prices, promotions.

Costs one round trip, whatever the size of the cart; the work grows with its distinct products and their promotions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection, Engine

from backroom.db.serving import Statement
from backroom.purchases.barcodes import spellings
from backroom.purchases.cart import Cart, GateRecord
from backroom.purchases.loyalty_cards import scanned_accounts
from backroom.purchases.pricing import CartItem, Product
from backroom.purchases.promotions import Promotion

# Numerics travel as text: a float would lose them.
_FACTS = Statement("""
    with item as (
        select item ->> 0 as item_type, item ->> 1 as item_id, item ->> 2 as spelling
        from json_array_elements(%(items)s::json) as item
    ), product as materialized (
        select item.item_type, item.item_id, item.spelling, product.item_sku, product.unit, product.product_tax_code,
               price.amount, tax.rate, tax.jurisdiction
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
        left join lateral (
            select amount from shelf_price
            where store_id = %(store_id)s and item_sku = product.item_sku
              and valid_from <= %(at)s and (valid_to is null or valid_to > %(at)s) limit 1
        ) as price on true
        left join lateral (
            select rate, jurisdiction from tax_rate
            where store_id = %(store_id)s and product_tax_code = product.product_tax_code
              and valid_from <= %(at)s and (valid_to is null or valid_to > %(at)s) limit 1
        ) as tax on true
    ), offered as materialized (
        select of_item.promotion_id, of_item.item_sku
        from (select distinct item_sku from product) as sold
        join promotion_item as of_item on of_item.store_id = %(store_id)s and of_item.item_sku = sold.item_sku
        union all
        select promotion_id, null from promotion where store_id = %(store_id)s and shopping_trip_id = %(trip_id)s
        union all
        select promotion_id, null from promotion
        where store_id = %(store_id)s and kind like 'BASKET%' and shopping_trip_id is null
    )
    select store.currency, store.time_zone, store.prices_include_tax, store.pricing_provider, store.point_of_sale_url,
           prior.body_hash, prior.response_body,
           (select json_agg(json_build_array(auth_event_id, status = 200, shopper_id, shopper_type))
            from gate_decision where auth_event_id = any(%(auth_event_ids)s::text[]))::text as gate,
           (select json_agg(json_build_array(item_type, item_id, item_sku, unit, amount::text, product_tax_code,
                                             rate::text, jurisdiction)
                            order by spelling = item_id, spelling)
            from product)::text as products,
           (select json_agg(json_build_array(
                       promotion_id, kind, percentage::text, amount::text, item_skus, buy_quantity, get_quantity,
                       minimum_amount::text, stacks, stacking_order, description, given_to))
            from (
                select promotion.*, offers.item_skus,
                       case when promotion.loyalty then (
                           select coalesce(json_agg(json_build_array(account.account_index, account.shopper_id)), '[]')
                           from loyalty_promotion as given join loyalty_account as account using (account_index)
                           where given.promotion_id = coalesce(promotion.version_of, promotion.promotion_id)
                             and account.active
                             and (account.account_index = any(%(accounts)s::text[])
                                  or account.shopper_id = any(%(shopper_ids)s::text[])
                                  or account.shopper_id in (select shopper_id from gate_decision
                                      where auth_event_id = any(%(auth_event_ids)s::text[])))
                       ) end as given_to
                from (select promotion_id, array_agg(item_sku) filter (where item_sku is not null) as item_skus
                      from offered group by promotion_id) as offers
                join promotion using (promotion_id)
                where valid_from <= %(at)s and (valid_to is null or valid_to > %(at)s)
            ) as offer)::text as promotions
    from (select) as always
    left join store on store.store_id = %(store_id)s
    left join purchase as prior on prior.shopping_trip_id = %(trip_id)s
""")


@dataclass(frozen=True, slots=True)
class OfferedPromotion:
    """A promotion in force; `given_to` are the (account index, shopper id) it is for, None where it is for everyone."""

    promotion: Promotion
    given_to: tuple[tuple[str, str | None], ...] | None


@dataclass(frozen=True, slots=True)
class CartFacts:
    """What the database says. `currency` None: no such store; `body_hash` None: the trip is new."""

    currency: str | None
    time_zone: str
    prices_include_tax: bool
    pricing_provider: str
    point_of_sale_url: str | None
    body_hash: str | None
    response_body: bytes
    gate: Mapping[str, GateRecord]
    products: Mapping[tuple[str, str], Product]
    offers: Sequence[OfferedPromotion]

    def promotions(self, cart: Cart, shopper_id: str | None) -> list[Promotion]:
        """Those that count for the trip: loyalty ones where the cart or its shopper holds an account that has them."""
        scanned = scanned_accounts(cart)
        return [
            offer.promotion
            for offer in self.offers
            if offer.given_to is None
            or any(
                account in scanned or (holder is not None and holder == shopper_id)
                for account, holder in offer.given_to
            )
        ]


def look_up(database: Engine | Connection, cart: Cart) -> CartFacts:
    """Looks everything up as of the trip's end; on an engine with a connection of its own."""
    items = list(_distinct(cart.items))
    row = _FACTS.one(
        database,
        {
            "store_id": cart.store_id,
            "trip_id": cart.shopping_trip_id,
            "at": cart.ended_at,
            "items": orjson.dumps(items).decode(),
            "auth_event_ids": [event.auth_event_id for event in cart.auth_events],
            "shopper_ids": [event.shopper_id for event in cart.auth_events if event.shopper_id],
            "accounts": scanned_accounts(cart),
        },
    )
    return CartFacts(
        currency=row.currency,
        time_zone=row.time_zone,
        prices_include_tax=row.prices_include_tax,
        pricing_provider=row.pricing_provider,
        point_of_sale_url=row.point_of_sale_url,
        body_hash=row.body_hash,
        response_body=row.response_body,
        gate={event_id: GateRecord(*record) for event_id, *record in _list(row.gate)},
        products=_products(_list(row.products)),
        offers=[_offer(*values) for values in _list(row.promotions)],
    )


def _distinct(items: Iterable[CartItem]) -> Iterable[tuple[str, str, str]]:
    """(item_type, item_id, spelling): a barcode in each length that its number can be written in."""
    for item_type, item_id in {(item.item_type, item.item_id): None for item in items}:
        for spelling in spellings(item_id) if item_type == "SCANCODE" else (item_id,):
            yield item_type, item_id, spelling


def _list(text: str | None) -> list[Any]:
    found: list[Any] = orjson.loads(text) if text else []
    return found


def _products(rows: list[Any]) -> dict[tuple[str, str], Product]:
    """A barcode as it came is the last of its rows, and so counts before its other spellings."""
    return {
        (item_type, item_id): Product(
            item_sku,
            unit,
            None if price is None else Decimal(price),
            product_tax_code,
            Decimal(rate or 0),
            jurisdiction,
        )
        for item_type, item_id, item_sku, unit, price, product_tax_code, rate, jurisdiction in rows
    }


def _offer(  # the columns of _FACTS' promotions
    promotion_id: str,
    kind: str,
    percentage: str | None,
    amount: str | None,
    item_skus: list[str] | None,
    buy_quantity: int | None,
    get_quantity: int | None,
    minimum_amount: str | None,
    stacks: bool,
    stacking_order: int,
    description: str,
    given_to: list[list[str | None]] | None,
) -> OfferedPromotion:
    return OfferedPromotion(
        Promotion(
            promotion_id,
            kind,
            None if percentage is None else Decimal(percentage),
            None if amount is None else Decimal(amount),
            frozenset(item_skus or ()),
            buy_quantity or 0,
            get_quantity or 0,
            None if minimum_amount is None else Decimal(minimum_amount),
            stacks,
            stacking_order,
            description,
        ),
        None if given_to is None else tuple((str(account), holder) for account, holder in given_to),
    )
