"""Books: a store whose trips are written straight into the tables, in agreement until a test bends them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from backroom.db.metadata import load_all_tables
from backroom.reconciliation.runs import RunSummary, reconcile_day

DAY = date(2026, 3, 2)
ENDED = datetime(2026, 3, 2, 17, 9, tzinfo=UTC)  # noon in New York
NEXT_MORNING = datetime(2026, 3, 3, 14, 0, tzinfo=UTC)
TABLES = load_all_tables().tables
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Item:
    """A line: per unit price, quantity, promotion and tax of the line, on top of the price or held by it."""

    sku: str = "MILK-1L"
    price: str = "4.00"
    quantity: str = "2"
    promotion: str = "0.50"
    tax: str = "0.62"
    tax_rate: str = "0.0825"
    unit: str = "unit"
    tax_included: bool = False

    @property
    def list_amount(self) -> Decimal:
        return (Decimal(self.price) * Decimal(self.quantity)).quantize(Decimal("0.01"))

    @property
    def tax_held(self) -> Decimal:
        return Decimal(self.tax) if self.tax_included else Decimal(0)

    @property
    def net(self) -> Decimal:
        return self.list_amount - Decimal(self.promotion) - self.tax_held

    @property
    def total(self) -> Decimal:
        return self.net + Decimal(self.tax)


@dataclass
class Books:
    """One store's tables, through one open transaction."""

    connection: Connection
    store_id: str
    currency: str = "USD"
    trips: list[str] = field(default_factory=list)

    def insert(self, table: str, **values: Any) -> None:
        self.connection.execute(TABLES[table].insert().values(**values))

    def change(self, table: str, trip: str, **values: Any) -> None:
        """Bends what is kept of one trip."""
        target = TABLES[table]
        update = target.update().where(target.c.shopping_trip_id == trip).values(**values)
        assert self.connection.execute(update).rowcount > 0

    def change_line(self, trip: str, line: int, **values: Any) -> None:
        """Bends one line of Amazon's order."""
        target = TABLES["amazon_order_line"]
        update = target.update().where(target.c.order_id == f"O-{trip}", target.c.line_number == line).values(**values)
        assert self.connection.execute(update).rowcount == 1

    def remove(self, table: str, trip: str) -> None:
        column = TABLES[table].c
        key = column.order_id == f"O-{trip}" if table == "amazon_order_line" else column.shopping_trip_id == trip
        self.connection.execute(TABLES[table].delete().where(key))

    def trip(
        self,
        *items: Item,
        state: str = "CAPTURED",
        captured: str | None = None,
        debt: str | None = None,
        order: str | None = "SETTLED",
        entry_method: str = "APP",
        ended: datetime = ENDED,
        changed: datetime | None = None,
    ) -> str:
        """A trip that all sides agree on, charged two hours after it ended; returns its id."""
        items = items or (Item(),)
        trip = f"{self.store_id}-T{len(self.trips) + 1}"
        self.trips.append(trip)
        changed = changed or ended + timedelta(minutes=30)
        total = sum(item.total for item in items)
        taken = Decimal(captured) if captured is not None else total if state == "CAPTURED" else Decimal(0)
        self.purchase(trip, items, entry_method=entry_method, ended=ended)
        self.charge(trip, total, state=state, captured=taken, ended=ended, changed=changed)
        if debt is not None:
            self.debt(trip, debt, changed)
        if order is not None:
            self.order(trip, items, status=order, captured=taken, entry_method=entry_method, ended=ended, at=changed)
        self.book(trip, items, captured=taken, debt=Decimal(debt or 0), at=changed)
        return trip

    def purchase(self, trip: str, items: Any, *, entry_method: str, ended: datetime, state: str = "PRICED") -> None:
        self.insert(
            "purchase", purchase_id=f"P-{trip}", shopping_trip_id=trip, request_id="r", store_id=self.store_id,
            business_date=DAY, entry_method=entry_method, trip_started_at=ended - timedelta(minutes=9),
            trip_ended_at=ended, state=state, currency=self.currency,
            list_total=sum((i.list_amount for i in items), Decimal(0)),
            promotion_total=sum((Decimal(i.promotion) for i in items), Decimal(0)),
            tax_total=sum((Decimal(i.tax) for i in items), Decimal(0)),
            tax_included_total=sum((i.tax_held for i in items), Decimal(0)),
            total=sum((i.total for i in items), Decimal(0)), body_hash="h", raw_body={}, response_body=b"{}",
            received_at=ended,
        )  # fmt: skip
        for number, item in enumerate(items, 1):
            self.insert(
                "purchase_line", shopping_trip_id=trip, line_number=number, item_id=item.sku, item_type="SKU",
                item_sku=item.sku, quantity=Decimal(item.quantity), unit=item.unit, list_price=Decimal(item.price),
                list_amount=item.list_amount, promotion_amount=Decimal(item.promotion),
                tax_rate=Decimal(item.tax_rate), tax_jurisdiction="US-NY", tax_amount=Decimal(item.tax),
                tax_included=item.tax_included, total=item.total,
            )  # fmt: skip

    def charge(
        self, trip: str, total: Decimal, *, state: str, captured: Decimal, ended: datetime, changed: datetime
    ) -> None:
        initiated = total if state == "CAPTURE_INITIATED" else Decimal(0)
        self.insert(
            "charge", shopping_trip_id=trip, store_id=self.store_id, currency=self.currency, total=total, state=state,
            captured=captured, capture_initiated=initiated, expires_at=ended + timedelta(hours=46),
            created_at=ended, updated_at=changed, to_book=False,
        )  # fmt: skip

    def debt(self, trip: str, amount: str, at: datetime) -> None:
        self.insert(
            "debt", shopping_trip_id=trip, store_id=self.store_id, cause="ADJUST_DECLINED", currency=self.currency,
            amount=Decimal(amount), opened_at=at,
        )  # fmt: skip
        self.insert(
            "charge_event", shopping_trip_id=trip, kind="DEBT_OPENED", amount=Decimal(amount), currency=self.currency,
            happened_at=at, heard_at=at, source="CLOCK", source_id="opened",
        )  # fmt: skip

    def debt_event(self, trip: str, kind: str, amount: str, at: datetime, *, to_book: bool = False) -> None:
        """What happened to a debt; its row is not touched."""
        self.insert(
            "debt_event", shopping_trip_id=trip, kind=kind, amount=Decimal(amount), currency=self.currency,
            happened_at=at, actor="fay", source=f"test:{next(_numbers)}", details={"method": "CASH"}, to_book=to_book,
        )  # fmt: skip

    def order(
        self, trip: str, items: Any, *, status: str, captured: Decimal, entry_method: str, ended: datetime,
        at: datetime, order_id: str | None = None,
    ) -> None:  # fmt: skip
        order_id = order_id or f"O-{trip}"
        version = {"updated_at": at + timedelta(seconds=1), "window_end": at + timedelta(minutes=15), "sequencer": "1"}
        self.insert(
            "amazon_order", store_id=self.store_id, order_id=order_id, shopping_trip_id=trip, business_date=DAY,
            status=status, entry_method=entry_method, trip_started_at=ended - timedelta(minutes=9),
            trip_ended_at=ended, currency=self.currency, order_total=sum((i.total for i in items), Decimal(0)),
            authorized=Decimal(75), captured=captured, refunded=Decimal(0), **version,
        )  # fmt: skip
        for number, item in enumerate(items, 1):
            self.insert(
                "amazon_order_line", store_id=self.store_id, order_id=order_id, line_number=number, item_sku=item.sku,
                quantity=Decimal(item.quantity), unit=item.unit, list_price=Decimal(item.price), price=item.net,
                promotion=Decimal(item.promotion), tax=Decimal(item.tax), file_id=1, **version,
            )  # fmt: skip

    def book(self, trip: str, items: Any, *, captured: Decimal, debt: Decimal, at: datetime) -> None:
        """The trip's postings in one transaction: sale, tax, what was captured and what is owed."""
        total = sum(i.total for i in items)
        amounts = {
            "sales": -sum(i.list_amount - i.tax_held for i in items),
            "promotions": sum(Decimal(i.promotion) for i in items),
            "tax_payable": -sum(Decimal(i.tax) for i in items),
            "shopper_receivable": total - captured - debt,
            "card_clearing": captured,
            "bad_debt_receivable": debt,
        }
        number = self.connection.execute(
            TABLES["ledger_transaction"]
            .insert()
            .values(source=f"test:{trip}", kind="TEST", store_id=self.store_id, shopping_trip_id=trip,
                    business_date=DAY, happened_at=at)
            .returning(TABLES["ledger_transaction"].c.transaction_id)
        ).scalar_one()  # fmt: skip
        for posting, (account, amount) in enumerate(amounts.items(), 1):
            if amount:
                self.insert(
                    "ledger_posting", transaction_id=number, posting_number=posting, account=account,
                    detail="US-NY" if account == "tax_payable" else "", amount=amount, currency=self.currency,
                )  # fmt: skip

    def hear(
        self,
        trip: str,
        *,
        captured: str | None,
        price: str | None = None,
        tax: str = "0",
        at: datetime = ENDED,
        **detail: Any,
    ) -> None:
        """Amazon's events of a trip: its capture (None: declined), and its cart where it has a price."""
        subtype = "CaptureApproved" if captured is not None else "CaptureDeclined"
        pay = {"amount": {"amount": captured or "8.12", "code": self.currency}, "subtype": subtype, **detail}
        self.event(trip, "PAYMENT", subtype, pay, at)
        if price is not None:
            items = [{"lineNumber": 1, "priceValue": price, "taxValue": tax}]
            self.event(trip, "CART", None, {"currency": self.currency, "items": items}, at)

    def event(self, trip: str, kind: str, subtype: str | None, detail: dict[str, Any], at: datetime) -> None:
        self.insert(
            "feed_event", event_id=f"{trip}-{kind}-{next(_numbers)}", detail_type=kind, subtype=subtype,
            shopping_trip_id=trip, store_id=self.store_id, happened_at=at, received_at=at,
            envelope={"detail": {"shoppingTripId": trip, "storeId": self.store_id, **detail}},
        )  # fmt: skip

    def refund(
        self, trip: str, amount: str, *, instrument: str = "CAPTURE", state: str = "FINAL", is_return: bool = False,
        at: datetime = ENDED,
    ) -> int:  # fmt: skip
        """What we gave back of a trip, not booked; the refund's id."""
        requests = TABLES["refund_request"]
        number = self.connection.execute(
            requests.insert().values(
                asked_key=f"{trip}-{next(_numbers)}", shopping_trip_id=trip, store_id=self.store_id,
                currency=self.currency, amount=Decimal(amount), reason="OTHER", requested_by="finance",
                requested_at=at, state="DONE", is_return=is_return,
            ).returning(requests.c.request_id)
        ).scalar_one()  # fmt: skip
        refunds = TABLES["refund"]
        return int(self.connection.execute(
            refunds.insert().values(
                request_id=number, shopping_trip_id=trip, store_id=self.store_id, instrument=instrument,
                refund_request_key=f"{trip}-{next(_numbers)}", currency=self.currency, amount=Decimal(amount),
                state=state, initiated_at=at, final_at=at if state == "FINAL" else None,
            ).returning(refunds.c.refund_id)
        ).scalar_one())  # fmt: skip

    def refund_event(self, refund_id: int, trip: str, kind: str, amount: str, at: datetime, *, to_book: bool) -> None:
        """News of a refund."""
        self.insert(
            "refund_event", refund_id=refund_id, shopping_trip_id=trip, store_id=self.store_id, kind=kind,
            amount=Decimal(amount), currency=self.currency, happened_at=at, source=f"test:{next(_numbers)}",
            to_book=to_book,
        )  # fmt: skip

    def post(self, trip: str, *, day: date = DAY, kind: str = "TEST", **amounts: str) -> None:
        """A transaction of the trip in the ledger, debits positive."""
        transactions = TABLES["ledger_transaction"]
        number = self.connection.execute(
            transactions.insert().values(
                source=f"test:{trip}:{next(_numbers)}", kind=kind, store_id=self.store_id, shopping_trip_id=trip,
                business_date=day, happened_at=ENDED,
            ).returning(transactions.c.transaction_id)
        ).scalar_one()  # fmt: skip
        for posting, (account, amount) in enumerate(amounts.items(), 1):
            self.insert(
                "ledger_posting", transaction_id=number, posting_number=posting, account=account, detail="",
                amount=Decimal(amount), currency=self.currency,
            )  # fmt: skip

    def pay_out(self, trip: str | None, amount: str, *, reference: str = "pay-1", kind: str = "CAPTURE") -> None:
        self.insert(
            "processor_payout_line", processor="SANDBOX", payout_id=f"po-{next(_numbers)}", line_number=1, kind=kind,
            reference=reference, shopping_trip_id=trip, amount=Decimal(amount), currency=self.currency,
            paid_out_on=DAY, received_at=ENDED,
        )  # fmt: skip

    def ask(self, trip: str, kind: str = "BAD_CART") -> None:
        self.insert(
            "review_case", kind=kind, subject=trip, store_id=self.store_id, asked_by="purchases", question="?",
            known={}, choices=[], opened_at=ENDED,
        )  # fmt: skip

    def reconcile(self, *, complete: bool = True, now: datetime = NEXT_MORNING) -> RunSummary:
        return reconcile_day(self.connection, store_id=self.store_id, business_date=DAY, complete=complete, now=now)

    def breaks(self, *, opened: bool = True) -> list[tuple[str, int, str]]:
        """(trip, line, kind) of each break that is open (or of all)."""
        rows = self.connection.execute(
            text(
                "select shopping_trip_id, line_number, kind from reconciliation_break where store_id = :store_id "
                "and (closed_at is null or not :opened) order by shopping_trip_id, line_number, kind"
            ),
            {"store_id": self.store_id, "opened": opened},
        )
        return [tuple(row) for row in rows]

    def outcome(self, trip: str) -> tuple[str, str]:
        """(outcome, note) of a trip."""
        row = self.connection.execute(
            text("select outcome, note from reconciliation_trip where shopping_trip_id = :trip"), {"trip": trip}
        ).one()
        return row.outcome, row.note


@pytest.fixture
def books(database: Engine) -> Iterator[Books]:
    """A new store in New York, in a transaction that is rolled back."""
    with database.connect() as connection:
        made = Books(connection, f"STORE-{next(_numbers):03}")
        open_store(made)
        yield made
        connection.rollback()


def open_store(books: Books, zone: str = "America/New_York", feeds: tuple[str, ...] = ("FILES",)) -> None:
    """The row that every other table refers to."""
    books.insert(
        "store", store_id=books.store_id, name=f"Shop {books.store_id}", merchant="test", time_zone=zone,
        currency=books.currency, tax_jurisdiction="US-NY", risk_strategy="RETAILER_MANAGED",
        preauthorization_amount=Decimal(75), feeds=list(feeds),
    )  # fmt: skip
