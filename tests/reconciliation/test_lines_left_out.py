"""A cart that was charged without some of its lines is explained: unbilled lines are a break, dropped ones are not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import text

from backroom.quality.data_sets import PURCHASES
from tests.reconciliation.conftest import ENDED, Books, Item

MILK = Item()
SOAP = Item(sku="SOAP-1", price="3.00", quantity="1", promotion="0.00", tax="0.25")


def charged_for_the_milk_only(books: Books, *, order: tuple[Item, ...], trip: str = "", **second_line: Any) -> str:
    """Our side holds two lines and has a price for the first; Amazon's order shows `order`."""
    trip = trip or f"{books.store_id}-PART"
    books.purchase(trip, (MILK,), entry_method="APP", ended=ENDED)
    books.insert(
        "purchase_line",
        **{
            "shopping_trip_id": trip, "line_number": 2, "item_id": "SOAP-1", "item_type": "SKU", "item_sku": None,
            "quantity": Decimal(1), "unit": "unit", **second_line,
        },
    )  # fmt: skip
    books.charge(trip, MILK.total, state="CAPTURED", captured=MILK.total, ended=ENDED, changed=ENDED)
    books.order(trip, order, status="SETTLED", captured=MILK.total, entry_method="APP", ended=ENDED, at=ENDED)
    books.book(trip, (MILK,), captured=MILK.total, debt=Decimal(0), at=ENDED)
    return trip


def unbilled(books: Books, trip: str) -> None:
    books.insert(
        "unbilled_line", shopping_trip_id=trip, line_number=2, store_id=books.store_id, item_id="SOAP-1",
        quantity=Decimal(1), unit="unit", reason="no shelf price", recorded_at=ENDED,
    )  # fmt: skip


def found(books: Books) -> list[tuple[Any, ...]]:
    rows = books.connection.execute(
        text("select kind, line_number, difference, theirs from reconciliation_break where store_id = :store"),
        {"store": books.store_id},
    )
    return [tuple(row) for row in rows]


def test_lines_that_were_never_charged_are_one_break_with_amazons_amount_of_them(books: Books) -> None:
    trip = charged_for_the_milk_only(books, order=(MILK, SOAP))
    unbilled(books, trip)
    books.reconcile()
    assert found(books) == [("UNBILLED", 0, Decimal("3.25"), "3.25")]
    assert books.outcome(trip)[0] == "BREAK"


def test_they_are_a_break_also_where_amazon_does_not_show_them(books: Books) -> None:
    trip = charged_for_the_milk_only(books, order=(MILK,))
    unbilled(books, trip)
    books.reconcile()
    assert found(books) == [("UNBILLED", 0, None, "no such lines")]


def test_a_line_that_a_person_dropped_is_explained_and_no_break(books: Books) -> None:
    trip = charged_for_the_milk_only(books, order=(MILK, SOAP), dropped_at=ENDED)
    gone = charged_for_the_milk_only(books, order=(MILK,), trip=f"{books.store_id}-GONE", dropped_at=ENDED)
    books.reconcile()
    assert books.outcome(trip) == ("MATCHED", "a person took line 2 (1 unit of SOAP-1) out of our cart")
    assert books.outcome(gone) == ("MATCHED", "")


def test_a_dropped_line_hides_no_other_difference(books: Books) -> None:
    trip = charged_for_the_milk_only(books, order=(MILK, SOAP), dropped_at=ENDED)
    books.change("amazon_order", trip, order_total=MILK.total + SOAP.total + 1)
    books.reconcile()
    assert found(books) == [("TOTAL", 0, Decimal(1), "9.12")]


def test_a_line_without_a_price_that_is_neither_is_a_break(books: Books) -> None:
    charged_for_the_milk_only(books, order=(MILK, SOAP), list_price=Decimal(3), promotion_amount=Decimal(0),
                              list_amount=Decimal(3), tax_amount=Decimal(0), total=Decimal(3))  # fmt: skip
    books.reconcile()
    assert ("LINE", 2) in [row[:2] for row in found(books)]


def test_a_mapped_line_is_compared_under_the_id_that_came(books: Books) -> None:
    trip = books.trip(MILK)
    books.change("purchase_line", trip, item_id="STRANGE", mapped_at=ENDED)
    books.change_line(trip, 1, item_sku="STRANGE")
    books.reconcile()
    assert books.outcome(trip) == ("MATCHED", "")
    books.change_line(trip, 1, item_sku="ANOTHER")
    books.reconcile()
    assert [row[:2] for row in found(books)] == [("LINE", 1)]


def test_the_quality_checks_see_a_cart_that_was_charged_in_part_as_it_is(books: Books) -> None:
    unbilled(books, charged_for_the_milk_only(books, order=(MILK, SOAP)))
    charged_for_the_milk_only(books, order=(MILK,), trip=f"{books.store_id}-GONE", dropped_at=ENDED)
    rows = books.connection.execute(
        text(f"select * from ({PURCHASES}) as rows where store_id = :store order by key"), {"store": books.store_id}
    ).mappings()
    seen = {row["key"]: row for row in rows}
    for row in seen.values():
        assert (row["lines_total"], row["lines_tax"]) == (row["total"], row["tax_total"])
        assert row["has_its_charge"]
    assert [seen[f"{books.store_id}-{name}"]["lines_unknown"] for name in ("PART", "GONE")] == [1, 0]
