"""News of a payment or a refund that nobody asked for at this moment: it settles whatever was open about it, once.

Webhooks come late, doubled and out of order; so a state that a payment can't leave any more counts, and one that it can
only ends what is unknown.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select, text

from backroom.debts import payoff
from backroom.processors.call_records import (
    AUTHORIZE,
    CAPTURE,
    PAY,
    REFUND,
    call_under,
    conclude,
    keep_look,
    of_row,
)
from backroom.processors.calls import as_refund, as_try
from backroom.processors.payoff_payment import paid
from backroom.processors.port import Outcome, Payment, PaymentState, Refunded, Result
from backroom.processors.tables import processor_call
from backroom.refunds.evidence import settled_by_processor

_PAYOFF: Final = text("select payoff_id from payoff where reference = :reference and method = :processor")
_WAKE: Final = text(
    "update preauthorization set next_attempt_at = :now where auth_event_id = :id and state in ('INTENDED', 'UNKNOWN')"
)
_TRIP: Final = text(
    "select coalesce((select shopping_trip_id from preauthorization where auth_event_id = :subject), :subject)"
)


def learn(connection: Connection, processor: str, payment: Payment, *, now: datetime) -> str:
    """Takes in, in the caller's transaction, how a payment stands; says in a word what it was about."""
    about = processor_call.c.answer["processor_reference"].astext == payment.processor_reference
    if payment.reference is not None:
        about = about | (processor_call.c.reference == payment.reference)
        number = connection.execute(_PAYOFF, {"reference": payment.reference, "processor": processor}).scalar()
        if number is not None:
            payoff.settle(connection, number, paid(payment), now=now)
    rows = connection.execute(
        select(processor_call)
        .where(
            processor_call.c.processor == processor, processor_call.c.operation.in_((AUTHORIZE, PAY, CAPTURE)), about
        )
        .order_by(processor_call.c.call_id)
    ).mappings()
    calls = [of_row(row) for row in rows]
    if not calls:
        return "not ours"
    told = Result(Outcome.SUCCEEDED, payment=payment)
    for call in calls:
        if not call.open:
            continue
        if call.operation in (AUTHORIZE, PAY):
            result = as_try(told)
            conclude(connection, call, result, outcome=result.outcome, now=now, only_open=True)
        elif payment.state is PaymentState.CAPTURED:
            conclude(connection, call, told, outcome=Outcome.SUCCEEDED, now=now, only_open=True)
    first = calls[0]
    connection.execute(_WAKE, {"id": first.subject, "now": now})
    known = any(call.answer.get("state") == payment.state.value for call in calls)
    if first.operation == AUTHORIZE and payment.state in (PaymentState.CAPTURED, PaymentState.VOIDED) and not known:
        trip = connection.execute(_TRIP, {"subject": first.subject}).scalar_one()
        keep_look(connection, processor, payment.processor_reference, trip, told, now=now)
    return f"{payment.state.lower()}: {first.operation.lower()} of {first.subject}"


def learn_refund(connection: Connection, processor: str, refund: Refunded, *, source: str, now: datetime) -> str:
    """Takes in how a refund stands; says in a word what it was about. `source` names the news.

    One that has failed counts also after a yes: the shopper has not got the money. Its key is spent, so that it is
    never told as given back again.
    """
    call = call_under(connection, refund.reference, REFUND) if refund.reference is not None else None
    if call is None or refund.reference is None:
        return "not ours"
    if refund.state is PaymentState.PENDING or call.declined:
        return f"{refund.state.lower()}: {call.subject}"
    told = as_refund(Result(Outcome.SUCCEEDED, refund=refund))
    conclude(connection, call, told, outcome=told.outcome, now=now)
    given_back = refund.state is PaymentState.CAPTURED
    settled_by_processor(connection, refund.reference, given_back=given_back, source=source, now=now)
    return f"{refund.state.lower()}: {call.subject}"
