"""Shoppers with addresses, trips that were paid and trips that were not, as the portal's pages show them."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, text

from backroom.mailing import Mail, Mailer, MailOutcome, MailState
from backroom.settings import Settings
from backroom.shoppers import contacts
from backroom.shoppers.registry import register
from backroom.shoppers.sealing import Seal, seal_of

NOW = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
"""Trips ended the day before, unless said otherwise."""
_numbers = itertools.count(1)
STORES = {"STORE-001": ("Hudson Yards", "RETAILER_MANAGED", "America/New_York"),
          "STORE-002": ("Mission Bay", "AMAZON_MANAGED", "America/Los_Angeles")}  # fmt: skip
ITEMS = {"SKU-BREAD": "Sourdough bread", "SKU-MILK": "Whole milk, 1 l", "SKU-GRAPES": "Seedless grapes"}


@dataclass
class Postbox:
    """Keeps what it sends; sends on by `behind`, where there is one."""

    behind: Mailer | None = None
    mails: list[Mail] = field(default_factory=list)

    def send(self, mail: Mail) -> MailOutcome:
        self.mails.append(mail)
        return self.behind.send(mail) if self.behind else MailOutcome(MailState.SENT, f"message-{next(_numbers)}")


@dataclass
class Shopping:
    """The world over one database; `engine` may do everything."""

    engine: Engine
    seal: Seal

    def run(self, statement: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]

    def shopper(self, shopper_id: str, address: str) -> None:
        with self.engine.begin() as connection:
            register(connection, shopper_id, "SHOPPER")
            contacts.keep(connection, self.seal, "SHOPPER", shopper_id, address, source="RETAILER", now=NOW)

    def card_holder(self, token: str, address: str) -> None:
        with self.engine.begin() as connection:
            contacts.keep(connection, self.seal, "CARD", token, address, source="AMAZON", now=NOW)

    def trip(
        self,
        shopper: str | None = "ana",
        *,
        paid: bool = True,
        card: str | None = None,
        store: str = "STORE-001",
        at: datetime = NOW - timedelta(days=1),
        named: str = "",
        told: bool = True,
        transaction: str = "",
    ) -> str:
        """Three lines, one promotion, tax: 12.30; captured, or a debt."""
        trip = named or f"trip-{next(_numbers)}"
        values = {
            "trip": trip, "store": store, "shopper": shopper, "card": card, "at": at,
            "began": at - timedelta(minutes=9),
            "day": (at - timedelta(hours=6)).date(), "entry": "APP" if shopper else "CREDIT_CARD",
            "state": "CAPTURED" if paid else "IN_DEBT", "captured": Decimal("12.30") if paid else 0,
        }  # fmt: skip
        self.run(
            "insert into purchase (purchase_id, shopping_trip_id, request_id, store_id, business_date, entry_method,"
            " shopper_id, shopper_identity, trip_started_at, trip_ended_at, state, currency, list_total,"
            " promotion_total, tax_total, total, body_hash, raw_body, response_body, received_at) values"
            " (cast(:trip as text), cast(:trip as text), 'r', :store, :day, :entry, :shopper, :card, :began, :at,"
            " 'PRICED', 'USD', 12.20, 0.75, 0.85, 12.30, 'h', '{\"device\": \"somebody\"}', '', :at)",
            **values,
        )
        promotion = [{"promotion_id": "P1", "kind": "LINE_AMOUNT", "description": "Bakery week", "amount": "0.75"}]
        for number, (sku, quantity, unit, price, listed, off, tax) in enumerate(
            (
                ("SKU-BREAD", "1", "unit", "5.25", "5.25", "0.75", "0.00"),
                ("SKU-MILK", "2", "unit", "1.50", "3.00", "0.00", "0.37"),
                ("SKU-GRAPES", "0.79", "lb", "5.00", "3.95", "0.00", "0.48"),
            ),
            1,
        ):
            self.run(
                "insert into purchase_line (shopping_trip_id, line_number, item_id, item_type, item_sku, quantity,"
                " unit, list_price, price_unit, list_amount, promotions, promotion_amount, product_tax_code, tax_rate,"
                " tax_jurisdiction, tax_amount, total) values (:trip, :number, :sku, 'SKU', :sku, :quantity, :unit,"
                " :price, :unit, :listed, cast(:promotions as jsonb), :off, 'X', :rate, 'NY', :tax,"
                " cast(:listed as numeric) - :off + :tax)",
                trip=trip, number=number, sku=sku, quantity=Decimal(quantity), unit=unit, price=Decimal(price),
                listed=Decimal(listed), off=Decimal(off), tax=Decimal(tax),
                rate=Decimal("0.1225") if Decimal(tax) else None,
                promotions=json.dumps(promotion if number == 1 else []),
            )  # fmt: skip
        self.run(
            "insert into charge (shopping_trip_id, store_id, currency, total, state, captured, expires_at, created_at,"
            " updated_at) values (:trip, :store, 'USD', 12.30, :state, :captured, :at, :at, :at)",
            **{name: values[name] for name in ("trip", "store", "state", "captured", "at")},
        )
        if not paid:
            self.run(
                "insert into debt (shopping_trip_id, store_id, shopper_id, shopper_identity, cause, currency, amount,"
                " opened_at) values (:trip, :store, :shopper, :card, 'CAPTURE_DECLINED', 'USD', 12.30, :at)",
                **{name: values[name] for name in ("trip", "store", "shopper", "card", "at")},
            )
        if told:
            self.run(
                "insert into trip_card (shopping_trip_id, store_id, state, brand, tail, pos_entry_mode, application_id,"
                " expiration_year, expiration_month, card_statement_transaction_id) values (:trip, :store, 'KNOWN',"
                " 'VISA', '4242', 'EMV_9F39_07', 'A0000000031010', '2029', '04', :transaction)",
                trip=trip, store=store, transaction=transaction or f"TX{trip}".upper(),
            )  # fmt: skip
        return trip


def shopping_over(engine: Engine, config: Settings) -> Shopping:
    """Two stores with names for what they sell, and three people."""
    world = Shopping(engine, seal_of(config))
    world.run("insert into catalog_run (business_date, source, state, started_at) values (now(), 's', 'DONE', now())")
    for store_id, (name, strategy, zone) in STORES.items():
        world.run(
            "insert into store (store_id, name, merchant, time_zone, currency, tax_jurisdiction, risk_strategy,"
            " preauthorization_amount, feeds) values (:id, :name, 'm', :zone, 'USD', 'NY', :strategy, 50,"
            " '{FILES,EVENTS}')",
            id=store_id, name=name, strategy=strategy, zone=zone,
        )  # fmt: skip
        for sku, item in ITEMS.items():
            world.run(
                "insert into catalog_item (store_id, item_sku, record, content_hash, item_name, seen_in_run)"
                " select :store, :sku, '{}', 'h', :name, max(run_id) from catalog_run",
                store=store_id, sku=sku, name=item,
            )  # fmt: skip
    world.shopper("ana", "ana@shopper.test")
    world.shopper("bo", "bo@shopper.test")
    world.card_holder("amzn1.card.cy", "cy@shopper.test")
    return world


def link_in(mail: Mail) -> str:
    """The sign-in link in a message."""
    return next(word for word in mail.text.split() if "/sign-in/" in word)
