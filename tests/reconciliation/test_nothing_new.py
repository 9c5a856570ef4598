"""A run over data that has not changed stands; time that passes and decisions of people are looked at all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Engine, text

from backroom.reconciliation import breaks
from backroom.reconciliation.breaks import Filter
from backroom.reconciliation.days import unsettled_days
from backroom.reconciliation.runs import RunSummary
from tests.reconciliation.conftest import DAY, ENDED, NEXT_MORNING, Books, Item, open_store

STORE = "STILL-1"
DECIDED = "STILL-4"
OLD = "STILL-3"
OWN = "STILL-2"  # charges through its own processor
ELSEWHERE = "STILL-5"  # what happens is about trips of another day


@contextmanager
def _books(database: Engine, store_id: str = STORE) -> Iterator[Books]:
    """The store in a transaction of its own, which is committed."""
    with database.begin() as connection:
        yield Books(connection, store_id)


def _run(database: Engine, now: datetime, store_id: str = STORE) -> RunSummary:
    with _books(database, store_id) as books:
        return books.reconcile(now=now)


def test_a_run_with_nothing_new_stands_until_something_is_due_or_decided_or_changed(database: Engine) -> None:
    with _books(database) as books:
        open_store(books)
        good, bent = books.trip(), books.trip()
        books.change("amazon_order", bent, captured=Decimal("9.00"))
        begun = books.trip(state="CAPTURE_INITIATED", order="OPEN", ended=NEXT_MORNING - timedelta(hours=1))
        books.post(begun, card_clearing_initiated="8.12", shopper_receivable="-8.12")

    first = _run(database, NEXT_MORNING)
    again = _run(database, NEXT_MORNING + timedelta(minutes=5))
    assert (first.unchanged, first.matched, first.expected, first.breaks_open) == (False, 1, 1, 1)
    assert (again.unchanged, again.run_id, again.breaks_opened, again.breaks_closed) == (True, first.run_id, 0, 0)

    late = _run(database, NEXT_MORNING + timedelta(hours=6))
    assert (late.unchanged, late.revision, late.expected, late.breaks_open) == (False, 2, 0, 2)
    assert _run(database, NEXT_MORNING + timedelta(hours=7)).unchanged

    with _books(database) as books:
        (row,) = breaks.listed(books.connection, Filter(store_id=STORE, shopping_trip_id=bent), now=NEXT_MORNING)
        breaks.force_match(books.connection, row["break_id"], by="fay", reason="seen", now=NEXT_MORNING)
    decided = _run(database, NEXT_MORNING + timedelta(hours=8))
    assert (decided.unchanged, decided.matched, decided.breaks_open) == (False, 2, 1)
    assert _run(database, NEXT_MORNING + timedelta(hours=9)).unchanged

    with _books(database) as books:
        books.change("purchase", good, tax_total=Decimal("0.63"), total=Decimal("8.13"))
    assert _run(database, NEXT_MORNING + timedelta(hours=10)).breaks_opened > 0


def _decide(database: Engine, trip: str, kind: str) -> None:
    with _books(database, DECIDED) as books:
        which = Filter(store_id=DECIDED, shopping_trip_id=trip, kinds=[kind])
        (row,) = breaks.listed(books.connection, which, now=NEXT_MORNING)
        breaks.force_match(books.connection, row["break_id"], by="fay", reason="seen", now=NEXT_MORNING)


def test_decisions_are_told_once_and_a_decided_trip_that_waits_is_expected(database: Engine) -> None:
    with _books(database, DECIDED) as books:
        open_store(books)
        twice = books.trip()
        books.change("amazon_order", twice, captured=Decimal("9.00"), entry_method="CREDIT_CARD")
        waiting = books.trip(state="AUTHORIZED", order="OPEN")
        books.change("amazon_order", waiting, entry_method="CREDIT_CARD")
    found = _run(database, NEXT_MORNING, DECIDED)
    assert (found.breaks_open, found.expected) == (3, 0)

    _decide(database, twice, "ENTRY_METHOD")
    told = _run(database, NEXT_MORNING, DECIDED)
    assert (told.unchanged, told.revision, told.breaks_open) == (False, 2, 2)  # one of the trip's is left open
    assert _run(database, NEXT_MORNING, DECIDED).unchanged

    _decide(database, waiting, "ENTRY_METHOD")
    settled = _run(database, NEXT_MORNING, DECIDED)
    assert (settled.matched, settled.expected, settled.breaks_open) == (0, 1, 1)
    with _books(database, DECIDED) as books:
        outcome, note = books.outcome(waiting)
    assert (outcome, note.startswith("force-matched by fay; the charge is AUTHORIZED, due until")) == ("EXPECTED", True)
    assert _run(database, NEXT_MORNING, DECIDED).unchanged


def test_what_happens_on_the_day_to_trips_of_another_is_news(database: Engine) -> None:
    with _books(database, ELSEWHERE) as books:
        open_store(books)
        books.trip()
        earlier = books.trip(state="IN_DEBT", captured="0", debt="8.12", order="CANCELLED")
        for table in ("purchase", "amazon_order"):
            books.change(table, earlier, business_date=DAY - timedelta(days=5))
    assert _run(database, NEXT_MORNING, ELSEWHERE).trips == 1
    assert _run(database, NEXT_MORNING, ELSEWHERE).unchanged
    with _books(database, ELSEWHERE) as books:
        books.debt_event(earlier, "WRITTEN_OFF", "8.12", ENDED)
    assert not _run(database, NEXT_MORNING, ELSEWHERE).unchanged
    with _books(database, ELSEWHERE) as books:
        books.post(earlier, write_off="8.12", bad_debt_receivable="-8.12")
    assert not _run(database, NEXT_MORNING, ELSEWHERE).unchanged
    assert _run(database, NEXT_MORNING, ELSEWHERE).unchanged


def test_a_payout_that_names_only_its_reference_is_news(database: Engine) -> None:
    with _books(database, OWN) as books:
        open_store(books)
        books.connection.execute(text("update store set payment_processor = 'SANDBOX' where store_id = :s"), {"s": OWN})
        trip = books.trip()
        books.change("amazon_order", trip, captured=0, status="OPEN")
        books.insert(
            "preauthorization", auth_event_id=f"gate-{trip}", store_id=OWN, shopper_id="s", processor="SANDBOX",
            currency="USD", amount=75, state="USED", processor_reference="pay-78", shopping_trip_id=trip,
            intended_at=ENDED,
        )  # fmt: skip
    later = ENDED + timedelta(days=6)
    assert _run(database, later, OWN).breaks_open == 1
    assert _run(database, later, OWN).unchanged
    with _books(database, OWN) as books:
        books.pay_out(None, "8.12", reference="pay-78")
    assert (_run(database, later, OWN).matched, _run(database, later, OWN).breaks_open) == (1, 0)


def test_what_other_days_and_the_catalog_bring_is_news_however_old_the_break(database: Engine) -> None:
    with _books(database, OLD) as books:
        open_store(books)
        books.trip()
        ours, theirs = books.trip(), f"{OLD}-ELSEWHERE"
        books.remove("purchase_line", ours)
        books.remove("purchase", ours)  # its cart is worked out later, for the next day
    first = _run(database, NEXT_MORNING, OLD)
    assert (first.breaks_open, _run(database, NEXT_MORNING, OLD).unchanged) == (1, True)

    with _books(database, OLD) as books:
        books.insert("catalog_run", business_date=DAY, source="x", state="DONE", started_at=ENDED)
        run = books.connection.execute(text("select max(run_id) from catalog_run")).scalar_one()
        books.insert("catalog_rejection", run_id=run, file="f", line=1, store_id=OLD, reason="no price", raw={})
    assert not _run(database, NEXT_MORNING, OLD).unchanged

    with _books(database, OLD) as books:
        books.insert(
            "reconciliation_trip", store_id=OLD, business_date=DAY + timedelta(days=1), shopping_trip_id="next",
            run_id=1, outcome="MATCHED", currency="USD", their_trip_id=theirs,
        )  # fmt: skip
    assert not _run(database, NEXT_MORNING, OLD).unchanged
    assert _run(database, NEXT_MORNING, OLD).unchanged

    def to_go_over() -> list[date]:
        with _books(database, OLD) as books:
            return unsettled_days(books.connection, store_id=OLD, before=DAY + timedelta(days=40))

    assert to_go_over() == []
    with _books(database, OLD) as books:
        books.purchase(ours, [Item()], entry_method="APP", ended=ENDED)
        books.change("purchase", ours, business_date=DAY + timedelta(days=1))
    assert to_go_over() == [DAY]
    moved = _run(database, NEXT_MORNING, OLD)
    assert (moved.trips, moved.breaks_open, moved.breaks_closed) == (first.trips - 1, 0, 1)
    assert _run(database, NEXT_MORNING, OLD).unchanged
    assert to_go_over() == []
