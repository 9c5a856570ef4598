"""`backroom ledger verify` names whatever was changed behind the books' back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import Connection, Engine, text
from typer.testing import CliRunner

from backroom.ledger.commands import app
from backroom.ledger.discrepancy import Discrepancy
from backroom.ledger.verification import discrepancies, steps, verify, waiting
from backroom.reconciliation import happened
from backroom.reconciliation.ledger_checks import of_what_happened
from tests.charges.conftest import NOON, Books, minutes
from tests.ledger.conftest import World

# A break of which 2.00 were given up.
GIVEN_UP = text("""
    with broken as (
        insert into reconciliation_break (store_id, business_date, shopping_trip_id, kind, difference, currency,
            explanation, opened_at, last_seen_at, closed_at, resolution, resolved_by)
        select store_id, cast(:at as date), shopping_trip_id, 'UNDER_CAPTURED', -2, currency, '', :at, :at, :at,
               'WRITTEN_OFF', 'fay' from charge where shopping_trip_id = :trip
        returning break_id
    )
    insert into reconciliation_break_event (break_id, at, actor, kind, difference, given_up, given_up_of, to_book)
    select break_id, cast(:at as timestamptz), 'fay', 'WRITTEN_OFF', -2, 2, 'card_clearing', true from broken
""")
OF_BREAK = "break_id in (select break_id from reconciliation_break where {trip})"


@pytest.fixture(scope="module")
def trips(lasting_world: World) -> dict[str, str]:
    """One trip of every kind, all booked."""
    world = lasting_world
    made = {
        "captured": world.captured(),
        "begun": world.books.trip("12.30"),
        "owed": world.owed("12.30", held="5.00"),
        "paid": world.owed("12.30"),
        "written_off": world.owed("12.30"),
        "recovered": world.owed("12.30"),
        "refunded": world.captured("12.30"),
        "refunding": world.captured("12.30"),
        "reduced": world.owed("12.30"),
        "given_up": world.captured(),
    }
    world.pay_off(made["paid"])
    world.write_off(made["written_off"])
    world.write_off(made["recovered"])
    world.pay_off(made["recovered"], at=NOON + minutes(240))
    world.refund(made["refunded"], [("CAPTURE", "6.15")], "INITIATED", "FINAL")
    world.refund(made["refunding"], [("CAPTURE", "6.15")], "INITIATED")
    world.refund(made["reduced"], [("DEBT", "5.00")])
    with world.books.engine.begin() as connection:
        connection.execute(GIVEN_UP, {"trip": made["given_up"], "at": NOON + minutes(300)})
    world.books.post()
    return made


@pytest.fixture
def tampering(database: Engine) -> Iterator[Connection]:
    """A superuser's connection past every guard, rolled back at the end."""
    with database.connect() as connection:
        transaction = connection.begin()
        connection.execute(text("set local session_replication_role = replica"))
        yield connection
        transaction.rollback()


CHANGES = [
    ("captured", "update charge set state = 'CANCELLED' where {trip}", "charge, its state"),
    ("captured", "update charge set total = total + 1 where {trip}", "charge, its total"),
    ("captured", "update charge set authorized = 1 where {trip}", "charge, authorized"),
    ("captured", "update charge set captured = captured - 0.01 where {trip}", "charge, captured"),
    ("captured", "update charge set capture_initiated = 1 where {trip}", "charge, capture begun"),
    ("captured", "update charge_event set amount = 12.29 where {trip} and kind = 'CAPTURE_APPROVED'", "captured"),
    ("captured", "delete from charge_event where {trip} and kind = 'CAPTURE_APPROVED'", "charge, its state"),
    ("captured", "delete from charge_event where {trip}", "charge, by its events"),
    ("captured", "update purchase set list_total = list_total + 1, promotion_total = promotion_total + 1 where {trip}",
     "sales"),
    ("captured", "update purchase_line set tax_jurisdiction = 'CA' where {trip}", "tax_payable CA"),
    ("captured", "update purchase_line set tax_amount = 1.22, total = 12.29 where {trip}", "tax_payable"),
    ("owed", "update debt set amount = amount + 1 where {trip}", "what the charge leaves to be paid"),
    ("owed", "delete from debt where {trip}", "what the charge leaves to be paid"),
    ("owed", "delete from charge_event where {trip} and kind = 'DEBT_OPENED'", "what its events told of the debt"),
    ("owed", "update debt set state = 'PAID' where {trip}", "debt, its state"),
    ("owed", "update debt set forgiven_at = now() where {trip}", "debt, forgiven"),
    ("paid", "update debt set paid = paid - 0.30 where {trip}", "debt, paid"),
    ("paid", "update debt_event set amount = 1 where {trip}", "debt, paid"),
    ("paid", "delete from debt_event where {trip}", "debt, paid"),
    ("paid", "update payoff set amount = 1 where {trip}", "payoffs by CASH"),
    ("paid", "update payoff set method = 'TERMINAL' where {trip}", "payoffs by TERMINAL"),
    ("paid", "update payoff set state = 'UNKNOWN' where {trip}", "payoffs by CASH"),
    ("written_off", "update debt set written_off = 1 where {trip}", "debt, written off"),
    ("recovered", "delete from debt_event where {trip} and kind = 'RECOVERED'", "debt, written off"),
    ("refunded", "update refund set state = 'REFUSED' where {trip}", "refund, its state by its events"),
    ("refunded", "update refund set amount = 6 where {trip}", "refund, its amount by its events"),
    ("refunded", "delete from refund_event where {trip} and kind = 'FINAL'", "refund_clearing"),
    ("refunded", "update refund set instrument = 'PAYOFF' || chr(58) || '0' where {trip}", "refunds of PAYOFF:0"),
    ("refunded", "update refund_request set is_return = true where {trip}", "owed_to_shoppers"),
    ("refunding", "update refund set state = 'FINAL' where {trip}", "refund, its state by its events"),
    ("reduced", "delete from debt_event where {trip} and kind = 'REDUCED'", "debt reduced, by its refunds"),
    ("reduced", "delete from refund_event where {trip}", "debt reduced, by its refunds"),
    ("reduced", "update debt set reduced = 4 where {trip}", "debt, reduced"),
    ("given_up", "update reconciliation_break_event set given_up = 1 where " + OF_BREAK, "its write-off, event"),
    ("given_up", "update reconciliation_break_event set given_up_of = 'shopper_receivable' where " + OF_BREAK,
     "receivable_written_off"),
    ("given_up", "delete from reconciliation_break_event where " + OF_BREAK, "what it books"),
    ("given_up", "update reconciliation_break set resolution = 'LATER_DATA' where {trip}",
     "given up, as it is LATER_DATA"),
    ("given_up", "delete from ledger_transaction where {trip} and kind = 'BREAK_WRITTEN_OFF'", "write_off"),
    ("captured", "delete from ledger_transaction where {trip} and kind = 'SALE'", "sales"),
    ("captured", "update ledger_transaction set shopping_trip_id = 'another' where {trip} and kind = 'SALE'", "sales"),
    ("captured", "update ledger_transaction set source = 'charge_event' || chr(58) || '0' where {trip}"
     " and kind = 'SALE'", "what it books"),
]  # fmt: skip

OF_POSTINGS = [
    ("amount = amount + 1 where account = 'sales'", "sum of its USD postings"),
    ("amount = amount * 2", "card_clearing"),
    ("account = 'promotions' where account = 'sales'", "sales"),
    ("account = 'pocket' where account = 'sales'", "account and currency"),
    ("currency = 'EUR'", "account and currency"),
    ("detail = 'CA' where account = 'tax_payable'", "tax_payable NY"),
]


def test_what_happened_on_the_day_of_trips_of_every_kind_ties(trips: dict[str, str], lasting_world: World) -> None:
    with lasting_world.books.engine.connect() as connection:
        told = happened.of_day(
            connection, store_id=lasting_world.books.store_id, business_date=NOON.date(), zone="America/New_York",
            currency="USD",
        )  # fmt: skip
    checks = {row["what"].removeprefix("In this time: "): row for row in of_what_happened(told, "USD")}
    assert [what for what, row in checks.items() if not row["ties"]] == []
    assert {what: row["amount"] for what, row in checks.items()} == {
        "debts, change of what is owed": "21.90",
        "debts open at its end": "21.90",
        "payoffs received": "24.60",
        "recovered after a write-off": "12.30",
        "written off": "26.60",
        "given up with breaks": "2.00",
        "owed to shoppers, change": "0.00",
        "refunds of sales": "17.30",
        "paid back": "12.30",
    }


@pytest.mark.parametrize(("which", "change", "named"), CHANGES, ids=lambda value: str(value)[:60])
def test_a_change_behind_its_back_is_named(
    trips: dict[str, str], tampering: Connection, which: str, change: str, named: str
) -> None:
    trip = trips[which]
    changed = tampering.execute(text(change.format(trip="shopping_trip_id = :trip")), {"trip": trip})
    assert changed.rowcount > 0
    found = verify(tampering)
    assert any(named in one.what for one in found), found


@pytest.mark.parametrize(("change", "named"), OF_POSTINGS)
def test_a_posting_that_was_changed_is_named(
    trips: dict[str, str], tampering: Connection, change: str, named: str
) -> None:
    values, _, where = change.partition(" where ")
    tampering.execute(
        text(
            f"update ledger_posting set {values} where {where or 'true'} and transaction_id in"
            " (select transaction_id from ledger_transaction where shopping_trip_id = :trip)"
        ),
        {"trip": trips["captured"]},
    )
    found = verify(tampering)
    assert any(named in one.what for one in found), found


def test_a_transaction_that_lost_its_postings_is_named(trips: dict[str, str], tampering: Connection) -> None:
    tampering.execute(
        text(
            "delete from ledger_posting where transaction_id in"
            " (select transaction_id from ledger_transaction where shopping_trip_id = :trip and kind = 'SALE')"
        ),
        {"trip": trips["captured"]},
    )
    assert "its postings" in {one.what for one in verify(tampering)}


@pytest.mark.parametrize("table", ["charge", "debt_event", "refund_event"])
def test_a_mark_that_was_lost_before_it_was_booked_is_named(world: World, tampering: Connection, table: str) -> None:
    trip = world.owed("12.30")
    if table != "charge":
        world.books.post()
        world.refund(trip, [("DEBT", "5.00")])
    tampering.execute(text(f"update {table} set to_book = false where shopping_trip_id = :trip"), {"trip": trip})
    if table == "debt_event":  # this one is booked from the refund's own event: no harm is done
        tampering.execute(text("update refund_event set to_book = false where shopping_trip_id = :t"), {"t": trip})
    if table == "refund_event":
        tampering.execute(text("update debt_event set to_book = false where shopping_trip_id = :t"), {"t": trip})
    assert any(trip in one.subject for one in verify(tampering))


def test_what_waits_to_be_booked_is_counted_and_is_no_difference(world: World) -> None:
    world.books.post()
    world.books.trip("12.30")
    with world.books.engine.connect() as connection:
        assert verify(connection) == []
        assert waiting(connection) == 1
    assert CliRunner().invoke(app, ["verify"]).exit_code == 0
    strict = CliRunner().invoke(app, ["verify", "--all-booked", "--json"])
    assert strict.exit_code == 1
    (found,) = json.loads(strict.stdout)["discrepancies"]
    assert (found["what"], found["found"]) == ("waits to be booked", "1")


def test_the_command_ends_with_1_and_names_trip_expectation_and_finding(world: World) -> None:
    trip = world.captured()
    world.books.post()
    change = "update charge set captured = captured + {} where shopping_trip_id = :trip"
    with world.books.engine.begin() as connection:
        connection.execute(text(change.format("1")), {"trip": trip})
    told, shown = CliRunner().invoke(app, ["verify", "--json"]), CliRunner().invoke(app, ["verify"])
    with world.books.engine.begin() as connection:
        connection.execute(text(change.format("-1")), {"trip": trip})
    assert (told.exit_code, shown.exit_code) == (1, 1)
    assert {"subject": f"trip {trip}", "what": "card_clearing", "expected": "13.3", "found": "12.3"} in json.loads(
        told.stdout
    )["discrepancies"]
    assert "card_clearing" in shown.output


def test_it_reads_as_a_stream_and_tells_how_far_it_is(books: Books) -> None:
    for _ in range(5):
        books.trip("12.30")
    books.post()
    taken = 0

    def step() -> None:
        nonlocal taken
        taken += 1

    with books.engine.connect() as connection:
        found = discrepancies(connection, step)
        assert taken == 0
        assert list(found) == []
        assert taken == steps(connection)


def test_amounts_are_told_exactly() -> None:
    told = Discrepancy("trip t", "sales", Decimal("10.5000"), Decimal("0E-4")).as_json()
    assert (told["expected"], told["found"]) == ("10.5", "0")
