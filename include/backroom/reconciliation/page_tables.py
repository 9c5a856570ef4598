"""The tables of the report's page that grow with the trade, as the page shows them: their columns, how long they may be
there, and where every row is. The small ones of fixed length are in the page itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from backroom.reconciliation import folding
from backroom.reconciliation.folding import Folded
from backroom.reconciliation.pages import StoreDay
from backroom.reconciliation.sections import SECTIONS, Cell, Column, Section

Row = dict[str, Any]

LISTED: Final = 24  # trips, and postings, of a list
ACCOUNTS: Final = 40  # rows of the books
BEHIND_A_CLICK: Final = 100  # of the others, on a screen
TRIPS_FILES: Final = "each day’s {store}.trips.csv"
BREAKS_FILES: Final = "each day’s {store}.breaks.csv"


@dataclass(frozen=True)
class PageTable:
    """One table: what is written over it, its columns, its rows, and where all of them are.

    `bar` is the column that is drawn beside its amount. `sheet` is the workbook's; `data` names the file of data.
    """

    title: str
    says: str
    columns: tuple[Column, ...]
    folded: Folded
    sheet: str
    data: str
    has_total: bool = True
    bar: str | None = None

    @property
    def is_wide(self) -> bool:
        """Whether it needs the page's whole width."""
        return len(self.columns) > 5 or any(column.cell == Cell.WORDS for column in self.columns)

    @property
    def is_short(self) -> bool:
        """Whether it is kept on one sheet of paper."""
        return len(self.folded.shown) < folding.SHOWN + folding.SPARED

    @property
    def leading(self) -> int:
        """How many of its first columns name the row: a sum's own name takes their place."""
        return next((place for place, column in enumerate(self.columns) if not column.is_key), len(self.columns))

    @property
    def largest(self) -> float:
        """What the longest bar stands for."""
        return max((float(row[self.bar]) for row in self.folded.shown), default=0.0) if self.bar else 0.0

    @property
    def behind_a_click(self) -> list[Row]:
        """The rows that a reader on a screen can open."""
        return self.folded.others[:BEHIND_A_CLICK]


def of_day(day: StoreDay, *, stem: str) -> dict[str, PageTable]:
    """The tables of one store's day or period that have rows, by name; `stem` is of the report's files."""
    figures, where = day.figures, partial(_in_figures, stem)
    span = "time" if day.until else "day"
    found = {
        "breaks": _table(
            "Breaks", "Open ones, the largest differences first: Amazon’s or the ledger’s amount minus ours.",
            _BREAKS, _break_rows(day.breaks), sheet="Breaks", data=BREAKS_FILES.format(store=day.store_id),
            largest="difference", shown=LISTED,
        ),
        "waiting": _table(
            "Waiting, not late", "Trips of which one side is missing or not settled, the largest first.",
            _WAITING, _waiting_rows(day.waiting), sheet="Waiting", data=TRIPS_FILES.format(store=day.store_id),
            largest="purchase_total", shown=LISTED,
        ),
        "categories": _table(
            "Sales by category", "Without tax, the largest first.",
            _CATEGORIES, figures["categories"], sheet="Categories", data=where("categories"), largest="net", bar="net",
        ),
        "tax": _table(
            "Tax by jurisdiction and rate", "What was sold at each rate, without tax, and its tax.",
            _TAX, figures["tax"], sheet="Tax", data=where("tax"), largest="net" if _is_long(figures["tax"]) else None,
        ),
        "trial_balance": _table(
            "Trial balance", "Every account by the day on which it was posted, debits positive.",
            _TRIAL_BALANCE, day.trial_balance, sheet="Trial balance", data=where("trial_balance"), shown=ACCOUNTS,
        ),
        "late_changes": _table(
            "Changes to closed months, posted here",
            f"Posted in this {span}, about days of months that were closed.",
            _LATE_CHANGES, _late_rows(day.late_changes), sheet="Changes to closed months",
            data=where("late_changes"), shown=LISTED,
        ),
        "ledger": _table(
            "Ledger, every posting about these trips", "Whenever it was posted; debits positive.",
            _LEDGER, figures["ledger"], sheet="Ledger", data=where("ledger"), shown=ACCOUNTS,
        ),
    }  # fmt: skip
    return {name: table for name, table in found.items() if table.folded.rows}


def of_sections(day: StoreDay, *, stem: str) -> list[PageTable]:
    """The further tables that have rows, in the report's order."""
    found = []
    for one in SECTIONS:
        rows = day.figures["sections"].get(one.key)
        if rows:
            found.append(_of_section(one, rows, data=_in_figures(stem, one.key)))
    return found


def _in_figures(stem: str, part: str) -> str:
    return f"{stem}.figures.csv, part “{part}”"


def _of_section(section: Section, rows: Sequence[Row], *, data: str) -> PageTable:
    return _table(
        section.title, section.says, section.columns, rows, sheet=section.sheet, data=data, largest=section.largest,
        shown=folding.SHOWN if section.largest else ACCOUNTS, has_total=section.has_total,
    )  # fmt: skip


def _table(
    title: str, says: str, columns: tuple[Column, ...], rows: Iterable[Row], *, sheet: str, data: str,
    largest: str | None = None, shown: int = folding.SHOWN, has_total: bool = True, bar: str | None = None,
) -> PageTable:  # fmt: skip
    folded = folding.fold(
        list(rows), largest=largest, shown=shown, keys=[one.name for one in columns if one.is_key],
        sums=[one.name for one in columns if not one.is_key],
    )  # fmt: skip
    return PageTable(title, says, columns, folded, sheet, data, has_total and folded.rows > 1, bar)


def _is_long(rows: Sequence[Row]) -> bool:
    return len(rows) >= folding.SHOWN + folding.SPARED


def _break_rows(breaks: Iterable[Row]) -> list[Row]:
    return [
        {
            **row,
            "line": str(row["line_number"] or "–"),
            "known": _sentence(row["explanation"]) + _came_back(int(row["times_opened"])),
        }
        for row in breaks
    ]


def _waiting_rows(waiting: Iterable[Row]) -> list[Row]:
    return [{**row, "known": _sentence(row["note"])} for row in waiting]


def _late_rows(changes: Iterable[Row]) -> list[Row]:
    return [{**row, "shopping_trip_id": row["shopping_trip_id"] or "–"} for row in changes]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _came_back(times_opened: int) -> str:
    times = times_opened - 1
    return f" It came back {times} {'time' if times == 1 else 'times'}." if times else ""


def _columns(*given: tuple[str, str, Cell]) -> tuple[Column, ...]:
    return tuple(Column(*one) for one in given)


_BREAKS: Final = _columns(
    ("shopping_trip_id", "Trip", Cell.TRIP),
    ("line", "Line", Cell.TEXT),
    ("kind", "Kind", Cell.CODE),
    ("ours", "Ours", Cell.TEXT),
    ("theirs", "Theirs", Cell.TEXT),
    ("difference", "Difference", Cell.CHANGE),
    ("known", "What is known, what to do", Cell.WORDS),
)
_WAITING: Final = _columns(
    ("shopping_trip_id", "Trip", Cell.TRIP),
    ("state", "State", Cell.CODE),
    ("purchase_total", "Our total", Cell.MONEY),
    ("order_total", "Amazon’s", Cell.MONEY),
    ("known", "Waits for", Cell.WORDS),
)
_CATEGORIES: Final = _columns(
    ("category", "Category", Cell.TEXT),
    ("lines", "Lines", Cell.COUNT),
    ("net", "Net", Cell.MONEY),
    ("tax", "Tax", Cell.MONEY),
)
_TAX: Final = _columns(
    ("jurisdiction", "Jurisdiction", Cell.TEXT),
    ("rate", "Rate", Cell.TEXT),
    ("lines", "Lines", Cell.COUNT),
    ("net", "Net", Cell.MONEY),
    ("tax", "Tax", Cell.MONEY),
)
_TRIAL_BALANCE: Final = _columns(
    ("account", "Account", Cell.CODE),
    ("detail", "Detail", Cell.TEXT),
    ("before", "Before", Cell.MONEY),
    ("debit", "Debit", Cell.MONEY),
    ("credit", "Credit", Cell.MONEY),
    ("after", "After", Cell.MONEY),
)
_LATE_CHANGES: Final = _columns(
    ("belongs_to", "Belongs to", Cell.TEXT),
    ("shopping_trip_id", "Trip", Cell.TRIP),
    ("kind", "What", Cell.CODE),
    ("reference", "Reference", Cell.TEXT),
    ("account", "Account", Cell.CODE),
    ("amount", "Amount", Cell.CHANGE),
)
_LEDGER: Final = _columns(
    ("account", "Account", Cell.CODE),
    ("detail", "Detail", Cell.TEXT),
    ("debit", "Debit", Cell.MONEY),
    ("credit", "Credit", Cell.MONEY),
    ("balance", "Balance", Cell.MONEY),
)
