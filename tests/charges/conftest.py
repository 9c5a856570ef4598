"""A store, trips with charges, a scripted Amazon, and the few things that happen to them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.amazon.payments import PaymentsClient
from backroom.charges.lifecycle import Worked, gather_evidence, work_due
from backroom.charges.opening import open_charge
from backroom.ledger.book import post_new
from backroom.ledger.verification import verify
from tests.amazon.conftest import configured
from tests.amazon.scripted_amazon import ScriptedAmazon, serving

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
_numbers = itertools.count(1)


@dataclass
class Books:
    """One store of its own per test, so that tests of a module share a database."""

    engine: Engine
    store_id: str
    client: PaymentsClient
    amazon_url: str = ""

    def trip(
        self, total: str = "12.30", *, at: datetime = NOON, started_at: datetime | None = None, named: str = ""
    ) -> str:
        """A priced purchase with its charge, due at once; one line, 10 % off, the rest tax."""
        trip = named or f"trip-{next(_numbers)}"
        amount = Decimal(total)
        tax = (amount / 10).quantize(Decimal("0.01"))
        listed = amount - tax + Decimal("0.50") if amount else amount
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "insert into purchase (purchase_id, shopping_trip_id, request_id, store_id, business_date,"
                    " entry_method, shopper_id, trip_started_at, trip_ended_at, state, currency, list_total,"
                    " promotion_total, tax_total, total, body_hash, raw_body, response_body, received_at)"
                    " values (cast(:trip as text), cast(:trip as text), cast(:trip as text), :store, :day,"
                    " 'APP', 'shopper-1', :at, :at, :state, 'USD', :listed,"
                    " :promotion, :tax, :total, 'h', '{}', '', :at)"
                ),
                {
                    "trip": trip, "store": self.store_id, "day": at.date(), "at": at, "listed": listed, "tax": tax,
                    "promotion": listed + tax - amount, "total": amount, "state": "PRICED" if amount else "EMPTY",
                },
            )  # fmt: skip
            if amount:
                connection.execute(
                    text(
                        "insert into purchase_line (shopping_trip_id, line_number, item_id, item_type, item_sku,"
                        " quantity, unit, list_price, list_amount, promotion_amount, tax_jurisdiction, tax_amount,"
                        " total) values (:trip, 1, 'A', 'SKU', 'A', 1, 'unit', :listed, :listed, :promotion, 'NY',"
                        " :tax, :total)"
                    ),
                    {"trip": trip, "listed": listed, "promotion": listed + tax - amount, "tax": tax, "total": amount},
                )
            open_charge(
                connection,
                shopping_trip_id=trip,
                store_id=self.store_id,
                currency="USD",
                total=amount,
                trip_started_at=started_at or at,
                now=at,
                reason="a cart",
            )
        return trip

    def work(self, at: datetime = NOON, **arguments: Any) -> Worked:
        return work_due(self.engine, self.client, store_id=self.store_id, now=at, **{"concurrency": 2, **arguments})

    def gather(self, at: datetime) -> None:
        with self.engine.begin() as connection:
            gather_evidence(connection, now=at)

    def order(
        self, trip: str, status: str, captured: str, *, at: datetime, currency: str = "USD", order_id: str = ""
    ) -> None:
        """Amazon's order row of the trip, as the intra-day files leave it."""
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "insert into amazon_order (store_id, order_id, shopping_trip_id, business_date, status,"
                    " entry_method, trip_started_at, trip_ended_at, currency, order_total, authorized, captured,"
                    " refunded, updated_at, window_end, sequencer) values (:store, :order, :trip, :day, :status, 'APP',"
                    " :at, :at, :currency, 0, 0, :captured, 0, :at, :at, '1')"
                    " on conflict (store_id, order_id) do update set status = excluded.status,"
                    " captured = excluded.captured, updated_at = excluded.updated_at"
                ),
                {
                    "store": self.store_id, "order": order_id or f"order-{trip}", "trip": trip, "day": at.date(),
                    "status": status, "at": at, "currency": currency, "captured": Decimal(captured),
                },
            )  # fmt: skip

    def event(self, trip: str, subtype: str, amount: str, *, at: datetime, code: str = "USD") -> None:
        """A payment event, as the event feed keeps it."""
        event_id = f"event-{next(_numbers)}"
        detail = {"shoppingTripId": trip, "subtype": subtype, "amount": {"amount": 0, "code": code}}
        envelope = json.dumps({"id": event_id, "detail": detail}).replace('"amount": 0', f'"amount": {amount}')
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "insert into feed_event (event_id, detail_type, subtype, shopping_trip_id, store_id, happened_at,"
                    " received_at, envelope) values (:id, 'PAYMENT', :subtype, :trip, :store, :at, :at,"
                    " cast(:envelope as jsonb))"
                ),
                {
                    "id": event_id, "subtype": subtype, "trip": trip, "store": self.store_id, "at": at,
                    "envelope": envelope,
                },
            )  # fmt: skip

    def charge(self, trip: str) -> dict[str, Any]:
        return self.one("select * from charge where shopping_trip_id = :trip", trip=trip)

    def debt(self, trip: str) -> dict[str, Any] | None:
        rows = self.rows("select * from debt where shopping_trip_id = :trip", trip=trip)
        return rows[0] if rows else None

    def cases(self, trip: str) -> list[dict[str, Any]]:
        return self.rows("select * from review_case where subject = :trip order by case_id", trip=trip)

    def attempts(self, trip: str) -> list[tuple[str, str | None]]:
        rows = self.rows("select * from charge_attempt where shopping_trip_id = :trip order by attempt_id", trip=trip)
        return [(row["operation"], row["outcome"]) for row in rows]

    def kinds(self, trip: str) -> list[str]:
        rows = self.rows("select kind from charge_event where shopping_trip_id = :trip order by event_id", trip=trip)
        return [row["kind"] for row in rows]

    def balance(self, trip: str) -> dict[str, Decimal]:
        rows = self.rows(
            "select account, sum(amount) as amount from ledger_posting join ledger_transaction using (transaction_id)"
            " where shopping_trip_id = :trip group by account having sum(amount) <> 0",
            trip=trip,
        )
        return {row["account"]: row["amount"] for row in rows}

    def post(self, at: datetime = NOON) -> int:
        """Books what is new; the books are always right after it."""
        with self.engine.begin() as connection:
            posted = post_new(connection, now=at)
            assert verify(connection) == []
        return posted

    def one(self, query: str, **values: Any) -> dict[str, Any]:
        return self.rows(query, **values)[0]

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]


def add_store(engine: Engine, store_id: str, **values: Any) -> None:
    row = {"after_decline": "none", "time_zone": "America/New_York", "test": False} | values
    with engine.begin() as connection:
        connection.execute(
            text(
                "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
                " after_decline, preauthorization_amount, feeds, test) values (:store_id, 'a store', 'm', :time_zone,"
                " 'USD', 'NY', 'RETAILER_MANAGED', :after_decline, 5, '{FILES,EVENTS}', :test)"
            ),
            {"store_id": store_id, **row},
        )


@pytest.fixture
def amazon() -> ScriptedAmazon:
    return ScriptedAmazon()


@pytest.fixture
def patience() -> float:
    """Seconds until a call counts as unanswered: few, where a test waits for that."""
    return 0.5


@pytest.fixture
def books(database: Engine, amazon: ScriptedAmazon, patience: float) -> Iterator[Books]:
    store_id = f"STORE-{next(_numbers):03d}"
    add_store(database, store_id)
    with database.begin() as connection:
        connection.execute(text("delete from api_hold"))  # it binds every store, and the time stands still here
    with (
        serving(amazon) as url,
        PaymentsClient(configured(amazon_payments_url=url, amazon_timeout_seconds=patience)) as client,
    ):
        made = Books(database, store_id, client, url)
        yield made
        made.post()


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)
