"""The demo's comparison finds what differs, figure by figure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backroom_stack.books_check import LINE_FIGURES, TRIP_FIGURES, Verdict, _compare_trip

ONE = Decimal("1.00")
TAKEN = [{"promotion_id": "P", "amount": "0.50"}]


def compared(trip: dict[str, Any], line: dict[str, Any]) -> Verdict:
    """A trip of one line, all of whose figures are 1.00, with these of ours that are not."""
    ours = {**dict.fromkeys(TRIP_FIGURES, ONE), "captured": ONE, "state": "PRICED", **trip}
    our_line = {**dict.fromkeys(LINE_FIGURES, ONE), "promotions": [{**one, "kind": "K"} for one in TAKEN], **line}
    theirs = {
        **dict.fromkeys(TRIP_FIGURES, "1.00"),
        **{"shopping_trip_id": "trip-1", "captured": "1.00", "capture_count": 1, "priceable": True},
        "lines": [{**dict.fromkeys(LINE_FIGURES, "1.00"), "line_number": 1, "promotions": TAKEN}],
    }
    verdict = Verdict()
    _compare_trip(verdict, ours, {1: our_line}, theirs)
    return verdict


def test_equal_books_have_no_differences_and_every_figure_is_compared() -> None:
    verdict = compared({}, {})
    assert (verdict.differences, verdict.figures) == ([], 1 + len(TRIP_FIGURES) + len(LINE_FIGURES) + 1)


@pytest.mark.parametrize("figure", ["captured", *TRIP_FIGURES])
def test_a_figure_of_a_trip_that_is_a_cent_off_is_found(figure: str) -> None:
    [difference] = compared({figure: Decimal("1.01")}, {}).differences
    assert difference == f"trip-1 {figure}: ours 1.01, the sandbox's 1.00"


@pytest.mark.parametrize("figure", LINE_FIGURES)
def test_a_figure_of_a_line_that_is_a_cent_off_is_found(figure: str) -> None:
    [difference] = compared({}, {figure: Decimal("1.01")}).differences
    assert difference == f"trip-1 line 1 {figure}: ours 1.01, the sandbox's 1.00"


@pytest.mark.parametrize("taken", [[], [{"promotion_id": "Q", "amount": "0.50"}], [{**TAKEN[0], "amount": "0.51"}]])
def test_a_line_reduced_by_another_promotion_is_found(taken: list[dict[str, str]]) -> None:
    [difference] = compared({}, {"promotions": taken}).differences
    assert difference.startswith("trip-1 line 1 promotions: ours ")
