"""What others say of a store's day: Amazon's orders, and the payouts of the store's own processor. SQL, and checks.

An order counts by the trip that it was found to be: one that names another trip is there as well, and one that another
order of its trip supersedes is not. Where the store's own processor moves the money, Amazon's orders show none of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from backroom.reconciliation import payout_lines
from backroom.reconciliation.pairing import SUPERSEDED

ORDERS: Final = "Amazon's orders"
PAID: Final = "payouts"
TOLD_BY_BREAKS: Final = frozenset({ORDERS, PAID})
"""Where a figure differs from these, breaks say so trip by trip."""

AMAZON: Final = f"""
    with of_day as (
        select coalesce(their_trip_id, shopping_trip_id) as named, min(shopping_trip_id) as shopping_trip_id
        from reconciliation_trip where store_id = :store_id and business_date = :business_date group by 1
    ), seen as (
        select shopping_trip_id as named, order_total, authorized, captured, refunded, {SUPERSEDED} as superseded
        from amazon_order where store_id = :store_id and shopping_trip_id in (select named from of_day)
    )
    select count(*) as orders, coalesce(sum(o.order_total), 0) as total, coalesce(sum(o.authorized), 0) as authorized,
           coalesce(sum(o.captured), 0) as captured, coalesce(sum(o.refunded), 0) as refunded,
           coalesce(sum(o.order_total) filter (where p.state in ('PRICED', 'EMPTY')), 0) as total_by_card
    from seen o join of_day t using (named)
    left join purchase p on p.shopping_trip_id = t.shopping_trip_id and p.store_id = :store_id
    where not o.superseded
"""  # noqa: S608 - constants only
OWN_PROCESSOR: Final = "select payment_processor <> 'AMAZON' as is_own from store where store_id = :store_id"
# What is still to come, and not late: its trip waits, and no break says that it is missing.
PAYOUTS: Final = f"""
    with of_day as (
        select t.shopping_trip_id, t.waits, coalesce(c.captured, 0) as captured,
               coalesce((select sum(r.amount) from refund r where r.shopping_trip_id = t.shopping_trip_id
                         and r.instrument = 'CAPTURE' and r.state = 'FINAL'), 0) as refunded,
               exists (select from reconciliation_break b
                       where b.store_id = t.store_id and b.business_date = t.business_date
                         and b.shopping_trip_id = t.shopping_trip_id and b.kind in ('MISSING_PAYOUT', 'PAYOUT')
                         and b.resolution is distinct from 'LATER_DATA') as told
        from reconciliation_trip t join charge c using (shopping_trip_id)
        where t.store_id = :store_id and t.business_date = :business_date
    ), paid as (
        select shopping_trip_id, coalesce(sum(amount) filter (where kind = 'CAPTURE'), 0) as captured,
               -coalesce(sum(amount) filter (where kind = 'REFUND'), 0) as refunded
        from ({payout_lines.of_trips("of_day")}) of_trip
        group by 1
    )
    select coalesce(sum(p.captured), 0) as captured, coalesce(sum(p.refunded), 0) as refunded,
           coalesce(sum(greatest(d.captured - coalesce(p.captured, 0), 0)) filter (where d.waits and not d.told), 0)
               as captures_to_come,
           coalesce(sum(greatest(d.refunded - coalesce(p.refunded, 0), 0)) filter (where d.waits and not d.told), 0)
               as refunds_to_come
    from of_day d left join paid p using (shopping_trip_id)
"""  # noqa: S608 - constants only


def checks(found: dict[str, Any]) -> list[tuple[str, str, Any, str, Any]]:
    """(what, source, amount, against, the other amount) of each figure that others tell, too."""
    sales, money, amazon, payouts = (found[name] for name in ("sales", "settlement", "amazon", "payouts"))
    checks: list[tuple[str, str, Any, str, Any]] = []
    if found["files"] is not None:  # orders come from files alone
        checks.append(("Totals of carts paid by card", "purchases", sales["by_card"], ORDERS, amazon["total_by_card"]))
        if payouts is None:
            checks += [
                ("Captured, final", "charges", money["captured"], ORDERS, amazon["captured"]),
                ("Refunded by card, final", "refunds", money["card_refunded"], ORDERS, amazon["refunded"]),
            ]
    if payouts is not None:
        captured, refunded = (
            Decimal(money[one]) - Decimal(payouts[to_come])
            for one, to_come in (("captured", "captures_to_come"), ("card_refunded", "refunds_to_come"))
        )
        checks += [
            ("Captured, final, but for payouts to come", "charges", captured, PAID, payouts["captured"]),
            ("Refunded by card, but for payouts to come", "refunds", refunded, PAID, payouts["refunded"]),
        ]
    return checks
