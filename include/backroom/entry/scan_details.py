"""What a scan result brings: the loyalty provider and the promotions of its account (inbound.md, 3)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from backroom.entry.gate import UnknownStore


@dataclass(frozen=True)
class ScanDetails:
    """The provider's name and the ids of the promotions that the account was given, in order."""

    provider: str
    promotion_ids: tuple[str, ...]


def scan_details(connection: Connection, store_id: str, result_id: str, result_type: str) -> ScanDetails | None:
    """Of the account itself (LOYALTY), else of all accounts of that shopper; None where there is no open account.

    Where a shopper has several, the provider is that of the first by id. Raises UnknownStore.
    """
    found = connection.execute(
        _DETAILS, {"store_id": store_id, "id": result_id, "by_account": result_type == "LOYALTY"}
    ).one()
    if not found.store_active:
        raise UnknownStore(store_id)
    return None if found.provider is None else ScanDetails(found.provider, tuple(found.promotion_ids))


_DETAILS = text("""
    with account as (
        select loyalty_id, provider from loyalty_account
        where active and case when :by_account then loyalty_id = :id else shopper_id = :id end
    )
    select (select active from store where store_id = :store_id) as store_active,
           (select provider from account order by loyalty_id limit 1) as provider,
           array(select distinct promotion_id from loyalty_promotion join account using (loyalty_id)
                 order by promotion_id) as promotion_ids
""")
