"""What the catalog and the price book say about one cart, in two queries keyed by the cart's items."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Connection, text

from backroom.purchases.barcodes import spellings
from backroom.purchases.cart import Cart, owner_of
from backroom.purchases.loyalty_cards import scanned_accounts
from backroom.purchases.pricing import Product
from backroom.purchases.promotions import Promotion

_PRODUCTS = text("""
    select item.item_type, item.item_id, product.item_sku, product.unit, product.product_tax_code,
           price.amount, tax.rate, tax.jurisdiction
    from unnest(cast(:item_types as text[]), cast(:item_ids as text[]), cast(:spellings as text[]))
         as item (item_type, item_id, spelling)
    left join catalog_barcode as code
      on item.item_type = 'SCANCODE' and code.store_id = :store_id and code.barcode = item.spelling
    join catalog_item as product
      on product.store_id = :store_id
     and product.item_sku = case item.item_type when 'SCANCODE' then code.item_sku else item.item_id end
    left join shelf_price as price
      on price.store_id = :store_id and price.item_sku = product.item_sku
     and price.valid_from <= :at and (price.valid_to is null or price.valid_to > :at)
    left join tax_rate as tax
      on tax.store_id = :store_id and tax.product_tax_code = product.product_tax_code
     and tax.valid_from <= :at and (tax.valid_to is null or tax.valid_to > :at)
    order by item.spelling = item.item_id, item.spelling
""")

# A loyalty promotion counts where it was given to an account that the trip scanned, or that its shopper holds.
_PROMOTIONS = text("""
    with applicable as (
        select promotion_id from promotion_item where store_id = :store_id and item_sku = any(cast(:skus as text[]))
        union
        select promotion_id from promotion where store_id = :store_id and shopping_trip_id = :trip_id
        union
        select promotion_id from promotion
        where store_id = :store_id and kind like 'BASKET%' and shopping_trip_id is null
    )
    select promotion.*, array(
               select item.item_sku from promotion_item as item
               where item.promotion_id = promotion.promotion_id and item.store_id = :store_id
                 and item.item_sku = any(cast(:skus as text[]))
           ) as item_skus
    from applicable join promotion using (promotion_id)
    where valid_from <= :at and (valid_to is null or valid_to > :at)
      and (not loyalty or exists (
          select from loyalty_promotion as given join loyalty_account as account using (account_index)
          where given.promotion_id = coalesce(promotion.version_of, promotion.promotion_id) and account.active
            and (account.account_index = any(cast(:accounts as text[])) or account.shopper_id = :shopper_id)))
""")


def products_of(connection: Connection, cart: Cart) -> dict[tuple[str, str], Product]:
    """The cart's products by (item_type, item_id), priced as of the trip's end; unknown items are absent."""
    items = [
        (item_type, item_id, spelling)
        for item_type, item_id in sorted({(item.item_type, item.item_id) for item in cart.items})
        for spelling in (spellings(item_id) if item_type == "SCANCODE" else [item_id])
    ]
    rows = connection.execute(
        _PRODUCTS,
        {
            "item_types": [item_type for item_type, _, _ in items],
            "item_ids": [item_id for _, item_id, _ in items],
            "spellings": [spelling for _, _, spelling in items],
            "store_id": cart.store_id,
            "at": cart.ended_at,
        },
    )
    return {  # a barcode as it came is the last row, and so counts before its other spellings
        (row.item_type, row.item_id): Product(
            item_sku=row.item_sku,
            sold_by=row.unit,
            list_price=row.amount,
            product_tax_code=row.product_tax_code,
            tax_rate=row.rate or Decimal(0),
            tax_jurisdiction=row.jurisdiction,
        )
        for row in rows
    }


def promotions_for(
    connection: Connection, cart: Cart, skus: set[str], *, shopper_id: str | None = None
) -> list[Promotion]:
    """All promotions that apply to the trip's end: for these SKUs, for this basket, for every basket.

    Those for loyalty accounts only where the cart's `loyalty_ids` or an account of the shopper whose trip it is was
    given them: `shopper_id`, where the gate knows more than the cart says.
    """
    if shopper_id is None and cart.auth_events:
        shopper_id = owner_of(cart, {}).shopper_id
    rows = connection.execute(
        _PROMOTIONS,
        {
            "skus": sorted(skus),
            "store_id": cart.store_id,
            "trip_id": cart.shopping_trip_id,
            "at": cart.ended_at,
            "accounts": scanned_accounts(cart),
            "shopper_id": shopper_id,
        },
    )
    return [
        Promotion(
            promotion_id=row.promotion_id,
            kind=row.kind,
            percentage=row.percentage,
            amount=row.amount,
            item_skus=frozenset(row.item_skus),
            buy_quantity=row.buy_quantity or 0,
            get_quantity=row.get_quantity or 0,
            minimum_amount=row.minimum_amount,
            stacks=row.stacks,
            stacking_order=row.stacking_order,
            description=row.description,
        )
        for row in rows
    ]
