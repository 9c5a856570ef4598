"""Parking a charge for a person: the case, its choices, and the alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from backroom.alerts import raise_alert
from backroom.alerts.raising import Severity
from backroom.charges.history import Charge
from backroom.charges.rules import ParkedFor
from backroom.reviews.cases import open_case, settle

ASKED_BY: Final = "charges"
LEAVE: Final = ("leave", "nothing more is done here; the trip is settled outside Backroom")


@dataclass(frozen=True)
class Question:
    """What a person is asked, and what each answer brings about."""

    text: str
    choices: tuple[tuple[str, str], ...]
    severity: Severity = "warning"


QUESTIONS: Final[dict[ParkedFor, Question]] = {
    ParkedFor.UNKNOWN_CAPTURE: Question(
        "Was the money of this trip taken? No evidence of the capture has come in time.",
        (
            ("captured", "the capture counts as final over the amount that was asked for"),
            ("declined", "the capture was made and declined: the trip's total is a debt"),
            ("not_captured", "the capture counts as never made, and is asked for once more"),
            LEAVE,
        ),
    ),
    ParkedFor.UNDECIDED_AUTHORIZATION: Question(
        "The adjustment was answered neither yes nor no until shortly before the payment token's end. Ask again?",
        (("ask_again", "the adjustment is asked for once more"), LEAVE),
    ),
    ParkedFor.UNKNOWN_CANCEL: Question(
        "Was the hold of this trip ended? The cancel was never answered.",
        (("cancelled", "the hold counts as ended"), ("ask_again", "the cancel is asked for once more"), LEAVE),
    ),
    ParkedFor.REFUSED_BY_AMAZON: Question(
        "Amazon refused the call for a reason that is not the shopper's. Is the reason mended?",
        (("ask_again", "the charge goes on from where it stood"), LEAVE),
        "critical",
    ),
    ParkedFor.EVIDENCE_DISAGREES: Question(
        "What Amazon reports contradicts what was asked for or reported before. What is true?",
        (
            ("captured", "the money was taken, as much as Amazon reports"),
            ("not_captured", "the money was not taken: the trip's total is a debt"),
            LEAVE,
        ),
        "critical",
    ),
}


def ask(connection: Connection, one: Charge, why: ParkedFor, known: Mapping[str, Any], *, now: datetime) -> None:
    """Opens the case in the caller's transaction (once) and raises its alert. `known` is JSON, amounts as text.

    Evidence that disagrees overtakes what was asked before, which nobody should answer without knowing of it; and while
    it waits for a person, nothing less is asked.
    Evidence in another currency can't be taken over by a choice; such a case offers only to leave it.
    """
    question, folded = QUESTIONS[why], one.folded
    foreign = known.get("amazon_currency") not in (None, one.currency)
    if why is ParkedFor.EVIDENCE_DISAGREES:
        for earlier in set(ParkedFor) - {why}:
            reason = "overtaken: what Amazon reports disagrees, and that is asked about instead"
            trip = one.shopping_trip_id
            settle(connection, kind=earlier.value, subject=trip, by=ASKED_BY, reason=reason, now=now)
    elif folded.needs_person:
        return
    open_case(
        connection,
        kind=why.value,
        subject=one.shopping_trip_id,
        store_id=one.store_id,
        asked_by=ASKED_BY,
        question=question.text,
        known={
            "total": format(folded.total, "f"),
            "currency": one.currency,
            "authorized": format(folded.authorized, "f"),
            "capture_asked": format(folded.capture_asked, "f"),
            "captured": format(folded.captured, "f"),
            "owed": format(folded.owed, "f"),
            "token_ends": one.expires_at.isoformat(),
            **known,
        },
        choices=[LEAVE] if foreign else question.choices,
        now=now,
        due_at=one.expires_at if one.expires_at > now else None,
        when_overdue="the payment token ends; the case stays open",
    )
    raise_alert(
        connection,
        key=f"charge-parked:{why.value}:{one.store_id}",
        severity=question.severity,
        title=f"{one.store_id}: a charge waits for a person ({why.value})",
        what_to_do="`backroom review list` shows the open cases; docs/money.md says what each choice does",
        now=now,
        subject=one.shopping_trip_id,
        store_id=one.store_id,
    )
