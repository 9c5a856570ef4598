"""The workbook's sheets of trips and of lines: what every total drills down to."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection
from xlsxwriter.utility import xl_rowcol_to_cell
from xlsxwriter.workbook import Workbook

from backroom.reconciliation import pages
from backroom.reconciliation.pages import StoreDay
from backroom.reconciliation.sheets import MONEY, TEXT, WHEN, Formats, Formula, Sheet
from backroom.settings import settings


def are_cut(days: Sequence[StoreDay]) -> bool:
    """Whether there are too many trips for a workbook, so that it holds those that do not match."""
    return sum(day.trips for day in days) > settings().report_workbook_rows


def write_trips(book: Workbook, formats: Formats, days: Sequence[StoreDay], connection: Connection) -> None:
    """The sheet of trips: each one, or those that do not match and the sum of the rest."""
    money = [(head, MONEY, 13) for head in ("At shelf price", "Promotions", "Tax", "Total")]
    table = Sheet(
        book,
        formats,
        "Trips",
        [
            ("Store", TEXT, 13), ("Trip", TEXT, 38), ("Entry", TEXT, 13), ("Ended (store's clock)", WHEN, 17),
            ("Outcome", TEXT, 11), ("State", TEXT, 19), *money, ("Captured", MONEY, 13), ("Debt", MONEY, 12),
            ("Amazon: total", MONEY, 13), ("Amazon: captured", MONEY, 13), ("Amazon - ours, captured", MONEY, 13),
            ("Ledger: captured", MONEY, 13), ("Note", TEXT, 60),
        ],
    )  # fmt: skip
    table.heading()
    too_many = are_cut(days)
    for day in days:
        for row in pages.trip_rows(connection, day, unsettled=too_many):
            _trip(table, day.store_id, row)
        if too_many:
            others = pages.rest(connection, day, lines=False)
            said = f"{others['rows']} trips that match: see {day.store_id}.trips.csv"
            _trip(table, day.store_id, {**dict.fromkeys(("entry_method", "ended_local", "state", "note")), **others,
                                        "shopping_trip_id": said, "outcome": "MATCHED"})  # fmt: skip
    table.filter()
    table.total("Total", "", "", "", "", "")


def _trip(table: Sheet, store_id: str, row: dict[str, Any]) -> None:
    ours, theirs = row["charge_captured"], row["order_captured"]
    left, right = xl_rowcol_to_cell(table.row, 10), xl_rowcol_to_cell(table.row, 13)
    gap = None if ours is None or theirs is None else Formula(f"={right}-{left}", theirs - ours)
    table.add(
        store_id, row["shopping_trip_id"], row["entry_method"], row["ended_local"], row["outcome"],
        row["state"], row["list_total"], row["promotion_total"], row["tax_total"], row["purchase_total"],
        ours, row["debt"], row["order_total"], theirs, gap, row["ledger_captured"], row["note"] or None,
    )  # fmt: skip


def write_lines(book: Workbook, formats: Formats, days: Sequence[StoreDay], connection: Connection) -> None:
    """The sheet of lines beside Amazon's: each one, or those of trips that do not match and the sum of the rest."""
    money = [(head, MONEY, 13) for head in ("Promotion", "Net", "Tax", "Total", "Amazon: net", "Amazon: tax")]
    table = Sheet(
        book,
        formats,
        "Lines",
        [
            ("Store", TEXT, 13), ("Trip", TEXT, 38), ("Line", TEXT, 7), ("SKU", TEXT, 20), ("Quantity", TEXT, 10),
            ("Unit", TEXT, 8), ("Shelf price", TEXT, 12), *money, ("Amazon - ours", MONEY, 13),
        ],
    )  # fmt: skip
    table.heading()
    too_many = sum(category["lines"] for day in days for category in day.figures["categories"])
    unsettled = too_many > settings().report_workbook_rows
    for day in days:
        for row in pages.line_rows(connection, day, unsettled=unsettled):
            _one_line(table, day.store_id, row)
        if unsettled:
            others = pages.rest(connection, day, lines=True)
            said = f"{others['rows']} lines of trips that match: see {day.store_id}.lines.csv"
            blank = dict.fromkeys(("line_number", "item_sku", "quantity", "unit", "list_price"))
            _one_line(table, day.store_id, {**blank, **others, "shopping_trip_id": said})
    table.filter()
    table.total("Total", "", "", "", "", "", "")


def _one_line(table: Sheet, store_id: str, row: dict[str, Any]) -> None:
    net, tax, their_net, their_tax = (xl_rowcol_to_cell(table.row, column) for column in (8, 9, 11, 12))
    gap = None
    if row["order_net"] is not None and row["net"] is not None:
        theirs, ours = row["order_net"] + row["order_tax"], row["net"] + row["tax_amount"]
        gap = Formula(f"=ROUND({their_net}+{their_tax}-{net}-{tax},4)", theirs - ours)
    table.add(
        store_id, row["shopping_trip_id"], row["line_number"], row["item_sku"], _plain(row["quantity"]), row["unit"],
        _plain(row["list_price"]), row["promotion_amount"], row["net"], row["tax_amount"], row["total"],
        row["order_net"], row["order_tax"], gap,
    )  # fmt: skip


def _plain(number: Decimal | None) -> str | None:
    return None if number is None else f"{number.normalize():f}"
