"""docs/refunds.md says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from backroom.amazon.refund_client import REASONS
from backroom.refunds import states
from backroom.refunds.parking import APPROVAL, APPROVAL_CHOICES, LEFT_OVER, QUESTIONS
from backroom.refunds.splitting import RESERVING
from backroom.refunds.states import MEANS, MOVES, State
from backroom.refunds.tables import refund

PAGE = Path(__file__).resolve().parents[2] / "docs" / "refunds.md"


def test_the_page_shows_the_states_as_they_are_in_the_code() -> None:
    shown = PAGE.read_text().split("<!-- states: drawn from backroom.refunds.states -->")[1]
    assert shown.split("<!-- end of states -->")[0].strip() == states.table(), (
        "paste the output of: python -c 'from backroom.refunds.states import table; print(table())'"
    )


def test_the_page_names_every_reason_case_and_choice() -> None:
    text = PAGE.read_text()
    for word in [*REASONS, *QUESTIONS, LEFT_OVER, APPROVAL, *(choice for choice, _ in APPROVAL_CHOICES)]:
        assert f"`{word}`" in text, word
    for question in QUESTIONS.values():
        for choice, _ in question.choices:
            assert f"`{choice}`" in text, choice


def test_the_database_knows_the_same_states() -> None:
    (said,) = [
        str(getattr(one, "sqltext", "")) for one in refund.constraints if "state in" in str(getattr(one, "sqltext", ""))
    ]
    assert {state for state in State if f"'{state}'" in said} == set(State) == set(MOVES) == set(MEANS)
    assert said.count("'") == 2 * len(State)
    assert set(State) - {State.REFUSED, State.DROPPED} == RESERVING


@pytest.mark.parametrize(("before", "after"), [("FINAL", "DUE"), ("DROPPED", "DUE"), ("WAITING", "INITIATED")])
def test_a_move_that_is_not_in_the_table_is_refused(before: str, after: str) -> None:
    with pytest.raises(RuntimeError, match=f"{before} can't become {after}"):
        states.check(before, after)
