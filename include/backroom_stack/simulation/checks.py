"""What must be true at the end of a simulation: our books, the ledger and the sandbox's books, held against each other.

Trips that a person has left parked are settled outside Backroom: what we know of their money is not held against the
sandbox's, but that they are parked, and that a person has said so, is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, text

from backroom.ledger.accounts import AMAZONS, Account
from backroom.ledger.verification import verify
from backroom.settings import Settings

ZERO: Final = Decimal(0)
END_STATES: Final = ("CAPTURED", "CANCELLED", "IN_DEBT", "PARKED")
NOT_CHARGED: Final = ("SETTLED_OTHERWISE", "EMPTY")


@dataclass
class Trip:
    """One trip by both books; amounts in its currency. `theirs` is the sandbox's."""

    shopping_trip_id: str
    ours: dict[str, Any]
    theirs: dict[str, Any]

    @property
    def parked(self) -> bool:
        """Whether it waits for a person for ever, or its cart does."""
        return self.ours.get("state") == "PARKED"

    def their(self, figure: str) -> Decimal:
        """A figure of the sandbox's books."""
        return Decimal(self.theirs[figure])


@dataclass
class Evidence:
    """All that the checks look at."""

    trips: list[Trip]
    only_ours: list[str]
    forbidden: list[dict[str, Any]]
    errors: list[str]
    config: Settings
    now: datetime


@dataclass
class Check:
    """One invariant: its number in docs/simulation.md, what it says, and where it does not hold."""

    number: int
    says: str
    breaches: list[str] = field(default_factory=list)


def check_all(
    connection: Connection, money: dict[str, Any], *, errors: Iterable[str], config: Settings, now: datetime
) -> list[Check]:
    """Every invariant over the whole world. `money` is the sandbox's answer about it; `errors` of the workers."""
    ours = {row["shopping_trip_id"]: dict(row) for row in connection.execute(_TRIPS).mappings()}
    theirs = {trip["shopping_trip_id"]: trip for trip in money["trips"]}
    seen = Evidence(
        [Trip(trip_id, ours.get(trip_id, {}), theirs[trip_id]) for trip_id in sorted(theirs)],
        sorted(ours.keys() - theirs.keys()),
        money["forbidden"],
        list(errors),
        config,
        now,
    )
    return [
        Check(number, says, list(find(connection, seen))) for number, (says, find) in enumerate(_INVARIANTS, start=1)
    ]


def _recorded(connection: Connection, seen: Evidence) -> Iterable[str]:
    for trip in seen.trips:
        named = trip.theirs["purchase_id"]  # nothing was sold: the answer names no purchase
        if trip.theirs["answered"] and (not trip.ours or named not in ("", trip.ours["purchase_id"])):
            yield f"{trip.shopping_trip_id}: answered as {trip.theirs['purchase_id']}, ours {trip.ours or 'is missing'}"
        if trip.ours and trip.theirs["total"] is not None and trip.ours["total"] != trip.their("total"):
            yield f"{trip.shopping_trip_id}: total {trip.ours['total']}, the sandbox's {trip.theirs['total']}"
    for trip_id in seen.only_ours:
        yield f"{trip_id}: recorded, but the sandbox has no such cart"
    for row in connection.execute(_OPENED_TWICE):
        yield f"{row.shopping_trip_id}: {row.what}"


def _captured(connection: Connection, seen: Evidence) -> Iterable[str]:
    for trip in seen.trips:
        if trip.theirs["capture_count"] > 1:
            yield f"{trip.shopping_trip_id}: captured {trip.theirs['capture_count']} times"
        total = trip.ours.get("total")
        if total is not None and trip.their("captured") > total:
            yield f"{trip.shopping_trip_id}: {trip.theirs['captured']} captured of {total}"
        if trip.parked:
            continue
        captured, refunded = trip.ours.get("captured") or ZERO, trip.ours.get("refunded") or ZERO
        if captured != trip.their("captured"):
            yield f"{trip.shopping_trip_id}: captured {captured}, the sandbox's {trip.theirs['captured']}"
        if refunded != trip.their("refunded") and not trip.ours["refund_parked"]:
            yield f"{trip.shopping_trip_id}: refunded {refunded}, the sandbox's {trip.theirs['refunded']}"


def _ended(connection: Connection, seen: Evidence) -> Iterable[str]:
    for trip in seen.trips:
        state = trip.ours.get("state")
        if state is None:
            if trip.ours and trip.ours["purchase_state"] != "BAD_CART":
                yield f"{trip.shopping_trip_id}: no charge, and its cart is {trip.ours['purchase_state']}"
        elif state not in END_STATES:
            yield f"{trip.shopping_trip_id}: still {state}"
        elif state == "PARKED" and not trip.ours["person"]:
            yield f"{trip.shopping_trip_id}: parked, but no person was asked"
        elif state == "CANCELLED" and trip.ours["total"] > 0 and trip.ours["purchase_state"] not in NOT_CHARGED:
            yield f"{trip.shopping_trip_id}: cancelled though {trip.ours['total']} is owed"


def _ledger(connection: Connection, seen: Evidence) -> Iterable[str]:
    for one in verify(connection):
        yield f"{one.subject}: {one.what} {one.found}, expected {one.expected}"
    waiting = connection.execute(_NOT_BOOKED).scalar_one()
    if waiting:
        yield f"{waiting} charges have news that is not booked"
    cleared = {row.shopping_trip_id: row.amount for row in connection.execute(_CLEARED)}
    moved = {
        trip.shopping_trip_id: trip.their("captured") - trip.their("refunded")
        for trip in seen.trips
        if not trip.parked and not trip.ours.get("refund_parked")
    }
    for trip_id, amount in moved.items():
        if cleared.get(trip_id, ZERO) != amount:
            yield f"{trip_id}: {Account.CARD_CLEARING} {cleared.get(trip_id, ZERO)}, the sandbox moved {amount}"


def _debts(connection: Connection, seen: Evidence) -> Iterable[str]:
    for row in connection.execute(_REFUNDED_TOO_MUCH):
        yield f"{row.shopping_trip_id}: {row.given} given back to {row.instrument}, which took {row.took}"
    for trip in seen.trips:
        if trip.parked or not trip.ours or trip.ours["state"] is None:
            continue
        owed = trip.ours["charge_total"] - trip.their("captured") if trip.ours["chargeable"] else ZERO
        paid, reduced, gone = (trip.ours[name] or ZERO for name in ("paid", "reduced", "written_off"))
        outstanding = trip.ours["outstanding"] or ZERO
        if outstanding != owed - paid - reduced - gone:
            yield f"{trip.shopping_trip_id}: {outstanding} open, but {owed} was not captured and {paid} paid"
        if paid - (trip.ours["paid_back"] or ZERO) != trip.their("till"):
            yield f"{trip.shopping_trip_id}: {paid} counts as paid, {trip.theirs['till']} was"
        if trip.theirs["reported"] is not None and not trip.ours["report_parked"]:
            told = Decimal(trip.theirs["reported"][0]) - Decimal(trip.theirs["reported"][1])
            if told != outstanding + gone:
                yield f"{trip.shopping_trip_id}: {told} reported as owed, {outstanding + gone} is"


def _on_time(connection: Connection, seen: Evidence) -> Iterable[str]:
    given = {"now": seen.now, "hours": seen.config.capture_evidence_hours}
    for row in connection.execute(_LATE, given):
        yield f"{row.shopping_trip_id}: {row.what} since {row.since:%Y-%m-%d %H:%M}"
    for call in seen.forbidden:
        yield f"{call['shopping_trip_id']}: forbidden: {call['reason']}"


def _no_errors(connection: Connection, seen: Evidence) -> Iterable[str]:
    return seen.errors


_INVARIANTS: Final[tuple[tuple[str, Callable[[Connection, Evidence], Iterable[str]]], ...]] = (
    ("every cart that was answered 201 is recorded exactly once", _recorded),
    ("no trip is captured twice or beyond its total; both books agree to the cent", _captured),
    ("every trip ends captured, cancelled, in debt or parked for a person", _ended),
    ("the ledger is in balance, and card clearing is what the sandbox moved", _ledger),
    ("no refund beyond what its instrument took; no debt told wrong", _debts),
    ("nothing unknown or initiated beyond its deadline; no forbidden call", _on_time),
    ("no task of a worker failed", _no_errors),
)

_TRIPS: Final = text(
    """
    select p.shopping_trip_id, p.purchase_id, p.state as purchase_state, p.total, c.state, c.total as charge_total,
           coalesce(c.captured, 0) as captured, p.state <> 'SETTLED_OTHERWISE' as chargeable,
           d.paid, d.reduced, d.written_off, d.outstanding,
           exists (select from review_case r where r.subject = p.shopping_trip_id) as person,
           (select sum(r.amount) from refund r where r.shopping_trip_id = p.shopping_trip_id
                and r.instrument = 'CAPTURE' and r.state in ('INITIATED', 'FINAL')) as refunded,
           exists (select from refund r where r.shopping_trip_id = p.shopping_trip_id and r.state = 'PARKED')
                as refund_parked,
           (select sum(r.amount) from refund r where r.shopping_trip_id = p.shopping_trip_id
                and r.instrument like 'PAYOFF:%' and r.state in ('INITIATED', 'FINAL')) as paid_back,
           exists (select from payment_status_report s where s.shopping_trip_id = p.shopping_trip_id
                and s.state = 'PARKED') as report_parked
    from purchase p left join charge c using (shopping_trip_id) left join debt d using (shopping_trip_id)
    """.replace(":%'", r"\:%'")
)
_OPENED_TWICE: Final = text(
    """
    select shopping_trip_id, 'opened ' || count(*) || ' times' as what from charge_event where kind = 'OPENED'
    group by 1 having count(*) > 1
    union all
    select shopping_trip_id, 'sold ' || count(*) || ' times' from ledger_transaction where kind = 'SALE'
    group by 1 having count(*) > 1
    union all
    select shopping_trip_id, 'a charge without its cart' from charge c
    where not exists (select from purchase p where p.shopping_trip_id = c.shopping_trip_id)
    """
)
_NOT_BOOKED: Final = text(
    """
    select (select count(*) from charge where to_book) + (select count(*) from debt_event where to_book)
         + (select count(*) from refund_event where to_book)
    """
)
_CLEARED: Final = text(
    f"""
    select t.shopping_trip_id, sum(p.amount) as amount from ledger_posting p join ledger_transaction t
        using (transaction_id)
    where p.detail = '{AMAZONS}' and p.account in (
        '{Account.CARD_CLEARING}', '{Account.REFUND_CLEARING_INITIATED}', '{Account.REFUND_CLEARING}') group by 1
    """  # noqa: S608 - constants
)
_REFUNDED_TOO_MUCH: Final = text(
    r"""
    with given as (
        select shopping_trip_id, instrument, sum(amount) as given from refund
        where instrument <> 'DEBT' and state in ('DUE', 'UNKNOWN', 'INITIATED', 'PARKED', 'FINAL') group by 1, 2
    )
    select g.*, case when g.instrument = 'CAPTURE' then c.captured else coalesce(p.amount, 0) end as took
    from given g join charge c using (shopping_trip_id)
    left join payoff p on g.instrument = 'PAYOFF:' || p.payoff_id and p.state = 'PAID'
    where g.given > case when g.instrument = 'CAPTURE' then c.captured else coalesce(p.amount, 0) end
    """.replace(":'", r"\:'")
)
_LATE: Final = text(
    """
    select c.shopping_trip_id, c.state as what, c.updated_at as since from charge c
    where c.state in ('CAPTURE_INITIATED', 'UNKNOWN', 'ADJUST_PENDING', 'DUE', 'AUTHORIZED', 'CANCEL_DUE')
      and greatest(c.expires_at, c.updated_at + make_interval(hours => :hours)) < :now
    union all
    select a.shopping_trip_id, 'an attempt without an outcome', a.intended_at
    from charge_attempt a join charge c using (shopping_trip_id)
    where a.outcome is null and c.state not in ('CAPTURED', 'CANCELLED', 'IN_DEBT')
    union all
    select shopping_trip_id, 'refund ' || state, coalesce(initiated_at, :now) from refund
    where state in ('UNKNOWN', 'DUE', 'INITIATED')
    """
)
