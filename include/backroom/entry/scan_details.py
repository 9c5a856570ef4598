"""What a scan result brings: the loyalty provider and the promotions of its account (inbound.md, 3)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from backroom.entry.gate import UnknownStore
from backroom.settings import settings
from backroom.shoppers.loyalty_index import account_index
from backroom.shoppers.sealing import seal_of


@dataclass(frozen=True)
class ScanDetails:
    """The provider's name and the ids of the promotions that the account was given, in order."""

    provider: str
    promotion_ids: tuple[str, ...]


def scan_details(connection: Connection, store_id: str, result_id: str, result_type: str) -> ScanDetails | None:
    """Of the account itself (LOYALTY), else of all accounts of that shopper; None where there is no open account.

    Where a shopper has several, the provider is that of the oldest. Raises UnknownStore.
    """
    by_account, config = result_type == "LOYALTY", settings()
    sought = result_id
    if by_account:  # no account is kept without a key
        sought = "" if config.privacy_keys is None else account_index(seal_of(config), result_id)
    found = connection.execute(_DETAILS, {"store_id": store_id, "id": sought, "by_account": by_account}).one()
    if not found.store_active:
        raise UnknownStore(store_id)
    return None if found.provider is None else ScanDetails(found.provider, tuple(found.promotion_ids))


_DETAILS = text("""
    with account as (
        select account_index, provider, created_at from loyalty_account
        where active and case when :by_account then account_index = :id else shopper_id = :id end
    )
    select (select active from store where store_id = :store_id) as store_active,
           (select provider from account order by created_at, account_index limit 1) as provider,
           array(select distinct promotion_id from loyalty_promotion join account using (account_index)
                 order by promotion_id) as promotion_ids
""")
