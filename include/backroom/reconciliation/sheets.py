"""Cells, formats and tables of a workbook: typed, with sums as formulas."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from backroom.money import places

MONEY, COUNT, TEXT, WHEN = "money", "count", "text", "when"


class Formats:
    """The few cell formats of the workbook."""

    def __init__(self, book: Workbook, currencies: set[str]) -> None:
        self.one_currency = len(set(currencies)) == 1
        decimals = max(places(currency) for currency in currencies)
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        money = f"{pattern};[Red]-{pattern}"
        font = {"font_name": "Calibri", "font_size": 11}
        self.title = book.add_format({**font, "bold": True, "font_size": 16})
        self.muted = book.add_format({**font, "font_color": "#5b6875"})
        self.head = book.add_format(
            {**font, "bold": True, "bottom": 1, "bg_color": "#eef2f5", "text_wrap": True, "valign": "vcenter"}
        )
        self.of = {
            MONEY: book.add_format({**font, "num_format": money}),
            COUNT: book.add_format({**font, "num_format": "#,##0"}),
            TEXT: book.add_format(font),
            WHEN: book.add_format({**font, "num_format": "yyyy-mm-dd hh:mm"}),
        }
        self.total = {
            MONEY: book.add_format({**font, "bold": True, "top": 1, "num_format": money}),
            COUNT: book.add_format({**font, "bold": True, "top": 1, "num_format": "#,##0"}),
            TEXT: book.add_format({**font, "bold": True, "top": 1}),
        }
        self.good = book.add_format({"font_color": "#0f766e"})
        self.bad = book.add_format({"font_color": "#b42318", "bold": True})


class Sheet:
    """A table that is written from the top down, with a total row of formulas."""

    def __init__(self, book: Workbook, formats: Formats, name: str, columns: Sequence[tuple[str, str, int]]) -> None:
        """`columns` are (head, kind of cell, width)."""
        self.sheet: Worksheet = book.add_worksheet(name)
        self.formats, self.columns = formats, columns
        self.row = 0
        self.sums = [Decimal(0)] * len(columns)
        for number, (_, _, width) in enumerate(columns):
            self.sheet.set_column(number, number, width)
        self.sheet.set_landscape()
        self.sheet.set_paper(9)
        self.sheet.fit_to_pages(1, 0)

    def heading(self) -> None:
        """The head row, which stays in view and repeats on each printed page."""
        for number, (head, _, _) in enumerate(self.columns):
            self.sheet.write_string(self.row, number, head, self.formats.head)
        self.sheet.repeat_rows(self.row)
        self.sheet.freeze_panes(self.row + 1, 0)
        self.row += 1
        self.first = self.row

    def add(self, *values: Any) -> None:
        """A row of values by the columns' kinds; None leaves a cell empty; a string with `=` in front is a formula."""
        for number, (value, (_, kind, _)) in enumerate(zip(values, self.columns, strict=True)):
            self._cell(number, value, kind)
        self.row += 1

    def _cell(self, number: int, value: Any, kind: str) -> None:
        style = self.formats.of[kind]
        if value is None:
            return
        if isinstance(value, Formula):
            self.sheet.write_formula(self.row, number, value.text, style, value.value)
            self.sums[number] += Decimal(value.value) if kind in (MONEY, COUNT) else 0
        elif kind in (MONEY, COUNT):
            self.sheet.write_number(self.row, number, Decimal(value), style)
            self.sums[number] += Decimal(value)
        elif kind == WHEN:
            self.sheet.write_datetime(self.row, number, value, style)
        else:
            self.sheet.write_string(self.row, number, str(value), style)

    def total(self, *labels: str) -> None:
        """The last row: sums of each numeric column; left out where it would add up different currencies."""
        if not self.formats.one_currency:
            return
        for number, (_, kind, _) in enumerate(self.columns):
            if number < len(labels):
                self.sheet.write_string(self.row, number, labels[number], self.formats.total[TEXT])
            elif kind in (MONEY, COUNT) and self.row > self.first:
                cells = f"{xl_rowcol_to_cell(self.first, number)}:{xl_rowcol_to_cell(self.row - 1, number)}"
                self.sheet.write_formula(
                    self.row, number, f"=SUM({cells})", self.formats.total[kind], self.sums[number]
                )
            else:
                self.sheet.write_blank(self.row, number, None, self.formats.total[TEXT])
        self.row += 1

    def filter(self) -> None:
        """Lets the reader filter the rows."""
        if self.row > self.first:
            self.sheet.autofilter(self.first - 1, 0, self.row - 1, len(self.columns) - 1)


class Formula:
    """A formula and what it comes to, for readers that do not calculate."""

    def __init__(self, formula: str, value: Any) -> None:
        self.text, self.value = formula, value
