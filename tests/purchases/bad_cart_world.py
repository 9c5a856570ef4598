"""A store of its own for each test, and carts that the connector's own code has recorded without a price."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, text

from backroom.purchases.cart import AuthEvent, Cart
from backroom.purchases.cart_resolution import Resolution, resolve
from backroom.purchases.pricing import CartItem
from backroom.purchases.recording import record_purchase

STARTED = datetime(2026, 3, 22, 17, 0, tzinfo=UTC)
ENDED = STARTED + timedelta(minutes=9)
LATER = STARTED + timedelta(hours=2)
EXPIRES = STARTED + timedelta(hours=46)
MARGIN = EXPIRES - timedelta(hours=8)
_numbers = itertools.count(1)

Line = tuple[str, str] | tuple[str, str, str]  # item, quantity, unit


@dataclass
class Shop:
    """MILK 2.00 and SOAP 3.00 by the unit (10 % tax on SOAP), HAM 20.00 by the kg, BREAD without a price."""

    engine: Engine
    store_id: str

    @classmethod
    def opened(cls, engine: Engine) -> Shop:
        """A new store with its catalog and prices."""
        shop = cls(engine, f"BAD-{next(_numbers):03}")
        shop.do(
            "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
            " preauthorization_amount, feeds) values (:store, 'a store', 'm', 'America/New_York', 'USD', 'X',"
            " 'RETAILER_MANAGED', 75, '{FILES}')"
        )
        shop.do("insert into catalog_run (business_date, source, state, started_at) values (:day, 's', 'DONE', now())"
                " on conflict do nothing", day=STARTED.date())  # fmt: skip
        for sku, unit, price in (("MILK", "unit", "2"), ("SOAP", "unit", "3"), ("HAM", "kg", "20")):
            shop.sells(sku, unit=unit, price=price)
        shop.sells("BREAD", price=None)
        shop.do("insert into tax_rate values (:store, 'GOODS', '2026-01-01Z', null, 'US-NY', 0.1)")
        shop.do("update catalog_item set product_tax_code = 'GOODS' where store_id = :store and item_sku = 'SOAP'")
        return shop

    def do(self, statement: str, **values: Any) -> Any:
        with self.engine.begin() as connection:
            return connection.execute(text(statement), {"store": self.store_id, **values})

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), {"store": self.store_id, **values})]

    def sells(self, sku: str, *, unit: str = "unit", price: str | None = "1") -> None:
        """The catalog knows the product, and the price book its price (per unit)."""
        self.do(
            "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, unit, seen_in_run)"
            " values (:store, :sku, '{}', 'h', 'an item', :unit, 1)", sku=sku, unit=unit,
        )  # fmt: skip
        if price is not None:
            self.prices(sku, price)

    def prices(self, sku: str, price: str) -> None:
        self.do("insert into shelf_price values (:store, :sku, '2026-01-01Z', null, :price, 'USD')",
                sku=sku, price=Decimal(price))  # fmt: skip

    def cart(self, *lines: Line, kind: str = "SKU", started: datetime = STARTED) -> str:
        """Records a cart of these lines, entered by card; returns its trip's id."""
        trip = f"{self.store_id}-T{next(_numbers)}"
        items = tuple(
            CartItem(number, line[0], kind, Decimal(line[1]), line[2] if len(line) > 2 else "unit")
            for number, line in enumerate(lines, 1)
        )
        cart = Cart("r", trip, self.store_id, started, started + (ENDED - STARTED), (AuthEvent("e", False),), items)
        with self.engine.begin() as connection:
            record_purchase(connection, cart, "{}", now=ENDED, new_id=lambda: f"P-{trip}")
        return trip

    def resolve(
        self,
        trip: str,
        mapped: dict[int, str] | None = None,
        dropped: tuple[int, ...] = (),
        *,
        by: str = "kim",
        now: datetime = LATER,
        reason: str = "seen on the shelf",
    ) -> Resolution:
        with self.engine.begin() as connection:
            return resolve(connection, trip, mapped=mapped or {}, dropped=dropped, by=by, reason=reason, now=now)

    def stands(self, trip: str) -> tuple[Any, ...]:
        """(state, total of the purchase, total of the charge)."""
        return self.rows(
            "select purchase.state, purchase.total, charge.total from purchase"
            " left join charge using (shopping_trip_id) where shopping_trip_id = :trip", trip=trip,
        )[0]  # fmt: skip

    def lines(self, trip: str) -> list[tuple[Any, ...]]:
        """(SKU, total, whether dropped) of each line."""
        return self.rows(
            "select item_sku, total, dropped_at is not null from purchase_line where shopping_trip_id = :trip"
            " order by line_number", trip=trip,
        )  # fmt: skip

    def cases(self, trip: str) -> list[tuple[Any, ...]]:
        """(decision, who) of each case about the trip."""
        return self.rows("select decision, decided_by from review_case where subject = :trip order by case_id",
                         trip=trip)  # fmt: skip

    def stock(self, trip: str) -> dict[str, Decimal]:
        """What the trip has taken out, by SKU."""
        return dict(
            self.rows(
                "select item_sku, -sum(quantity) from stock_moved where store_id = :store and source = :trip"
                " group by 1 having sum(quantity) <> 0",
                trip=trip,
            )
        )
