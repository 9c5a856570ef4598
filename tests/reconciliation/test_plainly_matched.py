"""The condition that tells plainly matched trips in PostgreSQL, and the rules, say the same."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from backroom.reconciliation import gathering, rows
from backroom.reconciliation.matching import judge
from backroom.reconciliation.sides import Deadlines
from backroom.reconciliation.verdict import Outcome
from tests.reconciliation.conftest import DAY, ENDED, NEXT_MORNING, Books, open_store

CENT = Decimal("0.01")
BENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "order total": ("amazon_order", {"order_total": Decimal("8.13")}),
    "order captured": ("amazon_order", {"captured": Decimal("8.13")}),
    "order refunded": ("amazon_order", {"refunded": CENT}),
    "order status": ("amazon_order", {"status": "OPEN"}),
    "order refunded status": ("amazon_order", {"status": "REFUNDED"}),
    "order currency": ("amazon_order", {"currency": "CAD"}),
    "order entry": ("amazon_order", {"entry_method": "CREDIT_CARD"}),
    "order incomplete": ("amazon_order", {"incomplete": True}),
    "charge state": ("charge", {"state": "PARKED"}),
    "charge total": ("charge", {"total": Decimal("8.11")}),
    "charge captured": ("charge", {"captured": Decimal("8.11")}),
    "charge begun": ("charge", {"capture_initiated": CENT}),
    "charge currency": ("charge", {"currency": "CAD"}),
    "purchase state": ("purchase", {"state": "NOT_CHARGEABLE"}),
    "purchase list": ("purchase", {"list_total": Decimal("8.01"), "promotion_total": Decimal("0.51")}),
    "no order": ("remove", {}),
    "owed": ("debt", {}),
    "given back": ("refund", {}),
    "heard otherwise": ("hear", {}),
    "heard the same": ("hear the same", {}),
    "a line": ("line", {}),
}


def _bend(books: Books, trip: str, name: str) -> None:
    table, values = BENDS[name]
    if table == "remove":
        books.remove("amazon_order_line", trip)
        books.remove("amazon_order", trip)
    elif table == "debt":
        books.debt(trip, "0.01", ENDED)
    elif table == "refund":
        books.refund(trip, "0.01")
    elif table.startswith("hear"):
        books.hear(trip, captured="8.12" if table == "hear the same" else "8.10", price="7.50", tax="0.62")
    elif table == "line":
        books.connection.execute(
            text("update amazon_order_line set tax = tax + 0.01 where order_id = :order"), {"order": f"O-{trip}"}
        )
    elif books.connection.execute(
        text(f"select count(*) from {table} where shopping_trip_id = :t"), {"t": trip}
    ).scalar():
        books.change(table, trip, **values)


@settings(deadline=None, max_examples=5)
@given(bends=st.lists(st.lists(st.sampled_from(sorted(BENDS)), max_size=2, unique=True), min_size=24, max_size=24))
def test_what_the_condition_lets_through_the_rules_match_without_a_word(
    database: Engine, bends: list[list[str]]
) -> None:
    with database.connect() as connection:
        books = Books(connection, "PLAIN")
        open_store(books, feeds=("FILES", "EVENTS"))
        plain_trips = {books.trip() for _ in range(2)}
        for wanted in bends:
            trip = books.trip()
            for name in wanted:
                _bend(books, trip, name)
        _agree(connection, plain_trips)
        connection.rollback()


def _agree(connection: Connection, certainly: set[str]) -> None:
    gathering.gather(connection, store_id="PLAIN", business_date=DAY)
    plain = set(connection.execute(text("select shopping_trip_id from trip_side where plain")).scalars())
    assert certainly <= plain
    connection.execute(text("update trip_side set plain = false"))
    lines = rows.differing_lines(connection)
    deadlines = Deadlines(ENDED, timedelta(hours=3), timedelta(hours=1))
    for batch in rows.trips(connection, token_life=timedelta(hours=46)):
        for trip in batch:
            for now in (ENDED - timedelta(days=1), NEXT_MORNING, NEXT_MORNING + timedelta(days=90)):
                of_trip = lines.get(trip.shopping_trip_id, ())
                verdict = judge(trip, of_trip, deadlines=deadlines, complete=True, now=now)
                silent = verdict.outcome is Outcome.MATCHED and not verdict.note and verdict.reading is None
                if trip.shopping_trip_id in plain:
                    assert silent, (trip, verdict)
