"""Payoffs whose outcome is not known: looked up where the money was asked for, never asked for again.

A payoff may be open because its answer was lost, or because who asked for it died before or after the call. Either way
only the processor knows. What it can't say in time is a case for a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, text

from backroom.debts.payoff import settle
from backroom.debts.payoff_record import OPEN, PaymentOutcome, Payoff, PayoffPort, PayoffState, get, of_row
from backroom.debts.returning import ASKED_BY
from backroom.reviews import cases
from backroom.settings import settings

UNKNOWN_PAYOFF: Final = "UNKNOWN_PAYOFF"
NOT_THERE_AFTER: Final = timedelta(hours=1)
"""A payment that the processor does not know may still be on its way to it for so long (ours)."""

_log = structlog.get_logger()

_TAKE: Final = text(
    """
    update payoff set attempts = attempts + 1, next_attempt_at = :next
    where payoff_id = (
        select payoff_id from payoff
        where state in ('INTENDED', 'UNKNOWN') and next_attempt_at <= :now
        order by next_attempt_at, payoff_id limit 1
        for update skip locked
    )
    returning *
    """
)


def look_up_due(engine: Engine, port_of: Callable[[str], PayoffPort | None], *, now: datetime) -> Counter[str]:
    """Asks what became of each payoff that is due to be looked up at `now` (business time); counts the outcomes.

    `port_of` gives whoever takes the money of a method, None where nobody here can ask. Doing it twice at once is
    harmless: only the processor is asked, and an outcome counts once.
    """
    counts: Counter[str] = Counter()
    with engine.begin() as connection:
        counts["decisions"] = apply_decisions(connection, now=now)
    while (mine := _take(engine, now)) is not None:
        outcome = _ask(port_of, mine)
        if outcome.state is PayoffState.NOT_SENT and now - mine.intended_at < NOT_THERE_AFTER:
            outcome = PaymentOutcome(PayoffState.UNKNOWN, details={"processor": "does not know it yet"})
        with engine.begin() as connection:
            settle(connection, mine.payoff_id, outcome, now=now)
            _keep_case(connection, get(connection, mine.payoff_id), now)
        counts[outcome.state] += 1
    return counts


def apply_decisions(connection: Connection, *, now: datetime) -> int:
    """Settles the payoffs about which a person has decided; returns how many."""
    decided = connection.execute(_DECIDED, {"asked_by": ASKED_BY, "kind": UNKNOWN_PAYOFF}).mappings().all()
    for case in decided:
        state = PayoffState.PAID if case["decision"] == "paid" else PayoffState.DECLINED
        details = {"by": case["decided_by"], "case": case["case_id"]}
        settle(connection, case["payoff_id"], PaymentOutcome(state, details=details), now=now)
    return len(decided)


_DECIDED: Final = text(
    """
    select r.case_id, r.decision, r.decided_by, p.payoff_id
    from review_case r join payoff p on p.payoff_id = cast(r.known ->> 'payoff' as bigint)
    where r.asked_by = :asked_by and r.kind = :kind and r.decision in ('paid', 'not_paid')
      and p.state in ('INTENDED', 'UNKNOWN')
    order by r.case_id
    """
)


def _take(engine: Engine, now: datetime) -> Payoff | None:
    """The longest-due payoff, and when it is looked at next should it stay open."""
    next_time = now + timedelta(minutes=settings().payoff_lookup_minutes)
    with engine.begin() as connection:
        row = connection.execute(_TAKE, {"now": now, "next": next_time}).mappings().one_or_none()
    return None if row is None else of_row(row)


def _ask(port_of: Callable[[str], PayoffPort | None], mine: Payoff) -> PaymentOutcome:
    try:
        port = port_of(mine.method)
        return PaymentOutcome(PayoffState.UNKNOWN) if port is None else port.lookup(mine.reference)
    except Exception:  # noqa: BLE001 - one processor's trouble must not keep the others' payoffs waiting
        _log.exception("payoff_lookup_failed", payoff_id=mine.payoff_id, method=mine.method)
        return PaymentOutcome(PayoffState.UNKNOWN)


def _keep_case(connection: Connection, mine: Payoff, now: datetime) -> None:
    if mine.state not in OPEN:
        cases.settle(
            connection,
            kind=UNKNOWN_PAYOFF,
            subject=mine.shopping_trip_id,
            by="debts",
            reason=f"the processor says that the payoff is {mine.state}",
            now=now,
        )
    elif now - mine.intended_at >= timedelta(hours=settings().payoff_unknown_hours):
        cases.open_case(
            connection,
            kind=UNKNOWN_PAYOFF,
            subject=mine.shopping_trip_id,
            store_id=mine.store_id,
            asked_by=ASKED_BY,
            question="Was the money of this payoff taken? The processor has not said so in time.",
            known={
                "payoff": mine.payoff_id,
                "amount": str(mine.amount),
                "method": mine.method,
                "reference": mine.reference,
                "asked_at": mine.intended_at.isoformat(),
                "looked_up": mine.attempts,
            },
            choices=[
                ("paid", "the debt counts as paid by it"),
                ("not_paid", "nothing was taken: the debt stands, and can be paid off anew"),
            ],
            now=now,
        )
