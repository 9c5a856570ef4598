"""A long table on the page loses nothing: what is shown and the row of the others make the total."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backroom.reconciliation.folding import SHOWN, SPARED, fold

AMOUNTS = st.decimals(min_value=-1_000_000, max_value=1_000_000, places=2).map(str)
ROWS = st.lists(
    st.fixed_dictionaries({"amount": st.none() | AMOUNTS, "lines": st.integers(0, 9)}), max_size=3 * SHOWN
).map(lambda rows: [{"name": f"N{number}", **row} for number, row in enumerate(rows)])


def _of(number: int, amount: str = "1.00") -> list[dict[str, Any]]:
    return [{"name": f"N{one:02}", "amount": amount, "lines": 1} for one in range(number)]


def _sum(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row[name] or 0) for row in rows), Decimal(0))


@given(ROWS, st.sampled_from(["amount", None]))
def test_what_is_shown_and_the_rest_add_up_to_the_total_of_all_rows(
    rows: list[dict[str, Any]], largest: str | None
) -> None:
    folded = fold(rows, largest=largest, keys=["name"], sums=["amount", "lines"])
    for name in ("amount", "lines"):
        assert _sum(folded.shown, name) + folded.rest[name] == folded.total[name] == _sum(rows, name)
    assert sorted(row["name"] for row in folded.shown + folded.others) == sorted(row["name"] for row in rows)
    assert folded.rows == len(rows)
    assert len(folded.shown) < SHOWN + SPARED


@given(ROWS, st.randoms())
def test_the_order_of_the_rows_makes_no_difference_where_the_largest_are_shown(
    rows: list[dict[str, Any]], random: Any
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (fold(given, largest="amount", keys=["name"], sums=["amount"]) for given in (rows, shuffled))
    assert one == other


def test_the_largest_either_way_come_first_and_equal_ones_by_name() -> None:
    rows = [*_of(20), {"name": "Z", "amount": "-9.00", "lines": 1}, {"name": "Y", "amount": "8.00", "lines": 1}]
    folded = fold(list(reversed(rows)), largest="amount", keys=["name"], sums=["amount"])
    assert [row["name"] for row in folded.shown] == ["Z", "Y", *(f"N{number:02}" for number in range(10))]


@pytest.mark.parametrize(("rows", "shown"), [(SHOWN + SPARED - 1, SHOWN + SPARED - 1), (SHOWN + SPARED, SHOWN)])
def test_a_row_that_would_stand_for_one_or_two_is_not_made(rows: int, shown: int) -> None:
    assert len(fold(_of(rows), sums=["amount"]).shown) == shown
