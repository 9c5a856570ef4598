"""A store with trips that were not paid, and what happens to their debts."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.debts import payoff
from backroom.debts.opening import keep_in_step
from backroom.debts.payoff import PaymentOutcome, Payoff, PayoffState
from backroom.money import Money
from tests.charges.conftest import amazon, books, patience

__all__ = ["amazon", "books", "patience"]

NOON = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
_numbers = itertools.count(1)


@dataclass
class Debts:
    """One store of its own per test, so that tests of a module share a database."""

    engine: Engine
    store_id: str

    def owe(
        self,
        owed: str = "12.30",
        *,
        total: str | None = None,
        state: str = "IN_DEBT",
        captured: str = "0",
        shopper: str | None = "shopper-1",
        card: str | None = None,
        store: str | None = None,
        at: datetime = NOON,
        cause: str = "ADJUST_DECLINED",
        named: str = "",
    ) -> str:
        """A trip whose charge has ended with this debt."""
        trip = named or f"unpaid-{next(_numbers):05}"
        store_id = store or self.store_id
        values = {
            "trip": trip, "store": store_id, "shopper": shopper, "card": card, "at": at, "state": state,
            "total": Decimal(total or owed), "captured": Decimal(captured),
            "entry": "APP" if shopper else "CREDIT_CARD",
        }  # fmt: skip
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "insert into purchase (purchase_id, shopping_trip_id, request_id, store_id, business_date,"
                    " entry_method, shopper_id, shopper_identity, trip_started_at, trip_ended_at, state, currency,"
                    " list_total, promotion_total, tax_total, total, body_hash, raw_body, response_body, received_at)"
                    " values (cast(:trip as text), cast(:trip as text), cast(:trip as text), :store,"
                    " cast(:at as date), :entry, :shopper, :card, :at, :at, 'PRICED', 'USD', :total, 0, 0, :total,"
                    " 'h', '{}', '', :at)"
                ),
                values,
            )
            connection.execute(
                text(
                    "insert into charge (shopping_trip_id, store_id, currency, total, state, captured, expires_at,"
                    " created_at, updated_at, to_book) values (:trip, :store, 'USD', :total, :state, :captured, :at,"
                    " :at, :at, false)"
                ),
                values,
            )
            if Decimal(owed) > 0:
                self._keep(connection, trip, Decimal(owed), captured=Decimal(captured), cause=cause, at=at)
        return trip

    def charge_says(self, trip: str, *, owed: str, captured: str = "0", at: datetime = NOON) -> None:
        """Later news: the charge leaves another amount to be paid."""
        with self.engine.begin() as connection:
            connection.execute(
                text("update charge set captured = :captured, state = :state where shopping_trip_id = :trip"),
                {"trip": trip, "captured": Decimal(captured), "state": "CAPTURED" if Decimal(captured) else "IN_DEBT"},
            )
            self._keep(connection, trip, Decimal(owed), captured=Decimal(captured), cause="PARTIAL_APPROVAL", at=at)

    def _keep(self, connection: Any, trip: str, owed: Decimal, *, captured: Decimal, cause: str, at: datetime) -> None:
        store_id = connection.execute(
            text("select store_id from charge where shopping_trip_id = :trip for update"), {"trip": trip}
        ).scalar_one()
        keep_in_step(
            connection,
            shopping_trip_id=trip,
            store_id=store_id,
            currency="USD",
            owed=owed,
            captured=captured,
            cause=cause if owed else None,
            now=at,
        )

    def pay(self, trip: str, method: str = payoff.CASH, at: datetime = NOON, port: Any = None) -> Payoff:
        return payoff.pay(
            self.engine, port, shopping_trip_id=trip, method=method, instrument={}, asked_by="till-1", now=at
        )

    def begin(self, trip: str, at: datetime = NOON, method: str = "SANDBOX") -> Payoff:
        with self.engine.begin() as connection:
            return payoff.begin(
                connection, shopping_trip_id=trip, method=method, instrument={}, asked_by="portal", now=at
            )

    def settle(self, payoff_id: int, state: str, at: datetime = NOON) -> None:
        with self.engine.begin() as connection:
            payoff.settle(connection, payoff_id, PaymentOutcome(PayoffState(state)), now=at)

    def debt(self, trip: str) -> dict[str, Any]:
        return self.one("select * from debt where shopping_trip_id = :trip", trip=trip)

    def amounts(self, trip: str) -> tuple[str, ...]:
        """State, then amount, paid, reduced, written off, returned, outstanding."""
        row = self.debt(trip)
        names = ("amount", "paid", "reduced", "written_off", "returned", "outstanding")
        return (row["state"], *(f"{row[name]:.2f}" for name in names))

    def events(self, trip: str) -> list[tuple[str, str]]:
        rows = self.rows("select * from debt_event where shopping_trip_id = :trip order by event_id", trip=trip)
        return [(row["kind"], f"{row['amount']:.2f}") for row in rows]

    def cases(self, trip: str, kind: str) -> list[dict[str, Any]]:
        return self.rows(
            "select * from review_case where subject = :trip and kind = :kind order by case_id", trip=trip, kind=kind
        )

    def returns(self, trip: str) -> list[tuple[str, str]]:
        """What goes back by itself: instrument and amount."""
        rows = self.rows(
            "select r.instrument, r.amount from refund r join refund_request q using (request_id)"
            " where r.shopping_trip_id = :trip and q.is_return order by r.refund_id",
            trip=trip,
        )
        return [(row["instrument"], f"{row['amount']:.2f}") for row in rows]

    def one(self, query: str, **values: Any) -> dict[str, Any]:
        return self.rows(query, **values)[0]

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]

    def run(self, statement: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)


@dataclass
class Till:
    """Whoever takes the money, as the processor's port: it knows each payment that reached it by its reference."""

    answers: list[str] = field(default_factory=list)
    """What `pay` answers in turn, then PAID. LOST: taken, but the answer is lost; NEVER: lost, and not taken."""
    taken: dict[str, Money] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    says: str | None = None
    """What `lookup` answers, whatever it knows."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pay(self, reference: str, amount: Money, instrument: Mapping[str, Any]) -> PaymentOutcome:
        with self._lock:
            self.asked.append(reference)
            answer = self.answers.pop(0) if self.answers else "PAID"
            if answer in ("PAID", "LOST"):
                self.taken[reference] = amount
        if answer in ("LOST", "NEVER"):
            return PaymentOutcome(PayoffState.UNKNOWN)
        return PaymentOutcome(PayoffState(answer), processor_reference=f"p-{reference}")

    def lookup(self, reference: str) -> PaymentOutcome:
        if self.says is not None:
            return PaymentOutcome(PayoffState(self.says))
        return PaymentOutcome(PayoffState.PAID if reference in self.taken else PayoffState.NOT_SENT)


@pytest.fixture
def debts(database: Engine) -> Debts:
    store_id = f"DEBTS-{next(_numbers):03d}"
    add_store(database, store_id)
    return Debts(database, store_id)


def add_store(engine: Engine, store_id: str, **values: Any) -> None:
    row = {"risk_strategy": "RETAILER_MANAGED", "balance_scope": "ALL_STORES"} | values
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " balance_scope, preauthorization_amount, feeds) values (:store_id, 'a store', 'm',"
                " 'America/New_York', 'USD', 'NY', :risk_strategy, :balance_scope, 5, '{FILES}')"
            ),
            {"store_id": store_id, **row},
        )
