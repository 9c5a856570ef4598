"""The report can be opened by a browser and a spreadsheet, says what was found, and does not change by itself."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import sync_playwright

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
        browser.close()
    assert complaints == []


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
