"""What people decided about parked charges, turned into events: once each, whoever decided and wherever."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from backroom.charges import history
from backroom.charges.history import Charge, News
from backroom.charges.parking import ASKED_BY
from backroom.charges.rules import ParkedFor
from backroom.charges.states import Event, Kind, Source

# Only of charges that are parked still, and only the answer to the newest question about each: one that was given while
# later news was being taken in has been overtaken by it, and must not undo what that news has proven.
_DECIDED: Final = text(
    """
    select r.case_id, r.kind, r.subject, r.decision, r.decided_by, r.known
    from charge c
    join lateral (
        select * from review_case r
        where r.subject = c.shopping_trip_id and r.asked_by = :asked_by
        order by r.case_id desc limit 1
    ) r on true
    where c.state = 'PARKED' and r.decision is not null and r.decision not in ('leave', 'SETTLED')
      and not exists (
          select from charge_event e
          where e.shopping_trip_id = r.subject and e.source = 'PERSON' and e.source_id = 'case:' || r.case_id)
    order by r.case_id
    """
)


def apply_decisions(connection: Connection, *, now: datetime) -> int:
    """Adds the event that each decided case means, and returns how many. The cost grows with the parked charges."""
    decided = connection.execute(_DECIDED, {"asked_by": ASKED_BY}).mappings().all()
    charges = history.lock(connection, {case["subject"] for case in decided})
    for case in decided:
        one = charges[case["subject"]]
        event = meaning(one, case, at=one.at(now))
        news = {one.shopping_trip_id: [News(event, {"by": case["decided_by"], "decision": case["decision"]})]}
        charges |= history.add(connection, {one.shopping_trip_id: one}, news, now=now)
    return len(decided)


def meaning(one: Charge, case: RowMapping, *, at: datetime) -> Event:
    """The event that a decision is. Raises ValueError for a choice that no case of ours offers."""
    kind, amount = ParkedFor(case["kind"]), None
    folded = one.folded
    match case["decision"]:
        case "captured":
            told = Kind.CAPTURE_APPROVED
            amount = Decimal(case["known"].get("amazon_amount") or folded.capture_asked)
        case "not_captured" if kind is ParkedFor.UNKNOWN_CAPTURE:
            told = Kind.CAPTURE_RULED_OUT
        case "not_captured" | "declined":
            told = Kind.CAPTURE_DECLINED
        case "cancelled":
            told = Kind.CANCEL_CONFIRMED
        case "ask_again":
            told = Kind.CANCEL_RESUMED if folded.owed > 0 or folded.total == 0 else Kind.RESUMED
        case other:
            raise ValueError(f"case {case['case_id']}: {other!r} is not a choice about a charge")
    return Event(told, at, Source.PERSON, f"case:{case['case_id']}", amount)
