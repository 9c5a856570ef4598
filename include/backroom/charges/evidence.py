"""Evidence of what became of captures and cancels: Amazon's order rows and events, processors' answers; set-based.

A capture that was begun, or whose outcome is unknown, becomes final only here (or by a person's word).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import Connection, RowMapping, text

from backroom.alerts import raise_alert
from backroom.charges import history, parking
from backroom.charges.decisions import apply_decisions
from backroom.charges.history import News
from backroom.charges.rules import ParkedFor
from backroom.charges.states import Event, Kind, Source, State
from backroom.processors import evidence as processors_evidence
from backroom.settings import settings

AT_ONCE: Final = 2000  # trips folded at once
NOBODYS_AFTER: Final = timedelta(days=7)
"""How long news of a trip without a charge waits for one (ours): its cart comes in hours, or never."""

# The last capture that Amazon may have heard of, and whether a cancel's outcome is open.
_ASKED: Final = """
    left join lateral (
        select a.attempt_id, a.intended_at, (a.request -> 'amount' ->> 'amount')::numeric as amount
        from charge_attempt a
        where a.shopping_trip_id = c.shopping_trip_id and a.operation = 'CAPTURE'
          and (a.outcome is null or a.outcome in ('SUCCEEDED', 'UNKNOWN'))
        order by a.number desc limit 1
    ) asked on true
"""
_FINAL_STATES: Final = "('CAPTURED', 'IN_DEBT', 'CANCELLED')"
_OPEN_STATES: Final = "('DUE', 'ADJUST_PENDING', 'AUTHORIZED', 'CAPTURE_INITIATED', 'UNKNOWN', 'PARKED', 'CANCEL_DUE')"

_NOT_HEARD: Final = """not exists (
        select from charge_event e where e.shopping_trip_id = c.shopping_trip_id and e.source = 'ORDER_ROW'
          and e.source_id = o.order_id || '@' || o.updated_at)"""

# What a row tells a charge that is final: another amount than it holds. A row comes again with every change of the
# order; an amount that it has told before was judged before.
_TELLS_OTHERWISE: Final = f"""c.state in {_FINAL_STATES} and o.captured <> c.captured and not exists (
        select from charge_event e where e.shopping_trip_id = c.shopping_trip_id and e.source = 'ORDER_ROW'
          and e.amount = o.captured and starts_with(e.source_id, o.order_id || '@'))"""

# Of two orders of a trip, one that was cancelled with nothing captured says nothing where the other was captured.
_NOT_SUPERSEDED: Final = """not exists (
        select from amazon_order other
        where other.shopping_trip_id = o.shopping_trip_id and other.store_id = o.store_id
          and other.order_id <> o.order_id and other.captured > 0)"""

_ORDER_ROWS: Final = text(
    f"""
    select c.shopping_trip_id, c.currency as our_currency, o.order_id || '@' || o.updated_at as source_id,
           o.updated_at as happened_at, o.currency, o.captured as amount, asked.amount as asked, asked.intended_at,
           o.status in ('SETTLED', 'REFUNDED') as approved, false as cancelled, false as ruled_out
    from charge c
    join amazon_order o on o.shopping_trip_id = c.shopping_trip_id and o.store_id = c.store_id
    {_ASKED}
    where o.to_hear and (c.state in {_OPEN_STATES} or {_TELLS_OTHERWISE}) and not o.incomplete
      and {_NOT_HEARD}
      and (o.status in ('SETTLED', 'REFUNDED') and o.captured > 0
               and (asked.intended_at is null or o.updated_at > asked.intended_at)
           or o.status = 'CANCELLED' and o.captured = 0 and o.updated_at > asked.intended_at and {_NOT_SUPERSEDED})
    union all
    select c.shopping_trip_id, c.currency, o.order_id || '@' || o.updated_at, o.updated_at, o.currency, 0, null,
           cancelled.intended_at, false, true, false
    from charge c
    join amazon_order o on o.shopping_trip_id = c.shopping_trip_id and o.store_id = c.store_id
    {_ASKED}
    join lateral (
        select a.intended_at from charge_attempt a
        where a.shopping_trip_id = c.shopping_trip_id and a.operation = 'CANCEL'
          and (a.outcome is null or a.outcome = 'UNKNOWN')
        order by a.number desc limit 1
    ) cancelled on true
    where o.to_hear and c.state in ('UNKNOWN', 'PARKED') and {_NOT_HEARD} and asked.intended_at is null
      and o.status = 'CANCELLED' and o.captured = 0 and o.updated_at > cancelled.intended_at
    """  # noqa: S608 - constants of this file only
)

# Both matter in every state: a charge that is final would be contradicted. An amount that no column of ours can hold
# exactly is none, and parks.
_EVENTS: Final = text(
    f"""
    select c.shopping_trip_id, c.currency as our_currency, f.event_id as source_id, f.happened_at,
           f.envelope -> 'detail' -> 'amount' ->> 'code' as currency,
           case when pg_input_is_valid(told.amount, 'numeric(14,4)') and lower(trim(told.amount)) !~ 'nan'
                then case when scale(trim_scale(told.amount::numeric)) <= 4 then told.amount::numeric end
                end as amount,
           asked.amount as asked, asked.intended_at, f.subtype = 'CaptureApproved' as approved, false as cancelled,
           false as ruled_out
    from feed_event f
    join charge c on c.shopping_trip_id = f.shopping_trip_id
    cross join lateral (select f.envelope -> 'detail' -> 'amount' ->> 'amount' as amount) told
    {_ASKED}
    where f.to_hear and f.detail_type = 'PAYMENT' and f.subtype in ('CaptureApproved', 'CaptureDeclined')
      and not exists (
          select from charge_event e
          where e.shopping_trip_id = c.shopping_trip_id and e.source = 'EVENT' and e.source_id = f.event_id)
    """  # noqa: S608 - constants of this file only
)

# Each news as it was before it was looked at: one that is written anew meanwhile (another xmin) is to be heard again.
_TO_HEAR: Final = text(
    """
    select o.store_id, o.order_id, o.xmin::text as version from amazon_order o
    join charge c on c.shopping_trip_id = o.shopping_trip_id and c.store_id = o.store_id
    where o.to_hear
    """
)
# An order may say more to a charge that is still open, such as that a cancel has happened which is yet to be tried.
_HEARD_ORDERS: Final = text(
    f"""
    update amazon_order o set to_hear = false
    from json_to_recordset(:heard) as heard (store_id text, order_id text, version text), charge c
    where o.store_id = heard.store_id and o.order_id = heard.order_id and o.xmin::text = heard.version
      and c.shopping_trip_id = o.shopping_trip_id and c.store_id = o.store_id and c.state in {_FINAL_STATES}
    """  # noqa: S608 - constants of this file only
)
_HEARD_EVENTS: Final = text(
    """
    update feed_event f set to_hear = false
    where f.to_hear and f.detail_type = 'PAYMENT' and f.subtype in ('CaptureApproved', 'CaptureDeclined')
      and exists (select from charge_event e where e.shopping_trip_id = f.shopping_trip_id and e.source = 'EVENT'
                    and e.source_id = f.event_id)
    """
)

# News of trips that never had a charge here is not gone through for ever; a charge that is opened after its token's end
# finds its news again.
_NOBODYS_ORDERS: Final = text(
    """
    update amazon_order o set to_hear = false
    where o.to_hear and o.updated_at < :before and not exists (
        select from charge c where c.shopping_trip_id = o.shopping_trip_id and c.store_id = o.store_id)
    """
)
_NOBODYS_EVENTS: Final = text(
    """
    update feed_event f set to_hear = false
    where f.to_hear and f.detail_type = 'PAYMENT' and f.subtype in ('CaptureApproved', 'CaptureDeclined')
      and f.happened_at < :before
      and not exists (select from charge c where c.shopping_trip_id = f.shopping_trip_id)
    """
)
_ORDERS_OF_LATE: Final = text(
    f"""
    update amazon_order o set to_hear = true from charge c
    where c.state in {_OPEN_STATES} and c.created_at > c.expires_at and not o.to_hear
      and o.shopping_trip_id = c.shopping_trip_id and o.store_id = c.store_id and {_NOT_HEARD}
    """  # noqa: S608 - constants of this file only
)
_EVENTS_OF_LATE: Final = text(
    f"""
    update feed_event f set to_hear = true from charge c
    where c.state in {_OPEN_STATES} and c.created_at > c.expires_at and not f.to_hear
      and f.shopping_trip_id = c.shopping_trip_id
      and f.detail_type = 'PAYMENT' and f.subtype in ('CaptureApproved', 'CaptureDeclined')
      and not exists (
          select from charge_event e
          where e.shopping_trip_id = c.shopping_trip_id and e.source = 'EVENT' and e.source_id = f.event_id)
    """  # noqa: S608 - constants of this file only
)

_PROCESSORS: Final = text(processors_evidence.TOLD.format(asked=_ASKED, open_states=_OPEN_STATES))
_HEARD_PROCESSORS, _NOBODYS_CALLS = (
    text(query.format(final_states=_FINAL_STATES)) for query in processors_evidence.HEARD
)

# Amazon's word on an authorization is no answer to our ask: the gate's own hold is told in the same way. But it is time
# to ask again, which is harmless, and whose answer counts.
_WAKE: Final = text(
    """
    with told as (
        select c.shopping_trip_id from charge c
        where c.state = 'ADJUST_PENDING' and c.next_attempt_at > :now
          and (c.lease_until is null or c.lease_until < clock_timestamp())
          and exists (
              select from feed_event f
              where f.shopping_trip_id = c.shopping_trip_id and f.detail_type = 'PAYMENT'
                and f.subtype in ('AuthorizationApproved', 'AuthorizationDeclined')
                and f.happened_at > (select max(a.intended_at) from charge_attempt a
                                     where a.shopping_trip_id = c.shopping_trip_id and a.operation = 'ADJUST'))
        for update of c skip locked
    )
    update charge c set next_attempt_at = :now from told where c.shopping_trip_id = told.shopping_trip_id
    """
)
_UNCHARGED: Final = text(
    """
    select store_id, count(*) as trips, min(expires_at) as first
    from charge
    where state in ('DUE', 'ADJUST_PENDING', 'AUTHORIZED', 'UNKNOWN') and total > 0 and capture_initiated = 0
      and expires_at > :now and expires_at <= :soon
    group by store_id
    """
)


def gather_evidence(connection: Connection, *, now: datetime) -> Counter[str]:
    """Takes in people's decisions, order rows and events that tell of our captures and cancels; counts by kind.

    Idempotent. The cost grows with what is new and with the charges that are open. Evidence over more than was asked
    for, in another currency, or without a capture of ours, parks the charge for a person, and so does evidence against
    a charge that is final already; evidence over less is a partial capture, and the rest a debt.
    """
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended('gather_evidence', 0))"))
    counts: Counter[str] = Counter(decisions=apply_decisions(connection, now=now))
    connection.execute(_ORDERS_OF_LATE)
    connection.execute(_EVENTS_OF_LATE)
    to_hear = connection.execute(_TO_HEAR).mappings().all()
    for source, query in ((Source.ORDER_ROW, _ORDER_ROWS), (Source.EVENT, _EVENTS), (Source.EVENT, _PROCESSORS)):
        counts += _take_in(connection, source, connection.execute(query).mappings().all(), now)
    if to_hear:
        connection.execute(_HEARD_ORDERS, {"heard": orjson.dumps([dict(row) for row in to_hear]).decode()})
    connection.execute(_HEARD_EVENTS)
    connection.execute(_HEARD_PROCESSORS)
    for nobodys in (_NOBODYS_ORDERS, _NOBODYS_EVENTS, _NOBODYS_CALLS):
        connection.execute(nobodys, {"before": now - NOBODYS_AFTER})
    counts["asked_again"] = connection.execute(_WAKE, {"now": now}).rowcount
    _warn_of_uncharged(connection, now)
    return counts


def _take_in(connection: Connection, source: Source, rows: Sequence[RowMapping], now: datetime) -> Counter[str]:
    counts: Counter[str] = Counter()
    by_trip: dict[str, list[RowMapping]] = defaultdict(list)
    for row in rows:
        by_trip[row["shopping_trip_id"]].append(row)
    for trips in _portions(list(by_trip)):
        before = history.lock(connection, trips)
        news = {trip: [_news(source, row) for row in by_trip[trip]] for trip in trips}
        after = history.add(connection, before, news, now=now)
        counts.update(item.event.kind.value for items in news.values() for item in items)
        for trip in trips:
            if after[trip].folded.state is State.PARKED and before[trip].folded != after[trip].folded:
                known = _known(source, by_trip[trip][-1])
                parking.ask(connection, after[trip], ParkedFor.EVIDENCE_DISAGREES, known, now=now)
    return counts


def _news(source: Source, row: RowMapping) -> News:
    def event(kind: Kind, amount: Any = None) -> Event:
        return Event(kind, row["happened_at"], source, row["source_id"], amount)

    if row["cancelled"]:
        return News(event(Kind.CANCEL_CONFIRMED))
    if row["ruled_out"]:
        return News(event(Kind.CAPTURE_RULED_OUT))
    amount, asked = row["amount"], row["asked"]
    if not row["approved"]:
        return News(event(Kind.CAPTURE_DECLINED if asked is not None else Kind.EVIDENCE_DISAGREES))
    if asked is None or amount is None or amount > asked or amount <= 0 or row["currency"] != row["our_currency"]:
        return News(event(Kind.EVIDENCE_DISAGREES, amount), {"amazon_currency": row["currency"]})
    return News(event(Kind.CAPTURE_APPROVED, amount))


def _known(source: Source, row: RowMapping) -> dict[str, Any]:
    return {
        "heard_from": source.value,
        "source_id": row["source_id"],
        "amazon_says": "captured" if row["approved"] else "not captured",
        "amazon_amount": format(row["amount"], "f") if row["amount"] is not None else None,
        "amazon_currency": row["currency"],
        "asked_at": row["intended_at"].isoformat() if row["intended_at"] else None,
    }


def _portions(trips: list[str]) -> Iterable[list[str]]:
    return (trips[start : start + AT_ONCE] for start in range(0, len(trips), AT_ONCE))


def _warn_of_uncharged(connection: Connection, now: datetime) -> None:
    """Carts received but not charged shortly before the pre-authorization ends."""
    soon = now + timedelta(hours=settings().charge_margin_hours)
    for row in connection.execute(_UNCHARGED, {"now": now, "soon": soon}).mappings():
        raise_alert(
            connection,
            key=f"uncharged-before-expiry:{row['store_id']}:{now.date()}",
            severity="critical",
            title=f"{row['store_id']}: {row['trips']} carts are not charged and their pre-authorization ends soon",
            what_to_do=(
                f"the first ends at {row['first']:%Y-%m-%d %H:%M} UTC; see `backroom charges list --store "
                f"{row['store_id']}` and whether charge_lifecycle runs"
            ),
            now=now,
            store_id=row["store_id"],
        )
