"""A shop of its own for each test, with a few products, so that the tests of a module share one database."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from backroom.inventory import counting, movements
from backroom.inventory.levels import Level, levels

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@dataclass
class Shop:
    """A store with A and B (sold by the unit) and NUTS (by the kg)."""

    engine: Engine
    store_id: str

    def sell(self, trip: str, *lines: tuple[str, str], at: datetime = NOON, now: datetime | None = None) -> int:
        with self.engine.begin() as connection:
            return movements.post_sale(
                connection,
                store_id=self.store_id,
                shopping_trip_id=self.trip(trip),
                lines=[(sku, Decimal(quantity), unit_of(sku)) for sku, quantity in lines],
                happened_at=at,
                now=now or at,
            )

    def undo(self, trip: str, line_number: int, sku: str, quantity: str, *, now: datetime = NOON) -> bool:
        with self.engine.begin() as connection:
            return movements.undo_sale(
                connection,
                store_id=self.store_id,
                shopping_trip_id=self.trip(trip),
                line_number=line_number,
                item_sku=sku,
                quantity=Decimal(quantity),
                now=now,
            )

    def deliver(self, sku: str, quantity: str, *, note: str = "note-1", at: datetime = NOON) -> bool:
        with self.engine.begin() as connection:
            return movements.deliver(
                connection,
                source=note,
                store_id=self.store_id,
                item_sku=sku,
                quantity=Decimal(quantity),
                unit=unit_of(sku),
                happened_at=at,
                now=at,
            )

    def count(self, sku: str, quantity: str, *, at: datetime = NOON, now: datetime | None = None) -> bool:
        with self.engine.begin() as connection:
            return counting.count_stock(
                connection,
                store_id=self.store_id,
                item_sku=sku,
                quantity=Decimal(quantity),
                unit=unit_of(sku),
                counted_at=at,
                now=now or at,
            )

    def settle(self, *skus: str, now: datetime = NOON) -> int:
        with self.engine.begin() as connection:
            return counting.settle_counts(connection, store_id=self.store_id, item_skus=skus or ["A"], now=now)

    def level(self, sku: str = "A") -> Decimal:
        (level,) = self.levels(sku)
        return level.quantity

    def levels(self, sku: str | None = None) -> list[Level]:
        with self.engine.connect() as connection:
            return levels(connection, store_id=self.store_id, item_sku=sku)

    def summed(self, sku: str = "A") -> Decimal:
        return self.value("select sum(quantity) from stock_movement where store_id = :store and item_sku = :sku", sku)

    def value(self, query: str, sku: str = "A") -> Decimal:
        with self.engine.connect() as connection:
            return connection.execute(text(query), {"store": self.store_id, "sku": sku}).scalar_one()

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), {"store": self.store_id})]

    def trip(self, name: str) -> str:
        """Ids of trips are unique across stores."""
        return f"{self.store_id}-{name}"


def unit_of(sku: str) -> str:
    return "kg" if sku == "NUTS" else "unit"


@pytest.fixture
def shop(database: Engine) -> Shop:
    store_id = f"SHOP-{next(_numbers)}"
    with database.begin() as connection:
        add_store(connection, store_id)
    return Shop(database, store_id)


def add_store(connection: object, store_id: str, skus: Iterable[str] = ("A", "B", "NUTS")) -> None:
    connection.execute(  # type: ignore[attr-defined]
        text(
            "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
            " preauthorization_amount, feeds) values (:store, 'A shop', 'acme', 'America/New_York', 'USD', 'NY',"
            " 'RETAILER_MANAGED', 75, '{FILES}')"
        ),
        {"store": store_id},
    )
    run_id = connection.execute(  # type: ignore[attr-defined]
        text(
            "insert into catalog_run (business_date, source, state, started_at)"
            " values ('2026-11-23', 'test', 'DONE', :now) returning run_id"
        ),
        {"now": NOON},
    ).scalar_one()
    for sku in skus:
        connection.execute(  # type: ignore[attr-defined]
            text(
                "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, unit, seen_in_run)"
                " values (:store, cast(:sku as text), '{}', 'h', cast(:sku as text), :unit, :run)"
            ),
            {"store": store_id, "sku": sku, "unit": unit_of(sku), "run": run_id},
        )
