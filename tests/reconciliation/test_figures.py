"""The day's totals, and that each ties to the ledger."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from backroom.reconciliation import figures, merging
from tests.reconciliation.conftest import DAY, ENDED, NEXT_MORNING, Books, Item

BREAD = Item("BREAD", "3.00", "1", "0.00", "0.00", tax_rate="0")


def _figures(books: Books) -> dict[str, Any]:
    books.reconcile()
    return figures.of_day(books.connection, store_id=books.store_id, business_date=DAY, now=NEXT_MORNING)


def test_every_cent_that_was_charged_is_captured_owed_parked_or_waiting_and_ties_to_the_ledger(books: Books) -> None:
    books.trip(Item(), BREAD)
    books.trip(state="CAPTURED", captured="5.00", debt="3.12", entry_method="CREDIT_CARD")
    books.trip(state="PARKED", order="OPEN")
    books.trip(state="AUTHORIZED", order="OPEN", ended=ENDED + timedelta(hours=2))
    found = _figures(books)

    assert found["sales"]["list"] == "35.00"
    assert found["sales"]["promotions"] == "2.00"
    assert found["sales"]["net"] == "33.00"
    assert found["sales"]["tax"] == "2.48"
    assert found["sales"]["total"] == "35.48"
    money = found["settlement"]
    assert (money["captured"], money["debt"], money["parked"], money["waiting"]) == ("16.12", "3.12", "8.12", "8.12")
    assert money["unexplained"] == "0.00"
    assert [check for check in found["checks"] if not check["ties"]] == []
    assert {check["against"] for check in found["checks"]} == {
        "charges", "purchases", "Amazon's orders", "ledger", "shelf prices",
    }  # fmt: skip


def test_where_prices_hold_the_tax_sales_are_told_without_it_and_tie_all_the_same(books: Books) -> None:
    books.trip(Item(tax="0.57", tax_included=True), Item("BREAD", "3.00", "1", "0.00", "0.23", tax_included=True))
    found = _figures(books)
    assert {name: found["sales"][name] for name in ("list", "promotions", "net", "tax", "total")} == {
        "list": "10.20", "promotions": "0.50", "net": "9.70", "tax": "0.80", "total": "10.50",
    }  # fmt: skip
    assert [(row["list"], row["net"], row["tax"], row["total"]) for row in found["categories"]] == [
        ("10.20", "9.70", "0.80", "10.50")
    ]
    assert [(row["net"], row["tax"]) for row in found["tax"]] == [("9.70", "0.80")]
    assert [check for check in found["checks"] if not check["ties"]] == []
    assert books.breaks() == []


def test_what_the_ledger_lacks_shows_as_a_check_that_is_off(books: Books) -> None:
    trip = books.trip()
    books.connection.exec_driver_sql(
        "delete from ledger_posting p using ledger_transaction t "
        "where t.transaction_id = p.transaction_id and t.shopping_trip_id = %s",
        (trip,),
    )
    off = {check["what"]: check["difference"] for check in _figures(books)["checks"] if not check["ties"]}
    assert off == {
        "Sales at shelf price": "-8.00",
        "Promotions": "-0.50",
        "Tax payable, less what refunds undo": "-0.62",
        "Captured, final": "-8.12",
        "Tax of US-NY": "-0.62",
    }


def test_sales_are_told_by_category_and_tax_by_jurisdiction_and_rate(books: Books) -> None:
    books.insert("catalog_run", business_date=DAY, source="x", state="DONE", started_at=ENDED)
    run = books.connection.exec_driver_sql("select max(run_id) from catalog_run").scalar_one()
    books.insert(
        "catalog_item", store_id=books.store_id, item_sku="MILK-1L", record={}, content_hash="x", item_name="Milk",
        product_category="Dairy", seen_in_run=run,
    )  # fmt: skip
    books.trip(Item(), BREAD)
    books.trip()
    found = _figures(books)
    assert [(row["category"], row["lines"], row["net"], row["tax"]) for row in found["categories"]] == [
        ("Dairy", 2, "15.00", "1.24"),
        ("Not in the catalog", 1, "3.00", "0.00"),
    ]
    assert [(row["jurisdiction"], row["rate"], row["net"], row["tax"]) for row in found["tax"]] == [
        ("US-NY", "0.00 %", "3.00", "0.00"),
        ("US-NY", "8.25 %", "15.00", "1.24"),
    ]


def test_hours_are_the_stores_own(books: Books) -> None:
    books.trip()  # 17:09 UTC is 12:09 in New York
    books.trip(ended=datetime(2026, 3, 3, 4, 59, tzinfo=UTC))
    assert [row["hour"] for row in _figures(books)["hours"]] == [12, 23]


def test_files_are_counted_against_the_windows_that_the_day_needs(books: Books) -> None:
    for number, state in enumerate(["INGESTED", "SAME_CONTENT", "FAILED"], 1):
        books.insert(
            "feed_file", bucket="b", key=f"{books.store_id}-{number}", version="1", announced_at=ENDED,
            store_id=books.store_id, window_end=datetime(2026, 3, 2, 5, tzinfo=UTC) + timedelta(minutes=15 * number),
            state=state, rows_read=4, received_at=ENDED,
        )  # fmt: skip
    files = _figures(books)["files"]
    assert (files["expected"], files["windows"], files["missing"]) == (100, 2, 98)  # 96 and the hour after
    assert (files["files"], files["failed"], files["rows_read"]) == (3, 1, 12)


def test_amounts_have_the_places_of_the_currency(books: Books) -> None:
    books.connection.exec_driver_sql("update store set currency = 'JPY' where store_id = %s", (books.store_id,))
    books.currency = "JPY"
    books.trip(Item(price="400", promotion="0", tax="64"))
    assert _figures(books)["sales"]["total"] == "864"
    assert Decimal(_figures(books)["settlement"]["captured"]) == 864


def test_a_period_does_not_tie_where_the_gaps_of_two_days_add_up_to_nothing(books: Books) -> None:
    books.trip()
    tied = _figures(books)
    days = [copy.deepcopy(tied) for _ in range(2)]
    for day, gap in zip(days, ("1.00", "-1.00"), strict=True):
        day["checks"][0] |= {"difference": gap, "ties": False}
    assert all(check["ties"] for check in merging.merged([tied, tied])["checks"])
    off = [check for check in merging.merged(days)["checks"] if not check["ties"]]
    assert [(check["what"], check["difference"]) for check in off] == [(tied["checks"][0]["what"], "0.00")]
