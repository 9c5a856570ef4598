"""Refunds that a processor has begun but not ended: asked about at each run, until it says how they ended.

Amazon tells of its refunds by its order rows instead (evidence.py); at the till a person says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine, text

from backroom.refunds.channels import RefundPort, order
from backroom.refunds.evidence import settled_by_processor

AT_ONCE: Final = 500
_BEGUN: Final = """
    from refund r join store s using (store_id)
    where r.state = 'INITIATED' and (s.payment_processor <> 'AMAZON' or r.instrument <> 'CAPTURE')
"""
_STORES: Final = text(f"select distinct r.store_id {_BEGUN} order by r.store_id")
_REFUNDS: Final = text(
    f"select r.* {_BEGUN} and r.store_id = :store order by r.initiated_at, r.refund_id limit {AT_ONCE}"
)


def stores_with_begun(connection: Connection) -> list[str]:
    """Stores with a refund that its processor has not ended yet."""
    return list(connection.execute(_STORES).scalars())


def look_up_begun(
    engine: Engine, processors: Mapping[str, RefundPort], *, store_id: str, now: datetime
) -> Counter[str]:
    """Asks what became of each of the store's refunds that a processor has begun; counts what it said.

    The longest begun come first. No transaction is open while a processor is asked; twice at once is harmless.
    """
    counts: Counter[str] = Counter()
    with engine.connect() as connection:
        rows = connection.execute(_REFUNDS, {"store": store_id}).mappings().all()
        asked = [order(connection, row) for row in rows]
    for one in asked:
        port = processors.get(one.processor)
        if port is None or one.processor_reference is None:
            counts["not asked"] += 1
            continue
        given_back = port.became(one.refund_request_key, one.processor_reference)
        if given_back is None:
            counts["waiting"] += 1
            continue
        with engine.begin() as connection:
            settled_by_processor(
                connection, one.refund_request_key, given_back=given_back, source=f"look-up:{one.processor}", now=now
            )
        counts["given back" if given_back else "failed"] += 1
    return counts
