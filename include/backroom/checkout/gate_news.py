"""Whether the gate opens again for who has paid: at once where the risk is ours, else once Amazon knows."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, text


class GateNews(StrEnum):
    """What the page says after a payment."""

    OPEN = "OPEN"
    TELLING_AMAZON = "TELLING_AMAZON"
    OWES_MORE = "OWES_MORE"
    NOT_SAID = "NOT_SAID"
    """Something else keeps the gate closed, which is not said to who may know this trip only."""


_TOLD: Final = text(
    """
    select s.risk_strategy in ('AMAZON_MANAGED', 'AMAZON_RECOMMENDATION') as kept_by_amazon,
           coalesce(r.state = 'ACCEPTED' and r.settled = r.total, false) as told,
           exists (select from shopper p where p.shopper_id = d.shopper_id and (p.flagged or not p.active))
           or exists (
               select from debt o
               where (o.shopper_id = d.shopper_id or o.shopper_identity = d.shopper_identity)
                 and o.shopping_trip_id <> d.shopping_trip_id
                 and (o.outstanding > 0 or (o.written_off > 0 and o.forgiven_at is null))
           ) as closed_else
    from debt d join store s using (store_id)
    left join lateral (
        select state, settled, total from payment_status_report p
        where p.shopping_trip_id = d.shopping_trip_id order by report_id desc limit 1
    ) r on true
    where d.shopping_trip_id = :trip
    """
)


def gate_news(connection: Connection, shopping_trip_id: str) -> GateNews:
    """Of a trip that is paid. Where Amazon keeps the balance, it has to have accepted that all is settled."""
    row = connection.execute(_TOLD, {"trip": shopping_trip_id}).one_or_none()
    if row is not None and row.closed_else:
        return GateNews.NOT_SAID
    if row is None or not row.kept_by_amazon or row.told:
        return GateNews.OPEN
    return GateNews.TELLING_AMAZON
