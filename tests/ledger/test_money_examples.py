"""The worked examples of docs/money.md are what the code books, to the cent."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from backroom.ledger.accounts import Account
from backroom.money import places
from backroom.reviews import cases
from tests.charges.conftest import NOON, minutes
from tests.ledger.conftest import World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "money.md"
CENT = Decimal(1).scaleb(-places("USD"))


def paid_by_card(world: World) -> str:
    trip = world.books.trip("12.30")
    world.books.post()
    world.books.work()
    world.books.post()
    world.books.order(trip, "SETTLED", "12.30", at=NOON + minutes(20))
    world.books.gather(NOON + minutes(25))
    return trip


def paid_in_part(world: World) -> str:
    trip = world.owed("12.30", held="10.00")
    world.books.post()
    world.pay_off(trip, "CASH")
    return trip


def given_up(world: World) -> str:
    trip = world.books.trip("12.30")
    world.books.work()
    world.books.post()
    world.books.order(trip, "CANCELLED", "0", at=NOON + minutes(20))
    world.books.gather(NOON + minutes(25))
    world.books.post()
    world.write_off(trip)
    world.books.post()
    world.pay_off(trip, "TERMINAL", at=NOON + minutes(240))
    return trip


def refunded_in_part(world: World) -> str:
    trip = world.captured("12.30")
    world.books.post()
    (refund,) = world.refund(trip, [("CAPTURE", "6.15")], "INITIATED")
    world.books.post()
    world.later(refund, "FINAL")
    return trip


def refunded_with_a_debt(world: World) -> str:
    trip = world.owed("12.30", held="10.00")
    world.books.post()
    world.refund(trip, [("DEBT", "2.30"), ("CAPTURE", "3.70")], "FINAL")
    return trip


def refund_that_failed(world: World) -> str:
    trip = world.captured("12.30")
    world.books.post()
    (refund,) = world.refund(trip, [("CAPTURE", "6.15")], "INITIATED")
    world.books.post()
    world.later(refund, "REVERSED")
    return trip


def found_after_payoff(world: World) -> str:
    trip = world.owed("12.30")
    world.books.post()
    world.pay_off(trip, "CASH")
    world.books.post()
    world.books.order(trip, "SETTLED", "12.30", at=NOON + minutes(200))
    world.books.gather(NOON + minutes(210))
    (case,) = [one for one in world.books.cases(trip) if one["asked_by"] == "charges"]
    with world.books.engine.begin() as connection:
        cases.decide(connection, case["case_id"], "captured", by="ana", reason="it is in Amazon's report", now=NOON)
    world.books.gather(NOON + minutes(220))
    world.books.post()
    (refund,) = world.books.rows("select refund_id from refund where shopping_trip_id = :trip", trip=trip)
    world.later(refund["refund_id"], "INITIATED", "FINAL")
    return trip


EXAMPLES: dict[str, Callable[[World], str]] = {
    function.__name__.replace("_", " "): function
    for function in (
        paid_by_card, paid_in_part, given_up, refunded_in_part, refunded_with_a_debt, refund_that_failed,
        found_after_payoff,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_page_is_what_the_code_books(world: World, name: str) -> None:
    trip = EXAMPLES[name](world)
    world.books.post()
    begin, end = f"<!-- example: {name} -->", "<!-- end of example -->"
    text = PAGE.read_text()
    assert begin in text, f"the page lacks the example; paste:\n{begin}\n{drawn(world, trip)}\n{end}"
    shown = text.split(begin)[1].split(end)[0].strip()
    assert shown == drawn(world, trip), f"paste:\n{drawn(world, trip)}"


def drawn(world: World, trip: str) -> str:
    """The trip's transactions as a table of the page."""
    rows = world.books.rows(
        "select t.transaction_id, t.kind, p.account, p.detail, p.amount from ledger_transaction t"
        " join ledger_posting p using (transaction_id) where t.shopping_trip_id = :trip"
        " order by t.transaction_id, p.posting_number",
        trip=trip,
    )
    lines = ["| booking | debit | credit |", "|---|---|---|"]
    for number in dict.fromkeys(row["transaction_id"] for row in rows):
        postings = [row for row in rows if row["transaction_id"] == number]
        debits = ", ".join(_shown(row) for row in postings if row["amount"] > 0)
        credits = ", ".join(_shown(row) for row in postings if row["amount"] < 0)
        lines.append(f"| {postings[0]['kind']} | {debits} | {credits} |")
    return "\n".join(lines)


def _shown(row: dict[str, object]) -> str:
    amount = Decimal(str(row["amount"]))
    of = f" ({row['detail']})" if row["detail"] else ""
    return f"{Account(str(row['account']))}{of} {abs(amount).quantize(CENT)}"
