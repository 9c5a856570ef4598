"""A long table as the page shows it: the largest rows, one row for all the others, and what they come to. Pure.

Nothing is lost by it: the rows that are shown and the row of the others add up to the total. The workbook and the data
files hold every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

Row = dict[str, Any]

SHOWN: Final = 12  # rows of a table that is cut
SPARED: Final = 3  # it is cut only where that many rows go


@dataclass(frozen=True)
class Folded:
    """`rest` are the sums over `others`, `total` those over all; by the columns that were asked to be added."""

    shown: list[Row]
    others: list[Row]
    rest: Row
    total: Row

    @property
    def rows(self) -> int:
        """How many there are in all."""
        return len(self.shown) + len(self.others)


def fold(
    rows: Sequence[Row],
    *,
    sums: Sequence[str],
    largest: str | None = None,
    keys: Sequence[str] = (),
    shown: int = SHOWN,
) -> Folded:
    """The `shown` rows whose `largest` is farthest from nothing, ties by `keys`; without `largest` the first ones.

    Up to SPARED - 1 rows more are shown as well: a row that stands for one or two saves nothing. Amounts are exact text
    or Decimal and counts are whole numbers; None is left out of the sums.
    """
    ordered = list(rows)
    if largest is not None:
        ordered.sort(key=lambda row: (-abs(Decimal(row[largest] or 0)), *(str(row[key]) for key in keys)))
    cut = len(ordered) if len(ordered) < shown + SPARED else shown
    others = ordered[cut:]
    return Folded(ordered[:cut], others, _sums(others, sums), _sums(ordered, sums))


def _sums(rows: Sequence[Row], names: Sequence[str]) -> Row:
    return {name: sum((Decimal(row[name]) for row in rows if row.get(name) is not None), Decimal(0)) for name in names}
