"""What Amazon gave back unasked is written off, and then a refund of ours of the same trip fails, ends, or begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from alembic import command
from sqlalchemy import Engine, RowMapping, text

from backroom.db import migrate
from backroom.ledger.book import post_new
from backroom.reconciliation import breaks
from backroom.reconciliation.days import unsettled_days
from backroom.refunds import history, parking
from backroom.refunds.history import Happened, ParkedFor
from tests.reconciliation.conftest import DAY, ENDED, Books, open_store

LATE = ENDED + timedelta(days=8)  # no evidence of a refund is expected any more
THEIRS = Decimal("3.00")


@dataclass
class GivenBack:
    """A trip of 8.12 of which Amazon's order shows 3.00 given back."""

    books: Books
    trip: str = ""

    def __post_init__(self) -> None:
        self.trip = self.books.trip()
        self.books.change("amazon_order", self.trip, refunded=THEIRS, status="REFUNDED")

    def begin(self, amount: str) -> int:
        """Amazon said yes to a refund of ours."""
        number = self.books.refund(self.trip, amount, state="INITIATED")
        history.tell(self.books.connection, self.refund(number), Happened.INITIATED, source="answer", happened_at=ENDED)
        return number

    def refund(self, refund_id: int) -> RowMapping:
        found = self.books.connection.execute(text("select * from refund where refund_id = :id"), {"id": refund_id})
        return found.mappings().one()

    def end(self, refund_id: int) -> None:
        history.make_final(self.books.connection, self.refund(refund_id), source="order", happened_at=LATE)

    def fail(self, refund_id: int) -> None:
        history.make_refused(self.books.connection, self.refund(refund_id), source="case", happened_at=LATE)

    def run(self) -> list[tuple[str, Decimal]]:
        """Books what is new, reconciles, books again; (kind, difference) of each break that is then open."""
        post_new(self.books.connection, now=LATE)
        self.books.reconcile(now=LATE)
        post_new(self.books.connection, now=LATE)
        self.books.reconcile(now=LATE)
        return [(row["kind"], row["difference"]) for row in self._open()]

    def write_off(self) -> None:
        (row,) = self._open()
        breaks.write_off(self.books.connection, row["break_id"], by="fay", reason="nobody knows why", now=LATE)

    def gone(self) -> tuple[str, str]:
        """(given up with breaks, refunds begun or final): what the books say has left of the card's money."""
        row = self.books.connection.execute(
            text("""
                select -coalesce(sum(p.amount) filter (where p.account = 'card_clearing_written_off'), 0) as given_up,
                       -coalesce(sum(p.amount) filter (where p.account in (
                           'refund_clearing', 'refund_clearing_initiated')), 0) as refunded
                from ledger_transaction t join ledger_posting p using (transaction_id)
                where t.shopping_trip_id = :trip
            """),
            {"trip": self.trip},
        ).one()
        return f"{row.given_up:.2f}", f"{row.refunded:.2f}"

    def _open(self) -> list[breaks.Row]:
        which = breaks.Filter(state="OPEN", store_id=self.books.store_id)
        return breaks.listed(self.books.connection, which, now=LATE)


@pytest.fixture
def given_back(books: Books) -> GivenBack:
    return GivenBack(books)


def test_the_difference_is_what_no_refund_of_ours_has_booked_begun_or_final(given_back: GivenBack) -> None:
    given_back.begin("2.00")
    assert given_back.run() == [("REFUND", Decimal("1.00"))]
    given_back.write_off()
    assert (given_back.run(), given_back.gone()) == ([], ("1.00", "2.00"))


def test_a_refund_under_way_that_ends_as_it_was_booked_leaves_the_write_off_as_it_was(given_back: GivenBack) -> None:
    refund = given_back.begin("2.00")
    given_back.run()
    given_back.write_off()
    given_back.end(refund)
    assert (given_back.run(), given_back.gone()) == ([], ("1.00", "2.00"))


def test_a_refund_under_way_that_fails_after_the_write_off_opens_the_break_for_all_that_went_back(
    given_back: GivenBack,
) -> None:
    refund = given_back.begin("2.00")
    given_back.run()
    given_back.write_off()
    given_back.run()
    given_back.fail(refund)
    assert (given_back.run(), given_back.gone()) == ([("REFUND", THEIRS)], ("0.00", "0.00"))
    given_back.write_off()
    assert (given_back.run(), given_back.gone()) == ([], ("3.00", "0.00"))


def test_a_refund_that_begins_after_the_write_off_takes_it_back_so_that_nothing_is_booked_twice(
    given_back: GivenBack,
) -> None:
    given_back.run()
    given_back.write_off()
    assert (given_back.run(), given_back.gone()) == ([], ("3.00", "0.00"))
    refund = given_back.begin("2.00")
    assert (given_back.run(), given_back.gone()) == ([("REFUND", Decimal("1.00"))], ("0.00", "2.00"))
    given_back.write_off()
    given_back.end(refund)
    assert (given_back.run(), given_back.gone()) == ([], ("1.00", "2.00"))


def test_a_refund_that_comes_to_all_that_went_back_ends_the_break_and_its_write_off(given_back: GivenBack) -> None:
    given_back.run()
    given_back.write_off()
    given_back.run()
    given_back.end(given_back.begin("3.00"))
    assert (given_back.run(), given_back.gone()) == ([], ("0.00", "3.00"))


def test_a_refund_that_is_late_to_become_final_is_told_and_gives_nothing_up(given_back: GivenBack) -> None:
    given_back.begin("3.00")
    assert given_back.run() == [("REFUND", Decimal(0))]
    told = given_back.books.connection.execute(
        text("select ours, theirs, explanation from reconciliation_break where shopping_trip_id = :trip"),
        {"trip": given_back.trip},
    ).one()
    assert (told.ours, told.theirs) == ("3.00", "3.00")
    assert "3.00 of them is late to become final" in told.explanation
    given_back.write_off()
    assert (given_back.run(), given_back.gone()) == ([], ("0.00", "3.00"))


def test_a_refund_that_amazon_does_not_show_holds_nothing_up_until_it_is_late_and_is_never_given_up(
    books: Books,
) -> None:
    """Until Amazon shows it, a person says that it was made, or it is undone."""
    given_back = GivenBack(books)
    books.change("amazon_order", given_back.trip, refunded=Decimal(0), status="SETTLED")
    given_back.begin("2.00")
    post_new(books.connection, now=ENDED)
    books.reconcile(now=ENDED + timedelta(days=1))
    assert books.outcome(given_back.trip) == ("MATCHED", "2.00 of refunds are on their way")
    assert given_back.run() == [("REFUND", Decimal("-2.00"))]
    given_back.write_off()
    assert (given_back.run(), given_back.gone()) == ([], ("0.00", "2.00"))


@pytest.mark.parametrize("asked_after", [1, 30])
def test_the_day_of_a_refund_that_is_late_comes_back_however_old_it_is(database: Engine, asked_after: int) -> None:
    begun = ENDED + timedelta(days=asked_after)
    with database.begin() as connection:
        books = Books(connection, f"STORE-LATE-REFUND-{asked_after}")
        open_store(books)
        given_back = GivenBack(books)
        books.change("amazon_order", given_back.trip, refunded=Decimal(0), status="SETTLED")
        refund = given_back.begin("2.00")
        connection.execute(
            text("update refund set initiated_at = :at where refund_id = :id"), {"at": begun, "id": refund}
        )
        post_new(connection, now=begun)
    for _ in range(2):  # what was booked in the first is read by the second
        with database.begin() as connection:
            books.connection = connection
            books.reconcile(now=begun)
    next_year = DAY + timedelta(days=366)
    late = begun + timedelta(days=2, minutes=1)
    with database.begin() as connection:
        books.connection = connection
        assert unsettled_days(connection, store_id=books.store_id, before=next_year) == []
        parking.park(connection, given_back.refund(refund), ParkedFor.UNCONFIRMED_REFUND, {}, now=late)
    with database.begin() as connection:
        books.connection = connection
        assert unsettled_days(connection, store_id=books.store_id, before=next_year) == [DAY]
        books.reconcile(now=late)
        assert books.breaks() == [(given_back.trip, 0, "REFUND")]


@pytest.mark.parametrize("made", [True, False])
def test_a_refund_that_amazon_shows_at_last_or_that_is_undone_closes_its_break(
    given_back: GivenBack, made: bool
) -> None:
    given_back.books.change("amazon_order", given_back.trip, refunded=Decimal(0), status="SETTLED")
    refund = given_back.begin("2.00")
    assert given_back.run() == [("REFUND", Decimal("-2.00"))]
    if made:
        given_back.books.change("amazon_order", given_back.trip, refunded=Decimal("2.00"), status="REFUNDED")
        given_back.end(refund)
    else:
        given_back.fail(refund)
    assert (given_back.run(), given_back.gone()) == ([], ("0.00", "2.00" if made else "0.00"))


def test_a_refund_that_waits_for_a_person_is_booked_as_begun_and_is_not_given_up(given_back: GivenBack) -> None:
    refund = given_back.begin("2.00")
    parking.park(
        given_back.books.connection, given_back.refund(refund), ParkedFor.UNCONFIRMED_REFUND, {}, now=LATE
    )  # fmt: skip
    assert given_back.run() == [("REFUND", Decimal("1.00"))]
    given_back.write_off()
    assert (given_back.run(), given_back.gone()) == ([], ("1.00", "2.00"))


@pytest.mark.parametrize("begun", ["2.00", "3.00"])  # of the second nothing is given up: it is late, and no more
def test_a_refund_that_fails_long_after_the_write_off_brings_its_day_back(database: Engine, begun: str) -> None:
    with database.begin() as connection:
        books = Books(connection, f"STORE-GIVEN-BACK-{begun}")
        open_store(books)
        given_back = GivenBack(books)
        refund = given_back.begin(begun)
        given_back.run()
        given_back.write_off()
    for _ in range(2):  # what was booked in the first is read by the second
        with database.begin() as connection:
            given_back.books.connection = connection
            given_back.run()
    next_year = DAY + timedelta(days=366)
    with database.begin() as connection:
        given_back.books.connection = connection
        assert unsettled_days(connection, store_id=books.store_id, before=next_year) == []
        given_back.fail(refund)
    with database.begin() as connection:
        given_back.books.connection = connection
        assert unsettled_days(connection, store_id=books.store_id, before=next_year) == [DAY]
        assert given_back.run() == [("REFUND", THEIRS)]


def test_days_with_such_a_break_are_looked_at_again_after_the_upgrade(database: Engine) -> None:
    next_year = DAY + timedelta(days=366)
    with database.begin() as connection:
        books = Books(connection, "STORE-BEFORE")
        open_store(books)
        given_back = GivenBack(books)
        given_back.run()
        given_back.write_off()
        given_back.run()
    with database.begin() as connection:
        books.connection = connection
        books.reconcile(now=LATE)
    with database.begin() as connection:
        assert unsettled_days(connection, store_id=books.store_id, before=next_year) == []
        config = migrate.alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0016")
        command.upgrade(config, "head")
        assert unsettled_days(connection, store_id=books.store_id, before=next_year) == [DAY]
    with database.begin() as connection:
        books.connection = connection
        books.reconcile(now=LATE)
        assert unsettled_days(connection, store_id=books.store_id, before=next_year) == []
