"""docs/money.md says what the code does."""

from __future__ import annotations

from pathlib import Path

from backroom.charges.drawing import table
from backroom.charges.parking import QUESTIONS
from backroom.charges.states import Cause
from backroom.ledger.accounts import Account, Booking

PAGE = Path(__file__).resolve().parents[2] / "docs" / "money.md"


def test_the_page_shows_the_states_as_they_are_in_the_code() -> None:
    shown = PAGE.read_text().split("<!-- states: drawn from backroom.charges.states -->")[1]
    assert shown.split("<!-- end of states -->")[0].strip() == table(), (
        "paste the output of: python -c 'from backroom.charges.drawing import table; print(table())'"
    )


def test_the_page_names_every_account_booking_cause_and_question() -> None:
    text = PAGE.read_text()
    for word in [*Account, *Booking, *Cause, *QUESTIONS]:
        assert f"`{word}`" in text, word
    for question in QUESTIONS.values():
        for choice, _ in question.choices:
            assert f"`{choice}`" in text, choice
