"""The report as a workbook: typed cells, money in its currency's places, totals and differences as formulas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import xlsxwriter
from sqlalchemy import Connection
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.workbook import Workbook

from backroom.reconciliation import trip_sheets
from backroom.reconciliation.pages import StoreDay
from backroom.reconciliation.sections import SECTIONS
from backroom.reconciliation.sheets import COUNT, MONEY, TEXT, WHEN, Formats, Formula, Sheet


def write(
    connection: Connection, days: Sequence[StoreDay], *, path: Path, title: str, label: str, as_of: datetime
) -> None:
    """The workbook of these stores' day, or period, at `path`; `label` says which."""
    book = xlsxwriter.Workbook(path, {"strings_to_formulas": False, "strings_to_urls": False})
    stamp = as_of.replace(tzinfo=None)
    book.set_properties({"title": f"{title}, {label}", "author": "Backroom", "created": stamp})
    formats = Formats(book, {day.currency for day in days})
    _summary(book, formats, days, title=f"{title}: {label}", as_of=as_of)
    trip_sheets.write_trips(book, formats, days, connection)
    trip_sheets.write_lines(book, formats, days, connection)
    _breaks(book, formats, days)
    _waiting(book, formats, days)
    _categories(book, formats, days)
    _tax(book, formats, days)
    _ledger(book, formats, days)
    _sections(book, formats, days)
    _period(book, formats, days)
    book.close()


def _summary(book: Workbook, formats: Formats, days: Sequence[StoreDay], *, title: str, as_of: datetime) -> None:
    table = Sheet(
        book,
        formats,
        "Summary",
        [
            ("Store", TEXT, 16),
            ("Check", TEXT, 48),
            ("From", TEXT, 16),
            ("Amount", MONEY, 16),
            ("Against", TEXT, 18),
            ("Amount", MONEY, 16),
            ("Difference", MONEY, 14),
            ("", TEXT, 10),
        ],
    )
    sheet = table.sheet
    sheet.write_string(0, 0, title, formats.title)
    sheet.write_string(1, 0, f"As of {as_of:%Y-%m-%d %H:%M} UTC", formats.muted)
    currencies = sorted({day.currency for day in days})
    sheet.write_string(
        2, 0, f"Amounts in {', '.join(currencies)}; a difference is the right amount minus the left.", formats.muted
    )
    table.row = 4
    _stores(table, formats, days)
    table.row += 1
    table.heading()
    for day in days:
        for check in day.figures["checks"]:
            left, right, gap = (xl_rowcol_to_cell(table.row, column) for column in (3, 5, 6))
            table.add(
                day.store_id,
                check["what"],
                check["source"],
                check["amount"],
                check["against"],
                check["other"],
                Formula(f"=ROUND({right}-{left},4)", check["difference"]),
                # of a period, a gap of nothing may be made of days that are off
                "off"
                if not check["ties"] and not Decimal(check["difference"])
                else Formula(f'=IF({gap}=0,"ties","off")', "ties" if check["ties"] else "off"),
            )
    last = max(table.row - 1, table.first)
    for text, style in (("ties", formats.good), ("off", formats.bad)):
        sheet.conditional_format(
            table.first, 7, last, 7, {"type": "cell", "criteria": "==", "value": f'"{text}"', "format": style}
        )


def _stores(table: Sheet, formats: Formats, days: Sequence[StoreDay]) -> None:
    """A small block of the stores' headline figures, with a total where all speak one currency."""
    sheet = table.sheet
    heads = ("Store", "Name", "Trips", "Net sales", "Tax", "Sold, with tax", "Captured", "Debt", "Waiting", "Breaks")
    for column, head in enumerate(heads):
        sheet.write_string(table.row, column, head, formats.head)
    sheet.set_column(8, 9, 12)
    first = table.row + 1
    sums = [Decimal(0)] * 8
    for offset, day in enumerate(days):
        sales, settlement = day.figures["sales"], day.figures["settlement"]
        row = first + offset
        sheet.write_string(row, 0, day.store_id, formats.of[TEXT])
        sheet.write_string(row, 1, day.name, formats.of[TEXT])
        values = (
            day.trips,
            sales["net"],
            sales["tax"],
            sales["total"],
            settlement["captured"],
            settlement["debt"],
            day.expected,
            day.breaks_open,
        )
        for column, value in enumerate(values, 2):
            kind = MONEY if 3 <= column <= 7 else COUNT
            sheet.write_number(row, column, Decimal(value), formats.of[kind])
            sums[column - 2] += Decimal(value)
    table.row = first + len(days)
    if formats.one_currency:
        sheet.write_string(table.row, 0, "Total", formats.total[TEXT])
        sheet.write_blank(table.row, 1, None, formats.total[TEXT])
        for column, value in enumerate(sums, 2):
            cells = f"{xl_rowcol_to_cell(first, column)}:{xl_rowcol_to_cell(table.row - 1, column)}"
            kind = MONEY if 3 <= column <= 7 else COUNT
            sheet.write_formula(table.row, column, f"=SUM({cells})", formats.total[kind], value)
        table.row += 1


def _sections(book: Workbook, formats: Formats, days: Sequence[StoreDay]) -> None:
    """A sheet for each further table of the report."""
    for one in SECTIONS:
        kinds = {True: MONEY, False: COUNT}
        columns = [
            (column.head, TEXT if column.is_key else kinds[column.is_money], 24 if column.is_key else 14)
            for column in one.columns
        ]
        table = Sheet(book, formats, one.sheet, [("Store", TEXT, 13), *columns])
        table.heading()
        for day in days:
            for row in day.figures["sections"].get(one.key, ()):
                table.add(day.store_id, *(row[column.name] for column in one.columns))
        table.filter()
        if one.has_total and all(column.adds_up or column.is_key for column in one.columns):
            table.total("Total", *[""] * sum(column.is_key for column in one.columns))


def _period(book: Workbook, formats: Formats, days: Sequence[StoreDay]) -> None:
    """What only a period has: the trial balance, and what was posted for months that were closed."""
    if any(day.trial_balance for day in days):
        money = [(head, MONEY, 16) for head in ("Before", "Debit", "Credit", "After")]
        table = Sheet(
            book, formats, "Trial balance", [("Store", TEXT, 13), ("Account", TEXT, 28), ("Detail", TEXT, 20), *money]
        )
        table.heading()
        for day in days:
            for row in day.trial_balance:
                before, debit, credit = (xl_rowcol_to_cell(table.row, column) for column in (3, 4, 5))
                table.add(
                    day.store_id, row["account"], row["detail"], row["before"], row["debit"], row["credit"],
                    Formula(f"={before}+{debit}-{credit}", row["after"]),
                )  # fmt: skip
        table.total("Total", "", "")
    if any(day.late_changes for day in days):
        table = Sheet(
            book, formats, "Changes to closed months",
            [
                ("Store", TEXT, 13), ("Day it belongs to", TEXT, 16), ("Trip", TEXT, 38), ("What", TEXT, 20),
                ("Reference", TEXT, 28), ("Account", TEXT, 28), ("Amount", MONEY, 14),
            ],
        )  # fmt: skip
        table.heading()
        for day in days:
            for row in day.late_changes:
                table.add(
                    day.store_id, row["belongs_to"], row["shopping_trip_id"], row["kind"], row["reference"],
                    row["account"], row["amount"],
                )  # fmt: skip
        table.filter()


def _breaks(book: Workbook, formats: Formats, days: Sequence[StoreDay]) -> None:
    table = Sheet(
        book,
        formats,
        "Breaks",
        [
            ("Store", TEXT, 13), ("Trip", TEXT, 38), ("Line", COUNT, 7), ("Kind", TEXT, 19), ("Ours", TEXT, 26),
            ("Theirs", TEXT, 26), ("Difference", MONEY, 13), ("Open since (UTC)", WHEN, 17),
            ("Times opened", COUNT, 10), ("What to do", TEXT, 90),
        ],
    )  # fmt: skip
    table.heading()
    for day in days:
        for row in day.breaks:
            table.add(
                day.store_id, row["shopping_trip_id"], row["line_number"] or None, row["kind"], row["ours"],
                row["theirs"], row["difference"], row["opened_at"].replace(tzinfo=None), row["times_opened"],
                row["explanation"],
            )  # fmt: skip
    table.filter()


def _waiting(book: Workbook, formats: Formats, days: Sequence[StoreDay]) -> None:
    table = Sheet(
        book,
        formats,
        "Waiting",
        [
            ("Store", TEXT, 13), ("Trip", TEXT, 38), ("State", TEXT, 19), ("Our total", MONEY, 13),
            ("Amazon: total", MONEY, 13), ("Waits for", TEXT, 90),
        ],
    )  # fmt: skip
    table.heading()
    for day in days:
        for row in day.waiting:
            table.add(
                day.store_id, row["shopping_trip_id"], row["state"], row["purchase_total"], row["order_total"],
                row["note"],
            )  # fmt: skip
    table.filter()


def _categories(book: Workbook, formats: Formats, days: Sequence[StoreDay]) -> None:
    money = [(head, MONEY, 15) for head in ("At shelf price", "Promotions", "Net sales", "Tax", "Total")]
    table = Sheet(
        book, formats, "Categories", [("Store", TEXT, 13), ("Category", TEXT, 34), ("Lines", COUNT, 10), *money]
    )
    table.heading()
    for day in days:
        for row in day.figures["categories"]:
            table.add(
                day.store_id, row["category"], row["lines"], row["list"], row["promotions"], row["net"], row["tax"],
                row["total"],
            )  # fmt: skip
    table.filter()
    table.total("Total", "")


def _tax(book: Workbook, formats: Formats, days: Sequence[StoreDay]) -> None:
    table = Sheet(
        book,
        formats,
        "Tax",
        [
            ("Store", TEXT, 13), ("Jurisdiction", TEXT, 24), ("Rate", TEXT, 12), ("Lines", COUNT, 10),
            ("Taxable net", MONEY, 16), ("Tax", MONEY, 14),
        ],
    )  # fmt: skip
    table.heading()
    for day in days:
        for row in day.figures["tax"]:
            table.add(day.store_id, row["jurisdiction"], row["rate"], row["lines"], row["net"], row["tax"])
    table.filter()
    table.total("Total", "", "")


def _ledger(book: Workbook, formats: Formats, days: Sequence[StoreDay]) -> None:
    table = Sheet(
        book,
        formats,
        "Ledger",
        [
            ("Store", TEXT, 13), ("Account", TEXT, 28), ("Detail", TEXT, 20), ("Debit", MONEY, 16),
            ("Credit", MONEY, 16), ("Balance", MONEY, 16),
        ],
    )  # fmt: skip
    table.heading()
    for day in days:
        for row in day.figures["ledger"]:
            debit, credit = xl_rowcol_to_cell(table.row, 3), xl_rowcol_to_cell(table.row, 4)
            table.add(
                day.store_id, row["account"], row["detail"], row["debit"], row["credit"],
                Formula(f"={debit}-{credit}", row["balance"]),
            )  # fmt: skip
    table.filter()
    table.total("Total", "", "")
