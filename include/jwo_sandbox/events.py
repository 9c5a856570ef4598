"""The near-real-time feed: CART and PAYMENT events on EventBridge, for stores that use it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Any

from jwo_sandbox import exact_json, faults, instants, planting
from jwo_sandbox.aws_resources import ACCOUNT, DELIVERED_TWICE, EVENT_BUS, EVENT_SOURCE
from jwo_sandbox.books import Books
from jwo_sandbox.faults import FaultPlan
from jwo_sandbox.minor_amounts import to_decimal
from jwo_sandbox.retailer_files import Store


@dataclass
class EventLog:
    """Collects entries for `put_events`; whoever sends takes them with `take`."""

    books: Books
    stores: dict[str, Store]
    plan: FaultPlan
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def payment(self, trip: sqlite3.Row, subtype: str, minor: int, at: int) -> None:
        """A payment event; `minor` is in the trip's currency's minor units."""
        approved = subtype.endswith("Approved")
        detail = {
            "subtype": subtype,
            "amount": {"amount": to_decimal(minor, trip["currency"]), "code": trip["currency"]},
            "brand": trip["card_brand"],
            "cardLastFourDigits": trip["card_last_four"],
            "reconciliationId": trip["reconciliation_id"],
            "status": "APPROVED" if approved else "DECLINED",
        }
        self._add("PAYMENT", subtype, trip, detail, at)

    def cart(self, trip: sqlite3.Row, lines: list[sqlite3.Row], at: int) -> None:
        """A cart event: the items with Amazon's view of their prices, before tax (the list price is a unit's)."""
        currency = trip["currency"]
        items = [
            {
                "lineNumber": line["line_number"],
                "merchantSku": line["item_sku"],
                "quantityValue": line["quantity"],
                "quantityUnit": line["unit"],
                "priceValue": str(to_decimal(line["total"] - line["tax_amount"], currency)),
                "taxValue": str(to_decimal(line["tax_amount"], currency)),
                "listPriceValue": line["list_price"] or "0",
                "promotionInfos": [{"promotionValue": str(to_decimal(line["promotion_amount"], currency))}]
                if line["promotion_amount"]
                else [],
            }
            for line in lines
        ]
        detail = {"currency": currency, "items": items}
        for kind in planting.IN_EVENTS.intersection(self.plan.reports(trip["shopping_trip_id"]) if items else ()):
            untold = planting.Planted(kind, trip["shopping_trip_id"], 0, trip["store_id"], trip["business_date"])
            detail, truth = planting.bend_cart(detail, kind, untold)
            if truth is not None:
                self.books.keep(f"planted {truth.trip}", truth.as_json())
        self._add("CART", "", trip, detail, at)

    def take(self) -> list[dict[str, Any]]:
        """What waits to be sent; it no longer waits here."""
        taken, self.waiting = self.waiting, []
        return taken

    def _add(self, kind: str, subtype: str, trip: sqlite3.Row, detail: dict[str, Any], at: int) -> None:
        if "EVENTS" not in self.stores[trip["store_id"]].feeds:
            return
        trip_id = trip["shopping_trip_id"]
        if planting.is_left_to_files(self.plan.reports(trip_id), kind):
            return
        twice = self.plan.fault(f"{trip_id}|{kind}|{subtype}|{at}", "event", 1) == faults.DELIVERED_TWICE
        whole = {
            "shoppingTripId": trip_id,
            "storeId": trip["store_id"],
            "eventTime": instants.text(at),
            **detail,
        }
        self.waiting.append(
            {
                "Source": EVENT_SOURCE,
                "DetailType": kind,
                "EventBusName": EVENT_BUS,
                "Time": instants.to_datetime(at),
                "Detail": exact_json.dumps(whole),
                "Resources": [DELIVERED_TWICE] if twice else [f"arn:aws:justwalkout::{ACCOUNT}:trip/{trip_id}"],
            }
        )
        self.books.execute(
            "insert into sent_event values (?, ?, 1) on conflict do update set count = count + 1", (kind, subtype)
        )
