"""The record of calls to processors: rows, how they are begun and ended, and the count of a card's tries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, insert, select, text, update

from backroom.money import Money
from backroom.processors import caps
from backroom.processors.parking import ask_about_capped
from backroom.processors.port import Instrument, Outcome, Payment, PaymentState, Problem, Result
from backroom.processors.tables import processor_call
from backroom.settings import settings

AUTHORIZE, ADJUST, CAPTURE, VOID = "AUTHORIZE", "ADJUST", "CAPTURE", "VOID"
REFUND, LOOKUP, PAY = "REFUND", "LOOKUP", "PAY"
TRIES: Final = (AUTHORIZE, ADJUST, PAY)
"""Operations that ask the card's issuer: the networks' limits count them."""


@dataclass(frozen=True)
class Call:
    """A row of `processor_call`. `outcome` is None for an intent whose outcome nobody wrote."""

    call_id: int
    operation: str
    reference: str
    subject: str
    instrument_id: int | None
    outcome: Outcome | None
    answer: Mapping[str, Any]

    @property
    def open(self) -> bool:
        """Whether it may have taken effect."""
        return self.outcome in (None, Outcome.UNKNOWN)

    @property
    def declined(self) -> bool:
        """Whether the issuer said no."""
        return self.outcome is Outcome.REFUSED and self.answer.get("problem") == Problem.DECLINED.value


def intend(
    connection: Connection,
    processor: str,
    operation: str,
    reference: str,
    subject: str,
    amount: Money | None,
    card: Instrument | None,
    *,
    payment: str | None,
    now: datetime,
) -> Call | Result:
    """Writes the intent; or, where the card was tried too often, that it is not sent, and why (the Result).

    The caller commits before it calls. `payment`: the processor's name for the payment that is asked about.
    """
    capped = _capped(connection, processor, operation, subject, amount, card, now)
    told = {"processor_reference": payment} if payment is not None else {}
    row = connection.execute(
        insert(processor_call)
        .values(
            processor=processor,
            operation=operation,
            reference=reference,
            subject=subject,
            instrument_id=card.instrument_id if card is not None else None,
            brand=card.brand if card is not None else None,
            amount=amount.amount if amount is not None else None,
            currency=amount.currency if amount is not None else None,
            intended_at=now,
            answer=capped.for_the_record() if capped is not None else told,
            outcome=capped.outcome if capped is not None else None,
            finished_at=now if capped is not None else None,
        )
        .returning(processor_call)
    ).mappings()
    return capped or of_row(row.one())


def keep_look(
    connection: Connection, processor: str, reference: str, subject: str, result: Result, *, now: datetime
) -> None:
    """A look-up that was made. It changes nothing there, so that its intent needs no transaction of its own."""
    connection.execute(
        insert(processor_call).values(
            processor=processor,
            operation=LOOKUP,
            reference=reference,
            subject=subject,
            intended_at=now,
            outcome=result.outcome,
            answer=result.for_the_record(),
            latency_seconds=result.latency_seconds,
            finished_at=now,
        )
    )


def latest_call(
    connection: Connection, operation: str, subject: str, *, processor_reference: str | None = None
) -> Call | None:
    """The newest call of that kind about a subject (of one payment, where one is named)."""
    query = select(processor_call).where(processor_call.c.subject == subject, processor_call.c.operation == operation)
    if processor_reference is not None:
        query = query.where(processor_call.c.answer["processor_reference"].astext == processor_reference)
    row = connection.execute(query.order_by(processor_call.c.call_id.desc()).limit(1)).mappings().one_or_none()
    return None if row is None else of_row(row)


def call_under(connection: Connection, reference: str, operation: str) -> Call | None:
    """The newest call under a reference of ours."""
    query = (
        select(processor_call)
        .where(processor_call.c.reference == reference, processor_call.c.operation == operation)
        .order_by(processor_call.c.call_id.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else of_row(row)


def conclude(
    connection: Connection, call: Call, result: Result, *, outcome: Outcome, now: datetime, only_open: bool = False
) -> None:
    """Writes an outcome in the caller's transaction. What the intent said of the payment stays in the answer."""
    statement = update(processor_call).where(processor_call.c.call_id == call.call_id)
    if only_open:
        statement = statement.where(
            processor_call.c.outcome.is_(None) | (processor_call.c.outcome == Outcome.UNKNOWN.value)
        )
    kept = {name: value for name, value in call.answer.items() if name == "processor_reference"}
    connection.execute(
        statement.values(
            outcome=outcome.value,
            answer={**kept, **result.for_the_record()},
            latency_seconds=result.latency_seconds,
            finished_at=now,
        )
    )


def of_row(row: RowMapping) -> Call:
    """A row of `processor_call`."""
    return Call(
        row["call_id"],
        row["operation"],
        row["reference"],
        row["subject"],
        row["instrument_id"],
        Outcome(row["outcome"]) if row["outcome"] is not None else None,
        row["answer"] or {},
    )


def payment_in(told: Mapping[str, Any], reference: str | None = None) -> Payment:
    """The payment in an answer on record."""
    return Payment(
        told["processor_reference"],
        PaymentState(told["state"]),
        told["currency"],
        Decimal(told["held"]),
        Decimal(told["captured"]),
        told.get("reference", reference),
    )


_LOCK_CARD: Final = text("select pg_advisory_xact_lock(hashtextextended(:card, 0))")
_TRIES: Final = text(
    f"""
    select count(*) filter (where k.intended_at > :now - :day) as in_a_day, count(*) as in_a_month,
           count(*) filter (where k.amount = :amount and k.currency = :currency) as of_the_amount
    from payment_instrument i join processor_call k using (instrument_id)
    where i.processor = :processor and i.method_token = :method and k.operation in {TRIES!r}
      and k.intended_at > :now - :month
      and (k.outcome is null or k.outcome = 'UNKNOWN'
           or k.outcome = 'REFUSED' and k.answer ->> 'problem' = 'DECLINED')
    """  # noqa: S608 - constants of the code
)


def _capped(
    connection: Connection,
    processor: str,
    operation: str,
    subject: str,
    amount: Money | None,
    card: Instrument | None,
    now: datetime,
) -> Result | None:
    if operation not in TRIES or card is None or amount is None:
        return None
    # whoever else wants to try this card waits until this intent is counted
    connection.execute(_LOCK_CARD, {"card": f"card {processor} {card.method_token}"})
    asked = {
        "processor": processor, "method": card.method_token, "amount": amount.amount, "currency": amount.currency,
        "now": now, "day": caps.DAY, "month": caps.MONTH,
    }  # fmt: skip
    tries = caps.Tries(*connection.execute(_TRIES, asked).one())
    below = settings().card_tries_below_networks
    limit = caps.capped_by(card.brand, tries, below=below)
    if limit is None:
        return None
    why = caps.describe(limit, tries, amount.amount, below)
    ask_about_capped(connection, subject=subject, card=card, why=why, now=now)
    return Result(Outcome.REFUSED, Problem.CAPPED, message=why)
