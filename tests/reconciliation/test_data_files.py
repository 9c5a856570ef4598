"""The report as data, and what the workbook does where a day is too large for it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest

from backroom.errors import BackroomError
from backroom.reconciliation import payout_files, periods, report, report_files
from backroom.reconciliation.runs import reconcile_day
from backroom.settings import settings
from tests.reconciliation.conftest import DAY, ENDED, NEXT_MORNING, Books, Item

NEXT_DAY = DAY + timedelta(days=1)

PAYOUTS = "payout_id,line_number,kind,reference,shopping_trip_id,amount,fee,currency,paid_out_on\n"


@pytest.fixture
def written(books: Books, tmp_path: Path) -> report.Written:
    """The report of a day with three trips, one of which is a break."""
    books.trip(Item(), Item('O"BRIEN, "', "3.00", "1", "0.00", "0.25"))
    books.trip()
    books.change("amazon_order", books.trip(), captured=Decimal("9.00"))
    return report.write(books.connection, run_id=books.reconcile().run_id, folder=tmp_path)


def test_every_file_of_a_report_is_found_by_its_page(written: report.Written) -> None:
    assert sorted(report_files.of_page(written.html)) == sorted(written.all)
    assert {report_files.content_type(path.name) for path in written.all} == set(report_files.TYPES.values())


def test_parquet_is_typed_and_holds_what_csv_holds(written: report.Written) -> None:
    by_name = {path.name.split(".", 1)[1]: path for path in written.data}
    assert set(by_name) == {
        f"{name}.{kind}" for name in ("trips", "lines", "breaks", "figures") for kind in ("csv", "parquet")
    }
    trips = pyarrow.parquet.read_table(by_name["trips.parquet"])
    assert trips.schema.field("purchase_total").type == pa.decimal128(18, 4)
    assert trips.schema.field("ended_at").type == pa.timestamp("us", tz="UTC")
    assert trips.schema.field("business_date").type == pa.date32()
    assert sum(trips["purchase_total"].to_pylist()) == Decimal("27.61")
    lines = pyarrow.parquet.read_table(by_name["lines.parquet"])
    assert lines["item_sku"].to_pylist() == ["MILK-1L", 'O"BRIEN, "', "MILK-1L", "MILK-1L"]
    assert sum(lines["total"].to_pylist()) == Decimal("27.61")
    assert lines["order_net"].to_pylist() == lines["net"].to_pylist()
    figures = pyarrow.parquet.read_table(by_name["figures.parquet"]).to_pylist()
    (total,) = [row["value"] for row in figures if (row["part"], row["figure"]) == ("sales", "total")]
    assert total == Decimal("27.61")


def test_a_period_lists_the_largest_first_and_its_data_hold_all_that_its_page_does(
    books: Books, tmp_path: Path
) -> None:
    for day, promotion, amount in ((DAY, "7", "0.10"), (NEXT_DAY, "B", "0.50")):
        trip = books.trip(ended=ENDED + (day - DAY))
        books.change("purchase", trip, business_date=day)
        books.change(
            "purchase_line", trip, promotions=[{"promotion_id": promotion, "description": "off", "amount": amount}]
        )
        reconcile_day(books.connection, store_id=books.store_id, business_date=day, complete=True, now=NEXT_MORNING)
    period = periods.of_store(books.connection, store_id=books.store_id, first=DAY, last=NEXT_DAY)
    assert [row["promotion"] for row in period.figures["sections"]["promotions"]] == ["B", "7"]
    written = report.write_period(
        books.connection, [period], stem=books.store_id, folder=tmp_path, title="Shop", as_of=NEXT_MORNING
    )
    rows = {
        (row["part"], row["row"], row["figure"]): row["value"]
        for row in pyarrow.parquet.read_table(written.data[1]).to_pylist()
    }
    assert rows["promotions", "7 | off", "amount"] == Decimal("0.10")
    assert ("promotions", "off", "promotion") not in rows
    assert rows["hours", "12", "captured"] == Decimal("16.24")
    assert rows["days", f"{NEXT_DAY}", "captured"] == Decimal("8.12")
    assert rows["trial_balance", "card_clearing | ", "after"] == Decimal("16.24")


def test_a_workbook_of_a_day_that_is_too_large_holds_what_does_not_match_and_the_sum_of_the_rest(
    books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKROOM_REPORT_WORKBOOK_ROWS", "2")
    settings.cache_clear()
    for _ in range(2):
        books.trip()
    bent = books.trip()
    books.change("amazon_order", bent, captured=Decimal("9.00"))
    xlsx = report.write(books.connection, run_id=books.reconcile().run_id, folder=tmp_path).xlsx
    settings.cache_clear()
    book = openpyxl.load_workbook(xlsx, data_only=True)
    for sheet in ("Trips", "Lines"):
        rows = list(book[sheet].iter_rows(min_row=2, values_only=True))
        total = [cell.value for cell in book[sheet][1]].index("Total")
        assert [row[1] for row in rows[:1]] == [bent]
        assert rows[1][1].startswith("2 ")
        assert [float(row[total]) for row in rows] == pytest.approx([8.12, 16.24, 24.36])


def _file(folder: Path, *rows: str) -> Path:
    path = folder / "payouts.csv"
    path.write_text(PAYOUTS + "".join(f"{row}\n" for row in rows))
    return path


def test_payouts_are_taken_in_once(books: Books, tmp_path: Path) -> None:
    path = _file(
        tmp_path, "po-1,1,CAPTURE,pay-1,,8.12,0.30,USD,2026-03-04", "po-1,2,REFUND,pay-1,,-2.00,0,USD,2026-03-04"
    )
    assert payout_files.take_in(books.connection, path, processor="SANDBOX", now=NEXT_MORNING) == (2, 0)
    assert payout_files.take_in(books.connection, path, processor="SANDBOX", now=NEXT_MORNING) == (0, 2)
    for other in ("pay-1,,9.12,0.30,USD,2026-03-04", "pay-1,T1,8.12,0.30,USD,2026-03-04",
                  "pay-1,,8.12,0.30,USD,2026-03-05"):  # fmt: skip
        with pytest.raises(BackroomError, match="line 2: it was taken in before with other values"):
            payout_files.take_in(
                books.connection, _file(tmp_path, f"po-1,1,CAPTURE,{other}"), processor="SANDBOX", now=NEXT_MORNING
            )


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("po-9,1,CAPTURE,pay-1,,-1,0,USD,2026-03-04", "a CAPTURE is positive"),
        ("po-9,1,PRESENT,pay-1,,1,0,USD,2026-03-04", "kind must be CAPTURE or REFUND"),
        ("po-9,1,CAPTURE,pay-1,,NaN,0,USD,2026-03-04", "an amount is no number"),
        ("po-9,1,CAPTURE,pay-1,,1.00001,0,USD,2026-03-04", "line 2: an amount has more than four decimal places"),
        ("po-9,1,CAPTURE,pay-1,,1,1e11,USD,2026-03-04", "or more than ten before them"),
        ("po-9,1,CAPTURE,pay-1,,1,0,usd,2026-03-04", "'usd' is not an ISO 4217 currency code"),
        ("po-9,1,CAPTURE,4111111111111111,,1,0,USD,2026-03-04", "looks like a card number"),
        ("po-9,one,CAPTURE,pay-1,,1,0,USD,2026-03-04", "line 2"),
    ],
)
def test_a_payout_row_that_says_nothing_is_named(books: Books, tmp_path: Path, row: str, complaint: str) -> None:
    with pytest.raises(BackroomError, match=complaint):
        payout_files.take_in(books.connection, _file(tmp_path, row), processor="SANDBOX", now=NEXT_MORNING)
