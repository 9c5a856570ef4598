"""The charges' world (a store, trips, a scripted Amazon), and what happens after a charge."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, text

from backroom.amazon.payments import PaymentsClient
from backroom.debts.payoff import pay
from backroom.debts.reduction import reduce
from backroom.debts.write_off import write_off
from backroom.ledger.verification import verify
from tests.amazon.conftest import configured
from tests.amazon.scripted_amazon import ScriptedAmazon, adjusted, replies, serving
from tests.charges.conftest import NOON, Books, add_store, amazon, books, minutes, patience

__all__ = ["World", "amazon", "books", "patience", "world"]

_numbers = itertools.count(1)
AFTER = NOON + minutes(120)  # when what follows a charge happens, if a test does not care


@dataclass
class World:
    """What happens to a trip, in one call each."""

    books: Books
    server: ScriptedAmazon

    def captured(self, total: str = "12.30", **cart: Any) -> str:
        """A trip whose capture is final."""
        trip = self.books.trip(total, **cart)
        self.books.work()
        self.books.order(trip, "SETTLED", total, at=NOON + minutes(20))
        self.books.gather(NOON + minutes(25))
        return trip

    def owed(self, total: str = "12.30", held: str = "0") -> str:
        """A trip of which `held` is captured for good and the rest is a debt."""
        declined = Decimal(held) == 0
        answer = adjusted("DECLINED", "0") if declined else adjusted("APPROVED", held)
        self.server.script = replies(adjust=[answer] * 3)
        trip = self.books.trip(total)
        for minute in (0, 30, 60) if declined else (0,):
            self.books.work(NOON + minutes(minute))
        if not declined:
            self.books.order(trip, "SETTLED", held, at=NOON + minutes(80))
            self.books.gather(NOON + minutes(90))
        self.server.script = replies()
        return trip

    def pay_off(self, trip: str, method: str = "CASH", at: datetime = AFTER) -> int:
        paid = pay(self.books.engine, None, shopping_trip_id=trip, method=method, instrument={}, asked_by="ana", now=at)
        return paid.payoff_id

    def write_off(self, trip: str, at: datetime = AFTER) -> None:
        with self.books.engine.begin() as connection:
            write_off(connection, shopping_trip_id=trip, by="ana", reason="gone", now=at)

    def refund(
        self,
        trip: str,
        parts: Sequence[tuple[str, str]],
        *events: str,
        lines: Mapping[int, str] | None = None,
        is_return: bool = False,
        at: datetime = AFTER,
    ) -> list[int]:
        """A request with one refund for each (instrument, amount), and the same events for each of them.

        A part off the debt reduces it, and is told so, as refunds do it in one transaction.
        """
        amount = sum((Decimal(part) for _, part in parts), Decimal(0))
        made = []
        with self.books.engine.begin() as connection:
            request = connection.execute(
                text(
                    "insert into refund_request (asked_key, shopping_trip_id, store_id, currency, amount, reason,"
                    " requested_by, requested_at, is_return, state) values (:key, :trip, :store, 'USD', :amount,"
                    " 'OTHER', 'ana', :at, :is_return, 'APPROVED') returning request_id"
                ),
                {
                    "key": f"ticket-{next(_numbers)}", "trip": trip, "store": self.books.store_id, "amount": amount,
                    "at": at, "is_return": is_return,
                },
            ).scalar_one()  # fmt: skip
            for number, part in (lines or {}).items():
                connection.execute(
                    text(
                        "insert into refund_request_line (request_id, line_number, quantity, amount)"
                        " values (:request, :number, 1, :amount)"
                    ),
                    {"request": request, "number": number, "amount": Decimal(part)},
                )
            for instrument, part in parts:
                off_debt = instrument == "DEBT"
                told = ["DEBT_REDUCED"] if off_debt else list(events)
                refund_id = connection.execute(
                    text(
                        "insert into refund (request_id, shopping_trip_id, store_id, instrument, refund_request_key,"
                        " currency, amount, state) values (:request, :trip, :store, :instrument, :key, 'USD', :amount,"
                        " :state) returning refund_id"
                    ),
                    {
                        "request": request, "trip": trip, "store": self.books.store_id, "instrument": instrument,
                        "key": str(uuid.uuid4()), "amount": Decimal(part), "state": state_after(told),
                    },
                ).scalar_one()  # fmt: skip
                made.append(refund_id)
                if off_debt:
                    reduce(
                        connection, shopping_trip_id=trip, amount=Decimal(part), source=f"refund:{refund_id}",
                        actor="refunds", now=at,
                    )  # fmt: skip
                for kind in told:
                    self.tell_refund(connection, refund_id, kind, at)
        return made

    def tell_refund(self, connection: Any, refund_id: int, kind: str, at: datetime = AFTER) -> None:
        connection.execute(
            text(
                "insert into refund_event (refund_id, shopping_trip_id, store_id, kind, amount, currency, happened_at,"
                " source) select refund_id, shopping_trip_id, store_id, :kind, amount, currency, :at, :source"
                " from refund where refund_id = :refund"
            ),
            {"refund": refund_id, "kind": kind, "at": at, "source": f"test:{next(_numbers)}"},
        )

    def later(self, refund_id: int, *events: str) -> None:
        """More news of a refund."""
        with self.books.engine.begin() as connection:
            for kind in events:
                self.tell_refund(connection, refund_id, kind)
            connection.execute(
                text("update refund set state = :state where refund_id = :refund"),
                {"refund": refund_id, "state": state_after(events)},
            )

    def details(self, trip: str, account: str) -> dict[str, Decimal]:
        """The account's sub-accounts, of one trip."""
        rows = self.books.rows(
            "select detail, sum(amount) as amount from ledger_posting join ledger_transaction using (transaction_id)"
            " where shopping_trip_id = :trip and account = :account group by 1 having sum(amount) <> 0",
            trip=trip, account=account,
        )  # fmt: skip
        return {row["detail"]: row["amount"] for row in rows}

    def lines(self, trip: str, *lines: tuple[str, str, str]) -> None:
        """Gives the trip these lines instead of its one: (jurisdiction, net, tax)."""
        with self.books.engine.begin() as connection:
            connection.execute(text("delete from purchase_line where shopping_trip_id = :trip"), {"trip": trip})
            for number, (jurisdiction, net, tax) in enumerate(lines, start=1):
                connection.execute(
                    text(
                        "insert into purchase_line (shopping_trip_id, line_number, item_id, item_type, item_sku,"
                        " quantity, unit, list_price, list_amount, promotion_amount, tax_jurisdiction, tax_amount,"
                        " total) values (:trip, :number, 'A', 'SKU', 'A', 1, 'unit', :net, :net, 0, :where, :tax,"
                        " :total)"
                    ),
                    {
                        "trip": trip, "number": number, "net": Decimal(net), "where": jurisdiction,
                        "tax": Decimal(tax), "total": Decimal(net) + Decimal(tax),
                    },
                )  # fmt: skip
            connection.execute(
                text(
                    "update purchase set list_total = x.net, promotion_total = 0, tax_total = x.tax,"
                    " total = x.net + x.tax from (select sum(list_amount) as net, sum(tax_amount) as tax"
                    " from purchase_line where shopping_trip_id = :trip) x where shopping_trip_id = :trip"
                ),
                {"trip": trip},
            )

    def wrong(self) -> list[str]:
        """What the verification says, in short."""
        with self.books.engine.connect() as connection:
            return [f"{one.subject}: {one.what}" for one in verify(connection)]


def state_after(events: Sequence[str]) -> str:
    last = events[-1] if events else ""
    return {"": "DUE", "DEBT_REDUCED": "FINAL", "REVERSED": "REFUSED"}.get(last, last)


@pytest.fixture
def world(books: Books, amazon: ScriptedAmazon) -> World:
    return World(books, amazon)


@pytest.fixture(scope="module")
def lasting_world(database: Engine) -> Iterator[World]:
    """A store for all tests of a module, which leave it as it was."""
    server = ScriptedAmazon()
    add_store(database, "STORE-LASTING")
    with (
        serving(server) as url,
        PaymentsClient(configured(amazon_payments_url=url, amazon_timeout_seconds=0.5)) as client,
    ):
        yield World(Books(database, "STORE-LASTING", client, url), server)
