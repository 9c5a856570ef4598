"""Refunds that we asked for are no break: Amazon's order, the debt and the books show them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tests.reconciliation.conftest import ENDED, NEXT_MORNING, Books


def test_a_refund_that_amazon_shows_too_matches_and_one_it_does_not_show_waits_and_then_breaks(books: Books) -> None:
    shown, silent = books.trip(), books.trip()
    books.change("amazon_order", shown, refunded=Decimal("2.00"), status="REFUNDED")
    for trip in (shown, silent):
        books.refund(trip, "2.00", at=ENDED + timedelta(hours=1))
        books.post(trip, refunds="1.85", tax_payable="0.15", refund_clearing="-2.00")
    summary = books.reconcile()
    assert (summary.matched, summary.expected, books.breaks()) == (1, 1, [])
    books.reconcile(now=NEXT_MORNING + timedelta(days=4))
    assert books.breaks() == [(silent, 0, "REFUND")]


def test_a_refund_that_the_books_do_not_have_is_a_break_of_the_ledger(books: Books) -> None:
    trip = books.trip()
    books.change("amazon_order", trip, refunded=Decimal("2.00"), status="REFUNDED")
    books.refund(trip, "2.00")
    books.reconcile()
    assert books.breaks() == [(trip, 0, "LEDGER")]


def test_a_refund_that_reduced_a_debt_moves_no_money_of_amazons(books: Books) -> None:
    trip = books.trip(state="IN_DEBT", captured="0", debt="8.12", order="CANCELLED")
    books.change("debt", trip, reduced=Decimal("2.00"))
    books.refund(trip, "2.00", instrument="DEBT")
    books.post(trip, refunds="1.85", tax_payable="0.15", bad_debt_receivable="-2.00")
    assert books.reconcile().matched == 1, books.breaks()


def test_a_second_payment_that_went_back_is_told_and_matches(books: Books) -> None:
    trip = books.trip()
    paid = Decimal("8.12")
    books.debt(trip, "8.12", ENDED)
    books.change("debt", trip, amount=0, paid=paid, returned=paid, state="PAID")
    books.refund(trip, "8.12", instrument="PAYOFF:1", is_return=True)
    books.post(trip, owed_to_shoppers="8.12", refund_clearing="-8.12")
    books.reconcile()
    assert books.breaks() == []
    assert books.outcome(trip) == (
        "MATCHED",
        "found captured after its payoff; 8.12 went back",
    )
