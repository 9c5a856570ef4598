"""Each kind of break, planted row by row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from backroom.reconciliation.verdict import MEANING, Kind
from tests.reconciliation.conftest import ENDED, NEXT_MORNING, Books, Item

TWO = Item(), Item("BREAD", "3.00", "1", "0.00", "0.25")


def _duplicate(books: Books, trip: str) -> None:
    books.order(
        trip, TWO, status="SETTLED", captured=Decimal(0), entry_method="APP", ended=ENDED, at=ENDED, order_id="SECOND"
    )


def _drop_line(books: Books, trip: str) -> None:
    books.change_line(trip, 2, dropped=True)


def _captured_after_its_payoff(books: Books, trip: str) -> None:
    """The debt of the whole trip was paid, then its capture came to light; what goes back is late."""
    paid = Decimal("11.37")
    books.debt(trip, "11.37", ENDED - timedelta(days=3))
    books.change("debt", trip, amount=0, paid=paid, returned=paid, state="PAID")
    books.refund(trip, "11.37", instrument="PAYOFF:1", state="DUE", is_return=True, at=ENDED - timedelta(days=3))
    books.change("charge", trip, updated_at=ENDED - timedelta(days=3))


PLANTED: dict[str, tuple[int, Callable[[Books, str], None]]] = {
    "MISSING_ORDER": (0, lambda b, t: (b.remove("amazon_order_line", t), b.remove("amazon_order", t))),
    "MISSING_CHARGE": (0, lambda b, t: b.remove("charge", t)),
    "INCOMPLETE_ORDER": (0, lambda b, t: b.change("amazon_order", t, incomplete=True)),
    "DUPLICATE_ORDER": (0, _duplicate),
    "OVER_CAPTURED": (0, lambda b, t: b.change("amazon_order", t, captured=Decimal("22.74"))),
    "UNDER_CAPTURED": (0, lambda b, t: b.change("amazon_order", t, captured=Decimal("0"), status="CANCELLED")),
    "REFUND": (0, lambda b, t: b.change("amazon_order", t, refunded=Decimal("1.00"), status="REFUNDED")),
    "LINE": (2, _drop_line),
    "QUANTITY": (1, lambda b, t: b.change_line(t, 1, quantity=Decimal(3), price=Decimal("11.50"), tax=Decimal("0.95"))),
    "PRICE": (1, lambda b, t: b.change_line(t, 1, list_price=Decimal("4.10"), price=Decimal("7.70"))),
    "PROMOTION": (1, lambda b, t: b.change_line(t, 1, promotion=Decimal("0.40"), price=Decimal("7.60"))),
    "TAX": (2, lambda b, t: b.change_line(t, 2, tax=Decimal("0.26"))),
    "TOTAL": (0, lambda b, t: b.change("amazon_order", t, order_total=Decimal("11.38"))),
    "CURRENCY": (0, lambda b, t: b.change("amazon_order", t, currency="CAD")),
    "ENTRY_METHOD": (0, lambda b, t: b.change("amazon_order", t, entry_method="CREDIT_CARD")),
    "STATUS": (0, lambda b, t: b.change("amazon_order", t, status="OPEN")),
    "FEEDS": (0, lambda b, t: b.hear(t, captured="11.37", price="11.00", tax="0.38")),
    "FOUND_AFTER_PAYOFF": (0, _captured_after_its_payoff),
    "LEDGER": (0, lambda b, t: b.change("purchase", t, list_total=Decimal("11.01"), promotion_total=Decimal("0.51"))),
}


def test_each_planted_difference_is_found_and_named_and_the_trips_beside_them_still_match(books: Books) -> None:
    honest, expected = [books.trip(*TWO) for _ in range(3)], []
    for kind, (line, plant) in PLANTED.items():
        bent = books.trip(*TWO)
        plant(books, bent)
        expected.append((bent, line, kind))

    summary = books.reconcile()

    assert sorted(books.breaks()) == sorted(expected)
    assert {books.outcome(trip)[0] for trip in honest} == {"MATCHED"}
    assert {books.outcome(trip)[0] for trip, _, _ in expected} == {"BREAK"}
    assert (summary.trips, summary.matched, summary.expected, summary.breaks_open) == (
        3 + len(expected), 3, 0, len(expected),
    )  # fmt: skip
    # a side that is missing counts as nothing: theirs minus ours is what the report sums by kind
    rows = books.connection.exec_driver_sql(
        "select kind, difference from reconciliation_break where store_id = %s and kind like 'MISSING_%%'",
        (books.store_id,),
    )
    lost = Decimal("-11.37")
    assert {row.kind: row.difference for row in rows} == {"MISSING_ORDER": lost, "MISSING_CHARGE": lost}


def test_an_order_whose_cart_we_never_got_is_a_missing_purchase(books: Books) -> None:
    books.order("ORPHAN", TWO, status="SETTLED", captured=Decimal("11.37"), entry_method="APP", ended=ENDED, at=ENDED)
    books.reconcile()
    assert books.breaks() == [("ORPHAN", 0, "MISSING_PURCHASE")]
    told = "select difference from reconciliation_break where store_id = %s"
    assert books.connection.exec_driver_sql(told, (books.store_id,)).scalar_one() == Decimal("11.37")


def test_a_captured_amount_that_is_neither_the_total_nor_owed_is_under_captured(books: Books) -> None:
    trip = books.trip(state="CAPTURED", captured="5.00")
    books.reconcile()
    assert books.breaks() == [(trip, 0, "UNDER_CAPTURED")]


def test_a_charge_for_another_amount_than_its_purchase_is_named(books: Books) -> None:
    trip = books.trip(state="PARKED", order="OPEN")
    books.change("charge", trip, total=Decimal("9.00"))
    books.reconcile()
    assert books.breaks() == [(trip, 0, "TOTAL")]


def test_a_bad_cart_is_expected_while_a_person_is_asked_and_a_break_when_nobody_is(books: Books) -> None:
    for trip in ("ASKED", "FORGOTTEN"):
        books.purchase(trip, (), entry_method="APP", ended=ENDED, state="BAD_CART")
        books.order(trip, TWO, status="OPEN", captured=Decimal(0), entry_method="APP", ended=ENDED, at=ENDED)
    books.ask("ASKED")
    books.reconcile()
    assert books.outcome("ASKED")[0] == "EXPECTED"
    assert books.breaks() == [("FORGOTTEN", 0, "UNPRICED")]


def test_a_bad_cart_whose_token_has_ended_is_a_break_although_a_person_is_asked(books: Books) -> None:
    books.purchase("ASKED", (), entry_method="APP", ended=ENDED, state="BAD_CART")
    books.order("ASKED", TWO, status="OPEN", captured=Decimal(0), entry_method="APP", ended=ENDED, at=ENDED)
    books.ask("ASKED")
    books.reconcile(now=ENDED + timedelta(hours=46))
    assert books.breaks() == [("ASKED", 0, "UNPRICED")]


def test_money_taken_for_a_cart_that_was_never_charged_is_over_captured(books: Books) -> None:
    books.purchase("BAD", (), entry_method="APP", ended=ENDED, state="BAD_CART")
    books.order("BAD", TWO, status="SETTLED", captured=Decimal("3.00"), entry_method="APP", ended=ENDED, at=ENDED)
    books.ask("BAD")
    books.reconcile()
    assert books.breaks() == [("BAD", 0, "OVER_CAPTURED")]


def test_a_difference_says_how_much_theirs_is_above_ours(books: Books) -> None:
    trip = books.trip(*TWO)
    books.change_line(trip, 2, tax=Decimal("0.20"))
    books.reconcile()
    row = books.connection.exec_driver_sql(
        "select ours, theirs, difference, explanation from reconciliation_break where store_id = %s", (books.store_id,)
    ).one()
    assert (row.ours, row.theirs, row.difference) == ("0.25", "0.20", Decimal("-0.05"))
    assert row.explanation == "BREAD: the line is 3.25 with us, 3.20 with Amazon; the tax differs"


def test_a_trip_of_a_test_store_is_not_looked_for_in_the_books(books: Books) -> None:
    books.connection.exec_driver_sql("update store set test = true where store_id = %s", (books.store_id,))
    trip = books.trip()
    books.change("purchase", trip, list_total=Decimal("8.10"), promotion_total=Decimal("0.60"))
    assert books.reconcile().matched == 1


@pytest.mark.parametrize(
    ("state", "captured", "debt", "order"),
    [
        ("CAPTURED", "8.12", None, "SETTLED"),
        ("CAPTURED", "5.00", "3.12", "SETTLED"),
        ("IN_DEBT", "0", "8.12", "CANCELLED"),
        ("IN_DEBT", "0", "8.12", "OPEN"),
        ("CANCELLED", "0", "8.12", "CANCELLED"),
        ("PARKED", "0", None, "OPEN"),
    ],
)
def test_sides_that_tell_the_same_story_match(
    books: Books, state: str, captured: str, debt: str | None, order: str
) -> None:
    trip = books.trip(state=state, captured=captured, debt=debt, order=order)
    summary = books.reconcile()
    assert (summary.matched, books.breaks()) == (1, []), books.breaks()
    if debt:
        assert f"{debt} not paid, kept as a debt" in books.outcome(trip)[1]
    if state == "PARKED":
        assert books.outcome(trip)[1] == "parked for a person, 8.12 neither captured nor owed"


def test_an_empty_cart_needs_no_order(books: Books) -> None:
    books.purchase("EMPTY", (), entry_method="APP", ended=ENDED, state="EMPTY")
    books.charge("EMPTY", Decimal(0), state="CANCELLED", captured=Decimal(0), ended=ENDED, changed=ENDED)
    assert books.reconcile(now=NEXT_MORNING).matched == 1


def test_every_kind_of_break_is_planted_here_and_explained_in_the_docs() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reconciliation.md").read_text()
    elsewhere = {"MISSING_PURCHASE", "UNPRICED", "UNBILLED", "MISSING_PAYOUT", "PAYOUT"}
    assert {kind.value for kind in Kind} == {*PLANTED, *elsewhere}
    for kind, meaning in MEANING.items():
        assert f"| `{kind}` | {meaning} |" in page


def test_what_is_not_paid_by_card_is_sold_and_booked_but_never_charged(books: Books) -> None:
    trip = books.trip(state="CANCELLED", captured="0", order="CANCELLED")
    books.change("purchase", trip, state="SETTLED_OTHERWISE", shopper_type="CASH_SHOPPER")
    books.change("charge", trip, total=Decimal(0))
    books.post(trip, settled_otherwise="8.12", shopper_receivable="-8.12")
    assert books.reconcile().matched == 1
    figures = books.connection.exec_driver_sql(
        "select figures from reconciliation_run where store_id = %s", (books.store_id,)
    ).scalar_one()
    assert (figures["sales"]["total"], figures["sales"]["by_card"], figures["sales"]["otherwise"]) == (
        "8.12",
        "0.00",
        "8.12",
    )
    assert [check["what"] for check in figures["checks"] if not check["ties"]] == []
