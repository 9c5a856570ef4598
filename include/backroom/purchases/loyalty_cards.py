"""The loyalty cards of a cart: how their accounts are found, and how the cart is kept without naming them."""

from __future__ import annotations

from backroom.purchases.cart import Cart
from backroom.settings import settings
from backroom.shoppers.loyalty_index import account_index, without_loyalty_ids
from backroom.shoppers.sealing import seal_of


def scanned_accounts(cart: Cart) -> list[str]:
    """The indexes of the accounts that were scanned. Raises ConfigurationError where no key is set, and one was."""
    scanned = cart.loyalty_ids
    if not scanned:
        return []
    seal = seal_of(settings())
    return [account_index(seal, loyalty_id) for loyalty_id in scanned]


def kept_body(cart: Cart, raw_body: str) -> str:
    """The body that is stored: as it came, but for the loyalty accounts. Raises as `scanned_accounts` does."""
    return without_loyalty_ids(seal_of(settings()), raw_body) if cart.loyalty_ids else raw_body
