"""What became of refunds: people's decisions, Amazon's order rows, a processor's word, and deadlines that passed.

A refund that was begun, or whose outcome is unknown, becomes final only here (or where its store trusts the answer).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.alerts import raise_alert
from backroom.refunds import history, parking, queue
from backroom.refunds.decisions import apply_decisions
from backroom.refunds.history import ParkedFor
from backroom.refunds.placing import place_waiting
from backroom.refunds.proof import Begun, proof
from backroom.settings import settings

# Trips with a refund in the open of which Amazon's row may tell something new.
_TRIPS: Final = text(
    """
    select distinct r.shopping_trip_id, o.order_id, o.refunded, o.updated_at
    from refund r join amazon_order o on o.shopping_trip_id = r.shopping_trip_id and o.store_id = r.store_id
    where r.instrument = 'CAPTURE' and r.currency = o.currency and o.refunded > 0 and not o.incomplete
      and r.state in ('DUE', 'UNKNOWN', 'INITIATED', 'PARKED') and r.attempts > 0
    order by r.shopping_trip_id
    """
)
_LOCK: Final = text("select 1 from charge where shopping_trip_id = :trip for update")
_BEGUN: Final = text(
    """
    select r.*, coalesce(asked.at, r.final_at) as asked_at, asked.at is null as elsewhere,
           coalesce(asked.others, 0) as others
    from refund r
    cross join lateral (
        select min(a.intended_at) as at, (array_agg(a.given_by_others order by a.number))[1] as others
        from refund_attempt a
        where a.refund_id = r.refund_id and a.request ->> 'to' = 'AMAZON'
          and (a.outcome is null or a.outcome in ('SUCCEEDED', 'UNKNOWN'))
    ) asked
    where r.shopping_trip_id = :trip and r.instrument = 'CAPTURE'
      and (asked.at is not null and r.state <> 'REFUSED' or r.state = 'FINAL')
    order by r.refund_id for update of r
    """
)
_UNCONFIRMED: Final = text(
    "select refund_id, shopping_trip_id from refund where state = 'INITIATED' and next_attempt_at <= :now"
    " order by shopping_trip_id, refund_id"
)
# Unknown for too long, since the first such attempt or since a person had it asked for again.
_UNKNOWN: Final = text(
    """
    select r.refund_id, r.shopping_trip_id
    from refund r
    cross join lateral (
        select min(a.intended_at) as at from refund_attempt a
        where a.refund_id = r.refund_id and a.outcome = 'UNKNOWN'
          and a.intended_at >= coalesce((select max(decided_at) from review_case c
                                         where c.subject = 'refund' || chr(58) || r.refund_id), '-infinity')
    ) first
    where r.state = 'UNKNOWN' and first.at <= :since
      and (r.lease_until is null or r.lease_until < clock_timestamp())
    order by r.shopping_trip_id, r.refund_id
    """
)
_BY_KEY: Final = text("select refund_id, shopping_trip_id from refund where refund_request_key = :key")


def gather_evidence(connection: Connection, *, now: datetime) -> Counter[str]:
    """Takes in all that is known by `now` (business time), places what has waited, parks what is overdue; counts.

    Idempotent; one at a time.
    """
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended('refunds.gather_evidence', 0))"))
    counts: Counter[str] = Counter(decisions=apply_decisions(connection, now=now))
    for row in connection.execute(_TRIPS).mappings().all():
        counts["final"] += _take_in(connection, row, now)
    counts.update(place_waiting(connection, now=now))
    counts["unconfirmed"] += _park_overdue(connection, _UNCONFIRMED, {"now": now}, ParkedFor.UNCONFIRMED_REFUND, now)
    since = now - timedelta(hours=settings().refund_unknown_hours)
    counts["unknown"] += _park_overdue(connection, _UNKNOWN, {"since": since}, ParkedFor.UNKNOWN_REFUND, now)
    return counts


def settled_by_processor(
    connection: Connection, refund_request_key: str, *, given_back: bool, source: str, now: datetime
) -> bool:
    """A processor's own word (a webhook, a look-up) on the refund that we asked for by that key; False: not ours.

    `given_back` makes it final; else what was booked is undone, and a person is asked. `source` names the news.
    """
    known = connection.execute(_BY_KEY, {"key": refund_request_key}).one_or_none()
    if known is None:
        return False
    one = queue.lock(connection, known.shopping_trip_id, known.refund_id)
    if given_back:
        history.make_final(connection, one, source=source, happened_at=now)
    elif one["state"] in ("INITIATED", "UNKNOWN", "FINAL", "DUE"):
        refused = history.make_refused(connection, one, source=source, happened_at=now)
        parking.park(connection, refused, ParkedFor.REFUND_REFUSED, {"told_by": source}, now=now)
    return True


def _take_in(connection: Connection, told: RowMapping, now: datetime) -> int:
    trip = told["shopping_trip_id"]
    connection.execute(_LOCK, {"trip": trip})
    rows = {row["refund_id"]: row for row in connection.execute(_BEGUN, {"trip": trip}).mappings()}
    begun = [
        Begun(
            row["refund_id"],
            row["amount"],
            row["asked_at"],
            row["state"] == "FINAL",
            elsewhere=row["elsewhere"],
            others=row["others"],
        )
        for row in rows.values()
    ]
    found = proof(begun, refunded=told["refunded"], told_at=told["updated_at"])
    source = f"order:{told['order_id']}@{told['updated_at'].isoformat()}"
    for refund_id in found.made:
        history.make_final(connection, rows[refund_id], source=source, happened_at=told["updated_at"])
    if found.beyond or found.short:
        beyond = f"{found.beyond:f} more than it was asked for"
        raise_alert(
            connection,
            key=f"refund-figures:{trip}",
            severity="critical",
            title=f"Trip {trip}: Amazon gave back "
            + (beyond if found.beyond else f"{found.short:f} less than was told before"),
            what_to_do=f"hold `backroom refunds list --trip {trip}` against Amazon's own page of the trip",
            now=now,
            subject=trip,
            store_id=next(iter(rows.values()))["store_id"],
        )
    return len(found.made)


def _park_overdue(
    connection: Connection, query: object, values: dict[str, datetime], why: ParkedFor, now: datetime
) -> int:
    overdue = connection.execute(query, values).all()  # type: ignore[call-overload]
    for refund_id, shopping_trip_id in overdue:
        parking.park(connection, queue.lock(connection, shopping_trip_id, refund_id), why, {}, now=now)
    return len(overdue)
