"""An order that names another trip is found by what it has in common with ours, and the key is kept."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import text

from tests.reconciliation.conftest import ENDED, Books, Item

LATE = ENDED + timedelta(days=3)


def _rename(books: Books, trip: str, **more: object) -> None:
    books.connection.execute(
        text("update amazon_order set shopping_trip_id = :new where shopping_trip_id = :old"),
        {"new": f"OTHER-{trip}", "old": trip},
    )
    if more:
        books.change("amazon_order", f"OTHER-{trip}", **more)


def _kept(books: Books, trip: str) -> tuple[object, ...]:
    row = books.connection.execute(
        text(
            "select outcome, matched_by, confidence, their_trip_id from reconciliation_trip"
            " where shopping_trip_id = :trip"
        ),
        {"trip": trip},
    ).one()
    return tuple(row)


def _untied(books: Books) -> list[str]:
    """The checks of the newest run that are off."""
    figures = books.connection.execute(
        text("select figures from reconciliation_run where store_id = :s order by revision desc limit 1"),
        {"s": books.store_id},
    ).scalar_one()
    return [f"{check['what']}: {check['difference']}" for check in figures["checks"] if not check["ties"]]


def test_the_key_that_was_used_and_its_confidence_are_kept(books: Books) -> None:
    by_trip, by_id, by_card = books.trip(), books.trip(), books.trip(Item(price="41.00"))
    _rename(books, by_id, reconciliation_id="rec-1", card_last_four="1111")
    books.hear(by_id, captured="8.12", reconciliationId="rec-1")
    _rename(books, by_card, card_last_four="4242")
    books.hear(by_card, captured="82.12", cardLastFourDigits="4242")

    summary = books.reconcile()

    assert _kept(books, by_trip) == ("MATCHED", "TRIP", Decimal("1.00"), None)
    assert _kept(books, by_id) == ("MATCHED", "RECONCILIATION_ID", Decimal("0.95"), f"OTHER-{by_id}")
    assert _kept(books, by_card) == ("MATCHED", "AMOUNT_TIME_CARD", Decimal("0.80"), f"OTHER-{by_card}")
    assert (summary.trips, summary.matched, books.breaks()) == (3, 3, [])
    assert _untied(books) == []  # what is wholly matched ties, by whichever key it was found


def test_two_candidates_are_none(books: Books) -> None:
    trips = [books.trip(), books.trip()]
    for trip in trips:
        _rename(books, trip, card_last_four="4242")
        books.hear(trip, captured="8.12", cardLastFourDigits="4242")
    books.reconcile()
    assert sorted(kind for _, _, kind in books.breaks()) == ["MISSING_ORDER"] * 2 + ["MISSING_PURCHASE"] * 2


def test_a_lesser_match_is_compared_like_any_other(books: Books) -> None:
    trip = books.trip()
    _rename(books, trip, reconciliation_id="rec-1", captured=Decimal("9.00"))
    books.hear(trip, captured="9.00", reconciliationId="rec-1")
    books.reconcile()
    assert books.breaks() == [(trip, 0, "OVER_CAPTURED")]


def test_an_order_that_was_cancelled_beside_the_one_that_stands_is_superseded(books: Books) -> None:
    trip = books.trip()
    books.order(
        trip, (Item(),), status="CANCELLED", captured=Decimal(0), entry_method="APP", ended=ENDED, at=ENDED,
        order_id="FIRST",
    )  # fmt: skip
    books.reconcile()
    assert books.breaks() == []
    reading = books.connection.execute(
        text("select reading from reconciliation_trip where shopping_trip_id = :trip"), {"trip": trip}
    ).scalar_one()
    assert (books.outcome(trip)[0], reading) == ("MATCHED", "SUPERSEDED")
    assert _untied(books) == []


def test_a_pair_outlives_the_cards_digits_and_none_is_made_without_them(books: Books) -> None:
    paired, alone = books.trip(Item(price="41.00")), books.trip(Item(price="43.00"))
    for trip in (paired, alone):
        _rename(books, trip, card_last_four="4242")
    books.hear(paired, captured="82.12", cardLastFourDigits="4242")
    books.reconcile(now=LATE)
    assert _kept(books, paired)[:2] == ("MATCHED", "AMOUNT_TIME_CARD")
    before = books.breaks()
    assert (alone, 0, "MISSING_ORDER") in before

    books.connection.execute(  # as retention does
        text("update amazon_order set card_last_four = null where store_id = :s"), {"s": books.store_id}
    )
    books.reconcile(now=LATE + timedelta(days=1))
    assert _kept(books, paired)[:2] == ("MATCHED", "AMOUNT_TIME_CARD")
    assert books.breaks() == before
