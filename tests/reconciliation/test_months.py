"""A month closes when everything in it ties; after that it stays as it was, and later changes go to the next."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from backroom.ledger.book import POSTING_LOCK
from backroom.reconciliation import breaks, months, periods, report
from backroom.reconciliation.days import unsettled_days
from backroom.reconciliation.months import CloseRefused
from backroom.reconciliation.runs import reconcile_day
from tests.reconciliation.conftest import DAY, NEXT_MORNING, Books

MARCH, LAST = date(2026, 3, 1), date(2026, 3, 31)
APRIL = datetime(2026, 4, 2, 9, tzinfo=UTC)


def _close(books: Books, **more: object) -> None:
    months.close(
        books.connection,
        store_id=books.store_id,
        month=DAY,
        by="fay",
        reason="all seen",
        now=APRIL,
        **more,  # type: ignore[arg-type]
    )


def test_a_closed_month_stays_as_it_was_and_later_changes_are_posted_to_the_next(books: Books, tmp_path: Path) -> None:
    trip = books.trip()
    books.reconcile()
    _close(books)
    books.post(trip, write_off="8.12", card_clearing="-8.12")
    books.trip()
    books.reconcile(now=APRIL)

    kept = months.of_month(books.connection, store_id=books.store_id, month=MARCH)
    assert (kept.trips, kept.figures["sales"]["total"], kept.late_changes) == (1, "8.12", ())
    dated = books.connection.execute(
        text("select business_date, belongs_to from ledger_transaction where store_id = :s order by transaction_id"),
        {"s": books.store_id},
    ).all()
    assert dated[0] == (DAY, None)
    assert {tuple(row) for row in dated[1:]} == {(date(2026, 4, 1), DAY)}
    with pytest.raises(CloseRefused, match="was closed on 2026-04-02 by fay"):
        _close(books)
    later = books.trip(ended=datetime(2026, 4, 1, 17, tzinfo=UTC))
    books.change("purchase", later, business_date=date(2026, 4, 1))
    reconcile_day(books.connection, store_id=books.store_id, business_date=date(2026, 4, 1), complete=True, now=APRIL)
    next_month = periods.of_store(
        books.connection, store_id=books.store_id, first=date(2026, 4, 1), last=date(2026, 4, 30)
    )
    assert {(row["belongs_to"], row["shopping_trip_id"]) for row in next_month.late_changes} >= {(DAY, trip)}
    written = report.write_period(
        books.connection, [next_month], stem=books.store_id, folder=tmp_path, title="Shop", as_of=APRIL
    )
    page = written.html.read_text()
    assert "Changes to closed months, posted here" in page
    assert "Trial balance" in page
    assert "Changes to closed months" in openpyxl.load_workbook(written.xlsx).sheetnames


def test_a_month_does_not_close_while_something_is_being_booked(books: Books, database: Engine) -> None:
    books.trip()
    books.reconcile()
    with database.connect() as booking:
        booking.execute(POSTING_LOCK)  # as `post_new` does, until it commits
        books.connection.execute(text("set local lock_timeout = '50ms'"))
        with pytest.raises(OperationalError, match="lock timeout"), books.connection.begin_nested():
            _close(books)
    _close(books)


def test_a_month_does_not_close_on_figures_that_money_has_moved_from_since(books: Books) -> None:
    trip = books.trip(captured="0", debt="8.12")
    books.reconcile()
    books.change("debt", trip, bucket="0-30", aged_on=DAY)  # moves no money
    assert unsettled_days(books.connection, store_id=books.store_id, before=date(2026, 3, 21)) == []
    books.change("debt", trip, paid=Decimal("8.12"), state="PAID")
    books.debt_event(trip, "PAID", "8.12", datetime(2026, 3, 20, 17, tzinfo=UTC))
    books.post(trip, day=date(2026, 3, 20), payoff_receipts="8.12", bad_debt_receivable="-8.12")
    again = f"changed since they were reconciled: 2026-03-02 .*reconcile day --store {books.store_id} --date 2026-03-02"
    with pytest.raises(CloseRefused, match=again):
        _close(books)
    assert unsettled_days(books.connection, store_id=books.store_id, before=date(2026, 3, 21)) == [DAY]
    books.reconcile(now=APRIL)
    assert unsettled_days(books.connection, store_id=books.store_id, before=date(2026, 3, 21)) == []
    books.trip()  # its cart was worked out late
    with pytest.raises(CloseRefused, match="changed since they were reconciled: 2026-03-02"):
        _close(books)
    books.reconcile(now=APRIL)
    _close(books)
    kept = months.of_month(books.connection, store_id=books.store_id, month=MARCH)
    assert kept.figures["settlement"]["debt_open"] == "0.00"


def test_a_month_does_not_close_before_everything_in_it_is_settled(books: Books) -> None:
    bent = books.trip()
    books.change("amazon_order", bent, captured=Decimal("9.00"))
    books.trip(state="AUTHORIZED", order="OPEN", ended=NEXT_MORNING - timedelta(hours=20))
    books.reconcile()
    with pytest.raises(CloseRefused, match=r"1 trips still wait; 1 breaks are open"):
        _close(books)
    with pytest.raises(CloseRefused, match="it is not over"):
        months.close(books.connection, store_id=books.store_id, month=DAY, by="fay", reason="early", now=NEXT_MORNING)
    with pytest.raises(CloseRefused, match="the reason says nothing"):
        months.close(books.connection, store_id=books.store_id, month=DAY, by="fay", reason=" ", now=APRIL)


def test_a_month_does_not_close_without_days_that_only_amazon_knows(books: Books) -> None:
    books.trip()
    books.reconcile()
    lost = books.trip()  # its cart never came
    books.remove("purchase_line", lost)
    books.remove("purchase", lost)
    books.change("amazon_order", lost, business_date=date(2026, 3, 9))
    with pytest.raises(CloseRefused, match="not reconciled: 2026-03-09"):
        _close(books)
    books.change("amazon_order", lost, business_date=date(2026, 2, 9))
    with pytest.raises(CloseRefused, match="can't be closed: an earlier month is open"):
        _close(books)


@pytest.mark.parametrize("with_breaks", [False, True])
def test_a_decided_break_is_in_no_months_way_once_its_day_is_judged_again_and_its_files_say_so(
    books: Books, with_breaks: bool
) -> None:
    books.change("amazon_order", books.trip(), captured=Decimal("9.00"))
    books.reconcile()
    next_year = date(2027, 3, 9)
    (row,) = breaks.listed(books.connection, breaks.Filter(state="OPEN", store_id=books.store_id), now=APRIL)
    breaks.force_match(books.connection, row["break_id"], by="fay", reason="it is the same", now=APRIL)
    with pytest.raises(
        CloseRefused, match=r"closed: changed since they were reconciled: 2026-03-02 \(the next run[^;]*$"
    ):
        _close(books, with_breaks=with_breaks)
    assert unsettled_days(books.connection, store_id=books.store_id, before=next_year) == [DAY]
    books.reconcile()
    assert unsettled_days(books.connection, store_id=books.store_id, before=next_year) == []
    _close(books, with_breaks=with_breaks)
    kept = months.of_month(books.connection, store_id=books.store_id, month=MARCH)
    assert (kept.breaks_open, kept.breaks, kept.matched) == (0, [], 1)


def test_a_month_closes_with_its_breaks_where_that_is_said(books: Books) -> None:
    books.change("amazon_order", books.trip(), captured=Decimal("9.00"))
    books.reconcile()
    with pytest.raises(CloseRefused, match="1 breaks are open"):
        _close(books)
    _close(books, with_breaks=True)
    kept = months.of_month(books.connection, store_id=books.store_id, month=MARCH)
    assert (kept.breaks_open, len(kept.breaks)) == (1, 1)


def test_a_period_is_the_sum_of_its_days_and_ties_to_the_ledger(books: Books, tmp_path: Path) -> None:
    for number in range(3):
        trip = books.trip(entry_method="APP" if number else "CREDIT_CARD")
        if number == 2:
            books.change("purchase", trip, business_date=DAY + timedelta(days=1))
    books.reconcile()
    reconcile_day(
        books.connection, store_id=books.store_id, business_date=DAY + timedelta(days=1), complete=True, now=APRIL
    )
    found = periods.of_store(books.connection, store_id=books.store_id, first=MARCH, last=LAST)
    assert (found.trips, found.figures["sales"]["total"], found.figures["sales"]["average_basket"]) == (
        3, "24.36", "8.12",
    )  # fmt: skip
    assert [check for check in found.figures["checks"] if not check["ties"]] == []
    assert [row["lines"] for row in found.figures["sections"]["sales_by_entry"]] == [2, 1]
    (sales,) = [row for row in found.trial_balance if row["account"] == "sales"]
    assert (sales["before"], sales["credit"], sales["after"]) == ("0.00", "24.00", "-24.00")
    assert [row["captured"] for row in found.by_day] == ["16.24", "8.12"]
