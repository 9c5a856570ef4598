"""An amount shared over lines: against the plain reading of the rule, one cent at a time."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backroom.purchases.basket_share import share_out


def one_by_one(amount: int, weights: list[int], room: list[int]) -> list[int]:
    """The rule of docs/pricing.md as it stands there."""
    given = [0] * len(weights)
    for _ in range(min(amount, sum(room))):
        line = min(
            (line for line in range(len(weights)) if given[line] < room[line]),
            key=lambda line: (Fraction(given[line] + 1, weights[line]), -weights[line], line),
        )
        given[line] += 1
    return given


@st.composite
def lines(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    weights = draw(st.lists(st.integers(0, 200), min_size=1, max_size=12))
    return weights, [draw(st.integers(0, weight)) for weight in weights]


@given(lines(), st.integers(0, 900))
@settings(deadline=None, max_examples=100)
def test_cents_are_handed_out_one_by_one(basket: tuple[list[int], list[int]], amount: int) -> None:
    assert share_out(amount, *basket) == one_by_one(amount, *basket)


@given(lines(), st.integers(0, 900), st.data())
@settings(deadline=None, max_examples=100)
def test_more_room_on_one_line_leaves_no_line_with_less(
    basket: tuple[list[int], list[int]], amount: int, data: st.DataObject
) -> None:
    weights, room = basket
    line = data.draw(st.integers(0, len(weights) - 1))
    if room[line] == weights[line]:
        return
    more = [left + (number == line) for number, left in enumerate(room)]
    before = [left - taken for left, taken in zip(room, share_out(amount, weights, room), strict=True)]
    after = [left - taken for left, taken in zip(more, share_out(amount, weights, more), strict=True)]
    assert all(new >= old for new, old in zip(after, before, strict=True))


@pytest.mark.parametrize("amount", [10**13 - 7, 10**13, 10**14])
def test_amounts_of_any_size_are_shared_exactly(amount: int) -> None:
    weights = [10**13 - 1, 10**13 // 3, 7, 1]
    shared = share_out(amount, weights, weights)
    assert sum(shared) == min(amount, sum(weights))
    assert all(part <= weight for part, weight in zip(shared, weights, strict=True))
