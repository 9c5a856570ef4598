"""Parking a refund for a person: the case, its choices, and the alert. A parked refund goes on reserving its cap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from backroom.alerts import raise_alert
from backroom.alerts.raising import Severity
from backroom.refunds.history import ParkedFor, move, subject_of
from backroom.reviews.cases import open_case

ASKED_BY: Final = "refunds"
ASK_AGAIN: Final = ("ask_again", "the refund is asked for once more, by the same key: it can't go back twice")
LEFT_OVER: Final = "REFUND_LEFT_OVER"
APPROVAL: Final = "REFUND_APPROVAL"
APPROVAL_CHOICES: Final = (
    ("approve", "the refund goes its way"),
    ("reject", "nothing goes back"),
)


@dataclass(frozen=True)
class Question:
    """What a person is asked, and what each answer brings about."""

    text: str
    choices: tuple[tuple[str, str], ...]
    severity: Severity = "warning"


QUESTIONS: Final[dict[ParkedFor, Question]] = {
    ParkedFor.REFUND_REFUSED: Question(
        "This refund was refused for good. How does the shopper get the money?",
        (
            ASK_AGAIN,
            ("given_otherwise", "the shopper has got it by another way: it counts as given back"),
            ("not_given", "nothing goes back: the request ends without this part"),
        ),
        "critical",
    ),
    ParkedFor.UNKNOWN_REFUND: Question(
        "Did this refund take place? Its outcome stayed unknown, though it was asked for again and again.",
        (
            ASK_AGAIN,
            ("refunded", "the money went back"),
            ("not_refunded", "nothing went back; the instrument may be asked for it again, by a new request"),
        ),
        "critical",
    ),
    ParkedFor.UNCONFIRMED_REFUND: Question(
        "Did this refund take place? It was begun, but no evidence that it was made has come in time.",
        (
            ("refunded", "the money went back"),
            ("not_refunded", "nothing went back: what was booked of it is undone"),
            ASK_AGAIN,
        ),
    ),
    ParkedFor.PAY_BACK_BY_HAND: Question(
        "A debt that was paid at the till is given back at the till. Has the shopper got the money?",
        (
            ("paid_back", "the shopper has got it"),
            ("not_paid_back", "nothing goes back: the request ends without this part"),
        ),
    ),
}


def park(
    connection: Connection, one: RowMapping, why: ParkedFor, known: Mapping[str, Any], *, now: datetime
) -> RowMapping:
    """Parks the refund with its case (once) and an alert, in the caller's transaction. `known` is JSON."""
    row = move(connection, one, "PARKED")
    ask(connection, row, why, known, now=now)
    return row


def ask(connection: Connection, one: RowMapping, why: ParkedFor, known: Mapping[str, Any], *, now: datetime) -> None:
    """The case and the alert of a refund that is parked."""
    question = QUESTIONS[why]
    open_case(
        connection,
        kind=why.value,
        subject=subject_of(one["refund_id"]),
        store_id=one["store_id"],
        asked_by=ASKED_BY,
        question=question.text,
        known={
            "shopping_trip_id": one["shopping_trip_id"],
            "request": one["request_id"],
            "amount": f"{one['amount']:f}",
            "currency": one["currency"],
            "to": one["instrument"],
            "attempts": one["attempts"],
            **known,
        },
        choices=question.choices,
        now=now,
    )
    raise_alert(
        connection,
        key=f"refund-parked:{why.value}:{one['store_id']}",
        severity=question.severity,
        title=f"{one['store_id']}: a refund waits for a person ({why.value})",
        what_to_do="`backroom review list` shows the open cases; docs/refunds.md says what each choice does",
        now=now,
        subject=one["shopping_trip_id"],
        store_id=one["store_id"],
    )


def tell_left_over(
    connection: Connection, request: RowMapping, amount: str, why: str, *, now: datetime, refund_id: int | None = None
) -> None:
    """Money that was to go back has no place to come from any more: finance hears of it, nothing is lost in silence."""
    subject = f"refund request:{request['request_id']}" + (f"/{refund_id}" if refund_id is not None else "")
    open_case(
        connection,
        kind=LEFT_OVER,
        subject=subject,
        store_id=request["store_id"],
        asked_by=ASKED_BY,
        question="A part of this refund has nothing to come from: nothing was paid for it. Is that right?",
        known={
            "shopping_trip_id": request["shopping_trip_id"],
            "requested": f"{request['amount']:f} {request['currency']}",
            "left_over": f"{amount} {request['currency']}",
            "why": why,
        },
        choices=[
            ("seen", "nothing changes: what is due to the shopper is settled outside Backroom, or asked for anew")
        ],
        now=now,
    )
    raise_alert(
        connection,
        key=f"refund-left-over:{request['store_id']}",
        severity="warning",
        title=f"{request['store_id']}: a part of a refund has nothing to come from",
        what_to_do="`backroom review list` shows the case; `backroom refunds show` the request",
        now=now,
        subject=request["shopping_trip_id"],
        store_id=request["store_id"],
    )


def approval_subject(request_id: int) -> str:
    """What a review case calls the request that waits for a second person."""
    return f"refund request:{request_id}"


def ask_approval(connection: Connection, request: RowMapping, *, now: datetime, why_again: str = "") -> None:
    """Opens the case of a request above the limit. `why_again`: why an earlier decision could not count."""
    open_case(
        connection,
        kind=APPROVAL,
        subject=approval_subject(request["request_id"]),
        store_id=request["store_id"],
        asked_by=ASKED_BY,
        question="This refund is above the limit. Is it approved? Who asked for it can't say so.",
        known={
            "shopping_trip_id": request["shopping_trip_id"],
            "request": request["request_id"],
            "amount": f"{request['amount']:f}",
            "currency": request["currency"],
            "reason": request["reason"],
            "note": request["note"],
            "requested_by": request["requested_by"],
            **({"not_counted": why_again} if why_again else {}),
        },
        choices=APPROVAL_CHOICES,
        now=now,
    )
