"""Money of a break that stands in the books and will not come: given up by a person, booked, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from backroom.ledger.accounts import Account
from backroom.ledger.book import post_new
from backroom.reconciliation import breaks, late_data, months
from backroom.reconciliation.breaks import BreakRefused, Filter
from backroom.reconciliation.giving_up import GivenUp, given_up
from backroom.reconciliation.months import CloseRefused
from tests.reconciliation.conftest import DAY, ENDED, Books, open_store

LATE = ENDED + timedelta(days=8)  # no payout is expected any more
APRIL = datetime(2026, 4, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "difference", "uncovered", "expected"),
    [
        ("UNDER_CAPTURED", "-8.12", False, Account.CARD_CLEARING),
        ("UNDER_CAPTURED", "-3.12", True, Account.SHOPPER_RECEIVABLE),
        ("MISSING_PAYOUT", "-8.12", True, Account.CARD_CLEARING),
        ("PAYOUT", "-0.12", False, Account.CARD_CLEARING),
        ("PAYOUT", "0.12", False, None),  # what came too much stands in no account
        ("OVER_CAPTURED", "0.88", False, None),
        ("REFUND", "-1.00", False, None),  # still owed by us
        ("REFUND", "0.00", False, None),  # a refund that is late to become final
        ("TAX", "-0.05", False, None),
        ("LEDGER", "-1.00", False, None),
        ("MISSING_ORDER", None, False, None),
    ],
)
def test_only_what_the_books_hold_can_be_given_up(
    kind: str, difference: str | None, uncovered: bool, expected: Account | None
) -> None:
    found = given_up(kind, Decimal(difference) if difference else None, uncovered=uncovered)
    assert found == (None if expected is None else GivenUp(-Decimal(difference or 0), expected))


def _missing_payout(books: Books) -> tuple[str, int]:
    """A trip whose own processor never paid it out, and its break."""
    books.connection.execute(
        text("update store set payment_processor = 'SANDBOX' where store_id = :store"), {"store": books.store_id}
    )
    trip = books.trip()
    books.change("amazon_order", trip, captured=0, status="OPEN")
    books.connection.execute(
        text("update ledger_posting set detail = 'SANDBOX' where account = 'card_clearing' and transaction_id in"
             " (select transaction_id from ledger_transaction where shopping_trip_id = :trip)"),
        {"trip": trip},
    )  # fmt: skip
    books.reconcile(now=LATE)
    return trip, _the_break(books)


def _the_break(books: Books) -> int:
    (row,) = breaks.listed(books.connection, Filter(store_id=books.store_id), now=LATE)
    return int(row["break_id"])


def _write_off(books: Books, number: int, *, at: datetime = LATE) -> None:
    breaks.write_off(books.connection, number, by="fay", reason="the processor has closed", now=at)


def _booked(books: Books, trip: str) -> list[dict[str, Any]]:
    """What the breaks of the trip brought into the ledger."""
    rows = books.connection.execute(
        text("""
            select t.source, t.kind, t.business_date, t.belongs_to, t.reverses is not null as reverses,
                   json_object_agg(p.account || case p.detail when '' then '' else ' ' || p.detail end,
                                   cast(round(p.amount, 2) as text)) as postings
            from ledger_transaction t join ledger_posting p using (transaction_id)
            where t.shopping_trip_id = :trip and t.kind like 'BREAK%'
            group by t.transaction_id order by t.transaction_id
        """),
        {"trip": trip},
    )
    return [dict(row) for row in rows.mappings()]


@contextmanager
def _as(books: Books, role: str) -> Iterator[None]:
    """With what that role may do."""
    books.connection.execute(text(f"set local role {role}"))
    yield
    books.connection.execute(text("reset role"))


def _post(books: Books, at: datetime = LATE) -> int:
    return post_new(books.connection, now=at)


def test_a_payout_that_never_comes_is_an_expense_beside_card_clearing_and_ties(books: Books) -> None:
    trip, number = _missing_payout(books)
    with _as(books, "backroom_console"):
        _write_off(books, number)
    with _as(books, "backroom_pipeline"):
        assert (_post(books), _post(books)) == (1, 0)
    (booked,) = _booked(books, trip)
    event = breaks.history(books.connection, number)[-1]
    assert booked["source"] == f"break:{number}:{event['event_id']}"
    assert event["given_up"] == Decimal("8.12")
    assert booked["postings"] == {"write_off": "8.12", "card_clearing_written_off SANDBOX": "-8.12"}
    assert booked["business_date"] == LATE.date()

    assert books.reconcile(now=LATE).breaks_open == 0
    figures = books.connection.execute(
        text("select figures from reconciliation_run where store_id = :s order by revision desc limit 1"),
        {"s": books.store_id},
    ).scalar_one()
    assert [check["what"] for check in figures["checks"] if not check["ties"] and check["against"] == "ledger"] == []
    (clearing,) = [row for row in figures["sections"]["clearing"] if row["processor"] == "SANDBOX"]
    assert (clearing["written_off"], clearing["to_come"]) == ("8.12", "0.00")


def test_what_was_given_up_is_taken_back_when_the_break_opens_again_or_the_money_comes(books: Books) -> None:
    trip, number = _missing_payout(books)
    _write_off(books, number)
    _post(books)
    books.change("charge", trip, captured=Decimal("8.00"))  # another difference
    books.reconcile(now=LATE)
    assert (_post(books), len(_booked(books, trip))) == (1, 2)
    undone = _booked(books, trip)[-1]
    assert (undone["kind"], undone["reverses"]) == ("BREAK_WRITE_OFF_UNDONE", True)
    assert undone["postings"] == {"write_off": "-8.12", "card_clearing_written_off SANDBOX": "8.12"}

    books.change("charge", trip, captured=Decimal("8.12"))
    books.reconcile(now=LATE)
    _write_off(books, number)
    books.pay_out(trip, "8.12")  # before the ledger's next run
    assert books.reconcile(now=LATE).breaks_closed == 1
    assert breaks.one(books.connection, number, now=LATE)["state"] == "LATER_DATA"
    assert _post(books) == 2
    assert sum(Decimal(one["postings"]["write_off"]) for one in _booked(books, trip)) == 0
    assert [row["given_up"] for row in breaks.history(books.connection, number) if row["given_up"]] == [
        Decimal("8.12"), Decimal("-8.12"), Decimal("8.12"), Decimal("-8.12"),
    ]  # fmt: skip


def test_of_what_amazon_gave_back_unasked_only_what_no_refund_of_ours_has_booked_is_given_up(books: Books) -> None:
    trip = books.trip()
    books.change("amazon_order", trip, refunded=Decimal("3.00"), status="REFUNDED")
    books.refund(trip, "2.00", state="INITIATED")
    books.post(trip, kind="REFUND_INITIATED", refunds="1.85", tax_payable="0.15", refund_clearing_initiated="-2.00")
    books.reconcile(now=LATE)
    _write_off(books, _the_break(books))
    _post(books)
    assert _booked(books, trip)[0]["postings"] == {"write_off": "1.00", "card_clearing_written_off": "-1.00"}


def test_what_is_neither_captured_nor_owed_is_given_up_of_the_receivable(books: Books) -> None:
    trip = books.trip(captured="5.00")
    books.reconcile(now=LATE)
    _write_off(books, _the_break(books))
    _post(books)
    assert _booked(books, trip)[0]["postings"] == {"write_off": "3.12", "receivable_written_off": "-3.12"}


@pytest.mark.parametrize("bend", ["test store", "nothing in the books"])
def test_what_stands_in_no_books_is_decided_and_not_booked(books: Books, bend: str) -> None:
    trip = books.trip()
    books.change("amazon_order", trip, captured=Decimal("9.00" if bend == "nothing in the books" else "7.00"))
    if bend == "test store":
        books.connection.execute(text("update store set test = true where store_id = :s"), {"s": books.store_id})
    books.reconcile(now=LATE)
    _write_off(books, _the_break(books))
    assert (_post(books), _booked(books, trip)) == (0, [])


def test_a_month_waits_for_its_write_offs_and_one_that_comes_after_its_close_is_in_the_next(books: Books) -> None:
    trip, number = _missing_payout(books)
    close = {"store_id": books.store_id, "month": DAY, "by": "fay", "reason": "all seen", "now": APRIL}
    _write_off(books, number)
    books.reconcile(now=LATE)
    with pytest.raises(CloseRefused, match="1 charges and events wait to be booked"):
        months.close(books.connection, **close)  # type: ignore[arg-type]
    _post(books)
    books.reconcile(now=LATE)
    closed = months.close(books.connection, **close)  # type: ignore[arg-type]
    assert closed.figures["sections"]["write_offs"] == [
        {"of": "MISSING_PAYOUT", "what": "WRITTEN_OFF", "times": 1, "amount": "8.12"}
    ]
    assert {check["against"] for check in closed.untied} == {"payouts"}  # which its break tells

    books.change("charge", trip, captured=Decimal("8.00"))
    books.reconcile(now=LATE)  # what is heard of March now is posted in April
    _post(books)
    assert [(row["business_date"], row["belongs_to"]) for row in _booked(books, trip)] == [
        (LATE.date(), None), (date(2026, 4, 1), LATE.date()),
    ]  # fmt: skip


def test_a_write_off_is_looked_at_again_when_the_payout_comes_after_it(books: Books) -> None:
    trip, number = _missing_payout(books)
    _write_off(books, number)
    _post(books)
    books.reconcile(now=LATE)
    tomorrow = DAY + timedelta(days=90)  # further back than a run looks by itself
    books.connection.execute(  # as if a later transaction wrote what comes now: here all is one
        text("update reconciliation_run set read_up_to = 4 where store_id = :s"), {"s": books.store_id}
    )
    assert late_data.days(books.connection, store_id=books.store_id, before=tomorrow) == [DAY]
    books.pay_out(trip, "8.12")
    books.reconcile(now=LATE)
    assert late_data.days(books.connection, store_id=books.store_id, before=tomorrow) == []
    _post(books)
    assert sum(Decimal(one["postings"]["write_off"]) for one in _booked(books, trip)) == 0


def test_of_a_payout_that_never_comes_what_was_refunded_is_not_lost(books: Books) -> None:
    books.connection.execute(
        text("update store set payment_processor = 'SANDBOX' where store_id = :store"), {"store": books.store_id}
    )
    trip = books.trip()
    books.change("amazon_order", trip, captured=0, status="OPEN")
    books.refund(trip, "2.00", state="FINAL")
    books.post(trip, kind="REFUND_FINAL", refunds="1.85", tax_payable="0.15", refund_clearing="-2.00")
    books.reconcile(now=LATE)
    (row,) = [
        row
        for row in breaks.listed(books.connection, Filter(store_id=books.store_id), now=LATE)
        if row["kind"] == "MISSING_PAYOUT"
    ]
    assert row["difference"] == Decimal("-6.12")


def test_what_was_given_up_is_not_given_up_a_second_time(books: Books) -> None:
    _, number = _missing_payout(books)
    _write_off(books, number)
    books.connection.execute(
        text("update reconciliation_break set resolution = null, closed_at = null where break_id = :id"), {"id": number}
    )
    with pytest.raises(BreakRefused, match="stands in the books already"):
        _write_off(books, number)


def test_nobody_decides_about_a_break_while_its_day_is_judged(database: Engine) -> None:
    with database.begin() as connection:
        kept = Books(connection, "STORE-JUDGED")
        open_store(kept)
        _, number = _missing_payout(kept)
    with database.begin() as running:
        Books(running, "STORE-JUDGED").reconcile(now=LATE + timedelta(minutes=1))
        with database.begin() as person:
            person.execute(text("set local lock_timeout = '100ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                breaks.write_off(person, number, by="fay", reason="it will not come", now=LATE)
            person.rollback()
