"""The report can be opened by a browser and a spreadsheet, says what was found, and does not change by itself."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import openpyxl
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from pypdf import PdfReader
from sqlalchemy import text

from backroom.errors import BackroomError
from backroom.reconciliation import report
from backroom.reconciliation.sections import SECTIONS
from tests.reconciliation.conftest import DAY, NEXT_MORNING, Books, Item, open_store

BROWSER = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def two_stores(books: Books) -> tuple[Books, Books]:
    """One store with a break and a cart that waits, and one where everything ties."""
    other = Books(books.connection, f"{books.store_id}-B")
    open_store(other, "America/Los_Angeles")
    books.connection.exec_driver_sql("update store set test = true where store_id not like %s", (f"{books.store_id}%",))
    books.trip()
    books.trip(state="IN_DEBT", debt="8.12", order="CANCELLED")
    bent = books.trip(Item(), Item("<b>BREAD</b>", "3.00", "1", "0.00", "0.25"))
    books.change_line(bent, 2, tax=Decimal("0.26"))
    asked = f"{books.store_id}-ASKED"
    books.purchase(asked, (), entry_method="APP", ended=NEXT_MORNING - timedelta(hours=20), state="BAD_CART")
    books.order(
        asked, (Item(),), status="OPEN", captured=Decimal(0), entry_method="APP",
        ended=NEXT_MORNING - timedelta(hours=20), at=NEXT_MORNING - timedelta(hours=20),
    )  # fmt: skip
    books.ask(asked)
    other.trip(entry_method="CREDIT_CARD")
    return books, other


def test_a_browser_shows_the_company_report_without_an_error_at_any_width(
    two_stores: tuple[Books, Books], tmp_path: Path
) -> None:
    one, other = two_stores
    one.reconcile()
    other.reconcile()
    html = report.write_company(one.connection, business_date=DAY, folder=tmp_path, now=NEXT_MORNING).html
    complaints: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=BROWSER)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if "http" in request.url else None)
        page.goto(html.as_uri())
        assert page.title() == "All stores, Monday 2 March 2026: finance report"
        assert "1 break needs a person." in page.inner_text(".verdict >> nth=0")
        assert page.inner_text(f"#{other.store_id} .verdict").startswith("Everything ties, to the cent.")
        assert page.locator("figure svg").count() == 2
        assert "<b>BREAD</b>: the line is 3.25 with us, 3.26 with Amazon" in page.inner_text("main")
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        found = Axe().run(page).response["violations"]
        assert [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found] == []
        browser.close()
    assert complaints == []


def _sold_in_many_categories(books: Books, number: int) -> None:
    """One trip of so many lines, each in a category and with a promotion of its own; the fourth is called 2026."""
    names = [f"C{one:02}" if one != 4 else "2026" for one in range(1, number + 1)]
    items = [Item(f"SKU-{name}", str(number + 1 - one), "1", "0.10", "0.00") for one, name in enumerate(names)]
    trip = books.trip(*items)
    books.insert("catalog_run", run_id=-1, business_date=DAY, source="test", state="DONE", started_at=NEXT_MORNING)
    for line, (name, item) in enumerate(zip(names, items, strict=True), 1):
        books.insert(
            "catalog_item", store_id=books.store_id, item_sku=item.sku, record={}, content_hash="h", item_name=name,
            product_category=name, seen_in_run=-1,
        )  # fmt: skip
        books.connection.execute(
            text("update purchase_line set promotions = cast(:it as jsonb) where shopping_trip_id = :t"
                 " and line_number = :n"),
            {"t": trip, "n": line, "it": json.dumps([{"promotion_id": name, "description": "off", "amount": "0.10"}])},
        )  # fmt: skip


def test_a_long_table_shows_the_largest_and_the_sum_of_the_others_and_is_whole_elsewhere(
    books: Books, tmp_path: Path
) -> None:
    _sold_in_many_categories(books, 30)
    written = report.write(books.connection, run_id=books.reconcile().run_id, folder=tmp_path)
    page, figures = _Tables(), written.html.with_name(f"{books.store_id}.figures.csv")
    page.feed(written.html.read_text())
    book = openpyxl.load_workbook(written.xlsx, data_only=True)
    with figures.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for title, sheet, part, column, figure, first in (
        ("Sales by category", "Categories", "categories", -2, "net", ["C01", "C02"]),
        ("Sales by category and entry", "Sales by category and entry", "sales_by_entry", -3, "net", ["C01", "C02"]),
        ("Promotions", "Promotions", "promotions", -1, "amount", ["2026", "C01"]),  # all alike: by name
    ):
        shown, others = page.tables[title], page.tables[f"{title}: the others"]
        assert shown[12][0] == "… and 18 more"
        assert [row[0] for row in shown[:2]] == first
        assert shown[13][0] == "Total"
        sums = [Decimal(row[column].replace(",", "")) for row in shown]
        assert sum(sums[:13]) == sums[13]
        assert sum(Decimal(row[column]) for row in others) == sums[12]
        assert len(others) == 18
        in_the_book = [row for row in book[sheet].iter_rows(min_row=2, values_only=True) if row[0] == books.store_id]
        assert len(in_the_book) == 30
        in_the_data = [row for row in rows if (row["part"], row["figure"]) == (part, figure)]
        assert len({row["row"] for row in in_the_data}) == 30
        assert any(row["row"].startswith("2026") for row in in_the_data)
        assert sum(Decimal(row["value"]) for row in in_the_data) == sums[13]
    assert "All 30 are in the workbook’s sheet “Promotions” and in" in written.html.read_text()


def test_a_list_of_many_breaks_is_cut_and_says_how_much_is_left_out(books: Books, tmp_path: Path) -> None:
    for number in range(30):
        books.change("amazon_order", books.trip(), captured=Decimal(8) + Decimal(number))
    written = report.write(books.connection, run_id=books.reconcile().run_id, folder=tmp_path)
    page = _Tables()
    page.feed(written.html.read_text())
    shown = page.tables["Breaks"]
    assert len(shown) == 26
    assert shown[24][0] == f"… and {len(page.tables['Breaks: the others'])} more"
    differences = [Decimal(row[-2].replace("−", "-").replace("+", "").replace(",", "")) for row in shown]
    assert sum(differences[:25]) == differences[25]
    assert differences[:2] == [Decimal("28.88"), Decimal("27.88")]


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_it_prints_whole_tables_with_numbered_pages_and_without_what_is_behind_a_click(
    books: Books, tmp_path: Path, paper: str
) -> None:
    _sold_in_many_categories(books, 30)
    html = report.write(books.connection, run_id=books.reconcile().run_id, folder=tmp_path).html
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=BROWSER)
        page = browser.new_page()
        page.goto(html.as_uri())
        printed = page.pdf(format=paper, print_background=True)
        page.get_by_text("The other 18").first.click()
        opened = page.pdf(format=paper, print_background=True)
        browser.close()
    sheets = [sheet.extract_text() for sheet in PdfReader(io.BytesIO(printed)).pages]
    assert [f"Page {number} of {len(sheets)}" in sheet for number, sheet in enumerate(sheets, 1)] == [True] * len(
        sheets
    )
    assert len(sheets) <= 5
    promotions = [sheet for sheet in sheets if "Promotion What it is" in sheet]
    assert len(promotions) == 1
    assert all(name in promotions[0] for name in ("C01", "C12", "… and 18 more"))
    assert not any("C30" in sheet for sheet in sheets)
    assert any("C30" in sheet.extract_text() for sheet in PdfReader(io.BytesIO(opened)).pages)


def test_the_workbook_has_typed_cells_and_formulas_that_come_to_the_same_as_their_cells(
    two_stores: tuple[Books, Books], tmp_path: Path
) -> None:
    books, _ = two_stores
    xlsx = report.write(books.connection, run_id=books.reconcile().run_id, folder=tmp_path).xlsx
    formulas, values = openpyxl.load_workbook(xlsx), openpyxl.load_workbook(xlsx, data_only=True)
    assert formulas.sheetnames == [
        "Summary", "Trips", "Lines", "Breaks", "Waiting", "Categories", "Tax", "Ledger",
        *(section.title[:31] for section in SECTIONS),
    ]  # fmt: skip
    trips = values["Trips"]
    heads = [cell.value for cell in trips[1]]
    total, captured = heads.index("Total"), heads.index("Captured")
    assert trips.max_row == 6  # head, four trips, sums
    assert sum(row[total] or 0 for row in trips.iter_rows(min_row=2, max_row=5, values_only=True)) == pytest.approx(
        27.61
    )
    assert trips.cell(6, total + 1).value == pytest.approx(27.61)
    assert formulas["Trips"].cell(6, total + 1).value == "=SUM(J2:J5)"
    assert trips.cell(6, captured + 1).value == pytest.approx(19.49)
    cell = formulas["Trips"].cell(2, total + 1)
    assert (cell.data_type, cell.number_format) == ("n", "#,##0.00;[Red]-#,##0.00")
    assert formulas["Trips"].cell(2, heads.index("Ended (store's clock)") + 1).is_date
    assert [row[3] for row in values["Breaks"].iter_rows(min_row=2, values_only=True)] == ["TAX"]
    assert {row[0].value for row in values["Ledger"].iter_rows(min_row=2)} == {books.store_id, "Total"}
    verdicts = [row[7] for row in values["Summary"].iter_rows(min_row=8, values_only=True) if row[7] in ("ties", "off")]
    assert verdicts.count("off") == 0 or "ties" in verdicts
    assert len(verdicts) == 27


def test_two_runs_over_the_same_data_give_the_same_bytes_but_for_one_time_stamp(
    two_stores: tuple[Books, Books], tmp_path: Path
) -> None:
    books, _ = two_stores
    pages, workbooks, data = [], [], []
    for now in (NEXT_MORNING, NEXT_MORNING, NEXT_MORNING + timedelta(minutes=1)):
        written = report.write(books.connection, run_id=books.reconcile(now=now).run_id, folder=tmp_path)
        pages.append(written.html.read_text())
        workbooks.append(written.xlsx.read_bytes())
        data.append([path.read_bytes() for path in written.data])
    assert pages[0] == pages[1]
    assert workbooks[0] == workbooks[1]
    assert data[0] == data[1] == data[2]
    stamp = re.compile(r'<time datetime="[^"]*">[^<]*</time>')
    assert pages[0] != pages[2]
    assert stamp.sub("", pages[0]) == stamp.sub("", pages[2])


def test_the_page_is_well_formed_and_its_ids_are_unique(two_stores: tuple[Books, Books], tmp_path: Path) -> None:
    one, other = two_stores
    one.reconcile()
    other.reconcile()
    html = report.write_company(one.connection, business_date=DAY, folder=tmp_path, now=NEXT_MORNING).html
    seen = _Reader()
    seen.feed(html.read_text())
    assert len(seen.ids) == len(set(seen.ids))
    assert {target for target in seen.targets if target not in seen.ids} == set()
    assert seen.open == []


def test_the_paths_are_kept_with_the_run_and_a_superseded_run_is_not_reported(books: Books, tmp_path: Path) -> None:
    books.trip()
    first = books.reconcile()
    written = report.write(books.connection, run_id=first.run_id, folder=tmp_path)
    kept = books.connection.exec_driver_sql(
        "select html_path, xlsx_path from reconciliation_run where run_id = %s", (first.run_id,)
    ).one()
    assert tuple(kept) == (str(written.html), str(written.xlsx))
    second = books.reconcile()
    with pytest.raises(BackroomError, match=f"superseded; report run {second.run_id} instead"):
        report.write(books.connection, run_id=first.run_id, folder=tmp_path)


def test_a_day_that_nobody_reconciled_has_no_company_report(books: Books, tmp_path: Path) -> None:
    with pytest.raises(BackroomError, match="no store has been reconciled for 2020-01-01"):
        report.write_company(books.connection, business_date=DAY.replace(2020, 1, 1), folder=tmp_path, now=NEXT_MORNING)


class _Tables(HTMLParser):
    """The rows of each table's body and foot, by the heading over it; those behind a click apart."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.within: list[str] = []
        self.title = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.within.append(tag)
        if tag in ("h2", "h3"):
            self.title = ""
        if tag == "tr" and "thead" not in self.within:
            self.tables.setdefault(self.title + (": the others" if "details" in self.within else ""), []).append([])
            self.row = self.tables[self.title + (": the others" if "details" in self.within else "")][-1]
        if tag in ("td", "th") and "thead" not in self.within and "barcell" not in str(attrs):
            self.row.append("")

    def handle_data(self, data: str) -> None:
        if self.within and self.within[-1] in ("h2", "h3"):
            self.title += data
        if {"td", "th"} & set(self.within) and "thead" not in self.within and data.strip():
            self.row[-1] += data

    def handle_endtag(self, tag: str) -> None:
        while self.within and self.within.pop() != tag:
            pass


class _Reader(HTMLParser):
    """Collects ids and references, and notices elements that are not closed."""

    EMPTY = frozenset({"meta", "br", "link", "img", "path", "use", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            elif name.endswith("href") and str(value).startswith("#"):
                self.targets.add(str(value)[1:])

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
