"""What the processors' room asks of people: the cases, their choices, and the alerts beside them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from backroom.alerts import raise_alert
from backroom.processors.port import Instrument
from backroom.reviews.cases import open_case

ASKED_BY: Final = "processors"
CAPPED: Final = "CARD_TRIES_CAPPED"
NO_INSTRUMENT: Final = "NO_INSTRUMENT"
UNKNOWN_HOLD: Final = "UNKNOWN_HOLD"
REFUSED_HOLD: Final = "REFUSED_HOLD"
SEEN: Final = ("seen", "nothing changes")
ASK_AGAIN: Final = ("ask_again", "the processor is asked what became of it, and where it knows nothing, once more")
LEAVE: Final = ("leave", "nothing more is done here; a hold that stands lapses by itself")


def ask_about_capped(connection: Connection, *, subject: str, card: Instrument, why: str, now: datetime) -> None:
    """A card was not tried, since the networks' limits are near."""
    open_case(
        connection,
        kind=CAPPED,
        subject=subject,
        store_id=None,
        asked_by=ASKED_BY,
        question="A card was not asked: it has been declined so often that the card network's limit is near. "
        "Does the shopper have another one?",
        known={"why": why, "instrument": card.instrument_id, "brand": card.brand, "last_four": card.last_four},
        choices=[SEEN],
        now=now,
    )


def ask_about_hold(
    connection: Connection, kind: str, *, auth_event_id: str, store_id: str, known: Mapping[str, Any], now: datetime
) -> None:
    """The gate's hold can't be settled by itself."""
    open_case(
        connection,
        kind=kind,
        subject=auth_event_id,
        store_id=store_id,
        asked_by=ASKED_BY,
        question=_QUESTIONS[kind],
        known=known,
        choices=[SEEN] if kind == NO_INSTRUMENT else [ASK_AGAIN, LEAVE],
        now=now,
    )
    if kind != NO_INSTRUMENT:
        raise_alert(
            connection,
            key=f"hold-parked:{kind}:{store_id}",
            severity="warning",
            title=f"{store_id}: a hold of the gate waits for a person ({kind})",
            what_to_do="`backroom review list` shows the open cases; docs/processors.md says what each choice does",
            now=now,
            subject=auth_event_id,
            store_id=store_id,
        )


_QUESTIONS: Final = {
    NO_INSTRUMENT: "A shopper who has no payment instrument was let in. What they take can't be charged. Is it meant?",
    UNKNOWN_HOLD: "Is the gate's hold on the shopper's card there? The processor has not said so in time.",
    REFUSED_HOLD: "The processor refused the gate's hold for a reason that is not the shopper's. Is it mended?",
}
