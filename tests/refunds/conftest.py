"""A store, trips that were paid, a scripted Amazon that refunds, and the few things that happen to refunds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.amazon.payments import PaymentsClient
from backroom.amazon.refund_client import RefundClient
from backroom.charges.opening import open_charge
from backroom.refunds.deciding import approve
from backroom.refunds.evidence import gather_evidence
from backroom.refunds.requesting import Request, request
from backroom.refunds.working import Worked, work_due
from backroom.reviews import cases
from tests.amazon.conftest import configured
from tests.amazon.scripted_amazon import ScriptedAmazon, approve_all, serving
from tests.charges.conftest import NOON, Books, add_store, hours, minutes

_numbers = itertools.count(1)
NEXT_DAY = NOON + timedelta(days=1)
Line = tuple[str, str]  # quantity, total with tax


@dataclass
class Till(Books):
    """Books of charges, and what refunds add to them. One store of its own per test."""

    refunds: RefundClient = field(kw_only=True)

    def of_another_store(self) -> Till:
        """The same at a store of its own, where nothing has happened and nobody is held."""
        store_id = f"TILL-{next(_numbers):03d}"
        add_store(self.engine, store_id)
        with self.engine.begin() as connection:
            connection.execute(text("delete from api_hold"))
        return replace(self, store_id=store_id)

    def sold(self, *lines: Line, unit: str = "unit", at: datetime = NOON) -> str:
        """A trip with these lines and its charge, due at once. Each line's SKU is A, B, … in their order."""
        trip = f"sold-{next(_numbers)}"
        totals = [Decimal(total) for _, total in lines]
        total = sum(totals, Decimal(0))
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "insert into purchase (purchase_id, shopping_trip_id, request_id, store_id, business_date,"
                    " entry_method, shopper_id, trip_started_at, trip_ended_at, state, currency, list_total,"
                    " promotion_total, tax_total, total, body_hash, raw_body, response_body, received_at)"
                    " values (cast(:trip as text), cast(:trip as text), cast(:trip as text), :store, :day, 'APP',"
                    " 'shopper-1', :at, :at, 'PRICED', 'USD', :total, 0, 0, :total, 'h', '{}', '', :at)"
                ),
                {"trip": trip, "store": self.store_id, "day": at.date(), "at": at, "total": total},
            )
            for number, ((quantity, _), amount) in enumerate(zip(lines, totals, strict=True), start=1):
                connection.execute(
                    text(
                        "insert into purchase_line (shopping_trip_id, line_number, item_id, item_type, item_sku,"
                        " quantity, unit, list_price, price_unit, list_amount, promotion_amount, tax_jurisdiction,"
                        " tax_amount, total) values (:trip, :number, :sku, 'SKU', :sku, :quantity, :unit, 1, :unit,"
                        " :total, 0, 'NY', 0, :total)"
                    ),
                    {
                        "trip": trip, "number": number, "sku": chr(64 + number), "quantity": Decimal(quantity),
                        "unit": unit, "total": amount,
                    },
                )  # fmt: skip
            connection.execute(
                text("insert into stock_due (shopping_trip_id, store_id) values (:trip, :store)"),
                {"trip": trip, "store": self.store_id},
            )
            open_charge(
                connection, shopping_trip_id=trip, store_id=self.store_id, currency="USD", total=total,
                trip_started_at=at, now=at, reason="a cart",
            )  # fmt: skip
        return trip

    def captured(self, *lines: Line, at: datetime = NOON) -> str:
        """A trip whose whole total was captured for good."""
        trip = self.sold(*(lines or (("1", "12.30"),)), at=at)
        self.capture(trip, at=at)
        assert self.charge(trip)["state"] == "CAPTURED"
        return trip

    def capture(self, trip: str, *, at: datetime = NOON) -> None:
        """The trip's charge is worked on and its capture told final."""
        self.work(at)
        self.order(trip, "SETTLED", f"{self.charge(trip)['capture_initiated']:f}", at=at + minutes(20))
        self.gather(at + minutes(21))

    def ask(self, trip: str, amount: str | None = None, **values: Any) -> Request:
        asked: dict[str, Any] = {
            "amount": Decimal(amount) if amount is not None else None, "lines": None, "reason": "UNWANTED_ITEM",
            "requested_by": "ana", "asked_key": f"ask-{next(_numbers)}", "now": NEXT_DAY, **values,
        }  # fmt: skip
        with self.engine.begin() as connection:
            return request(connection, shopping_trip_id=trip, **asked)

    def approve(self, made: Request, *, by: str = "ben", now: datetime = NEXT_DAY) -> Request:
        with self.engine.begin() as connection:
            return approve(connection, made.request_id, by=by, reason="seen the goods", now=now)

    def give_back(
        self, at: datetime = NEXT_DAY, *, client: Any = None, engine: Engine | None = None, **arguments: Any
    ) -> Worked:
        asked: dict[str, Any] = {"store_id": self.store_id, "concurrency": 2, **arguments}
        return work_due(engine or self.engine, client or self.refunds, now=at, **asked)

    def look(self, at: datetime = NEXT_DAY) -> None:
        with self.engine.begin() as connection:
            gather_evidence(connection, now=at)

    def told(self, trip: str, refunded: str, *, at: datetime) -> None:
        """Amazon's order row says that so much was refunded."""
        with self.engine.begin() as connection:
            changed = connection.execute(
                text(
                    "update amazon_order set refunded = :refunded, updated_at = :at, status = 'REFUNDED'"
                    " where shopping_trip_id = :trip"
                ),
                {"trip": trip, "refunded": Decimal(refunded), "at": at},
            )
        assert changed.rowcount == 1

    def parts(self, trip: str) -> list[tuple[str, str, str]]:
        """Instrument, amount and state of each refund of the trip."""
        rows = self.rows("select * from refund where shopping_trip_id = :trip order by refund_id", trip=trip)
        return [(row["instrument"], f"{row['amount']:.2f}", row["state"]) for row in rows]

    def tries(self, trip: str) -> list[str | None]:
        """The outcomes of all attempts of the trip's refunds."""
        rows = self.rows(
            "select a.outcome from refund_attempt a join refund r using (refund_id) where r.shopping_trip_id = :trip"
            " order by a.attempt_id",
            trip=trip,
        )
        return [row["outcome"] for row in rows]

    def happened(self, trip: str) -> list[tuple[str, str]]:
        rows = self.rows("select * from refund_event where shopping_trip_id = :trip order by event_id", trip=trip)
        return [(row["kind"], f"{row['amount']:.2f}") for row in rows]

    def request_state(self, made: Request) -> str:
        return str(self.one("select state from refund_request where request_id = :id", id=made.request_id)["state"])

    def questions(self, made: Request) -> list[dict[str, Any]]:
        """The cases of the request's refunds, the oldest first."""
        subjects = [f"refund:{part.refund_id}" for part in self.now(made).parts]
        subjects += [row["subject"] for row in self.rows("select distinct subject from review_case")
                     if row["subject"].startswith(f"refund request:{made.request_id}")]  # fmt: skip
        return self.rows("select * from review_case where subject = any(:subjects) order by case_id", subjects=subjects)

    def now(self, made: Request) -> Request:
        from backroom.refunds.requesting import get

        with self.engine.connect() as connection:
            return get(connection, made.request_id)

    def decide(self, case: dict[str, Any], choice: str, *, now: datetime = NEXT_DAY) -> None:
        with self.engine.begin() as connection:
            cases.decide(connection, case["case_id"], choice, by="cleo", reason="looked it up", now=now)

    def set_store(self, **values: Any) -> None:
        for name, value in values.items():
            with self.engine.begin() as connection:
                connection.execute(
                    text(f"update store set {name} = :value where store_id = :store"),
                    {"value": value, "store": self.store_id},
                )


@pytest.fixture(scope="module")
def _server() -> Iterator[tuple[ScriptedAmazon, str]]:
    scripted = ScriptedAmazon()
    with serving(scripted) as url:
        yield scripted, url


@pytest.fixture
def amazon(_server: tuple[ScriptedAmazon, str]) -> ScriptedAmazon:
    """Has heard nothing yet, and says yes to everything."""
    scripted, _ = _server
    scripted.calls.clear()
    scripted.script = approve_all
    return scripted


@pytest.fixture(scope="module")
def _till(database: Engine, _server: tuple[ScriptedAmazon, str]) -> Iterator[Till]:
    """Clients that the tests of a module share; after all of them, the books are right."""
    config = configured(amazon_payments_url=_server[1], amazon_timeout_seconds=0.5)
    with PaymentsClient(config) as payments, RefundClient(config) as refunds:
        made = Till(database, "", payments, _server[1], refunds=refunds)
        yield made
        made.post()


@pytest.fixture
def till(_till: Till, amazon: ScriptedAmazon) -> Till:
    return _till.of_another_store()


def refund_calls(amazon: ScriptedAmazon) -> Sequence[dict[str, Any]]:
    return [call.body for call in amazon.calls if call.path == "/v1/refund"]


__all__ = ["NEXT_DAY", "NOON", "Till", "hours", "minutes", "refund_calls"]
