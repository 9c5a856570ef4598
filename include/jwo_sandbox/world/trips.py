"""The day's trips: who comes when and how, with which cart, and what goes wrong at the gate and with the cart."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from jwo_sandbox import instants
from jwo_sandbox.world.assortment import Article, Assortment
from jwo_sandbox.world.baskets import Basket, SourceLine

SHARES = {
    "DENIED": 0.01,
    "DENIED_THEN_CARD": 0.005,
    "FLAGGED": 0.003,
    "ASSOCIATE": 0.008,
    "EMPTY": 0.01,
    "UNKNOWN_SKU": 0.004,
    "SCANCODE": 0.015,
    "GROUP": 0.005,
}
"""Share of each special kind; at least one trip of each. The others are ORDINARY."""
REPEATED = {"TWICE": 0.01, "PARALLEL": 0.01}
BY_APP = 0.5
BY_TOKEN = 0.6
CONVERSIONS = {"lb": ("lb", "lb", "oz"), "kg": ("kg", "kg", "g")}
ASSOCIATES = 3


@dataclass
class Shoppers:
    """Everybody who may ask to come in, as the retailer's file lists them."""

    rng: random.Random
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of_household(self, household_id: int, *, flagged: bool = False) -> dict[str, Any]:
        """A household's shopper, who has an opaque key or a token."""
        shopper_id = f"shopper-{household_id:04d}" + ("-flagged" if flagged else "")
        return self._known(shopper_id, "SHOPPER", flagged=flagged)

    def associate(self, number: int) -> dict[str, Any]:
        """One of the store's people."""
        return self._known(f"associate-{number:02d}", "ASSOCIATE", flagged=False)

    def _known(self, shopper_id: str, kind: str, *, flagged: bool) -> dict[str, Any]:
        if shopper_id not in self.rows:
            token = f"{self.rng.getrandbits(84):021x}"
            by_token = kind == "SHOPPER" and self.rng.random() < BY_TOKEN
            self.rows[shopper_id] = {
                "shopper_id": shopper_id,
                "type": kind,
                "flagged": flagged,
                "keys": [] if by_token else [f"{shopper_id}-{token[:8]}"],
                "tokens": [token] if by_token else [],
            }
        return self.rows[shopper_id]


def make_trips(
    baskets: dict[str, Basket],
    assortment: Assortment,
    day: date,
    time_zones: dict[str, str],
    *,
    unknown_products: list[int],
    rng: random.Random,
) -> tuple[list[dict[str, Any]], Shoppers]:
    """One trip per basket, by trip id; and the shoppers that they need."""
    shoppers = Shoppers(rng)
    kinds = _kinds(len(baskets), rng)
    trips = []
    for (trip_id, basket), kind in zip(baskets.items(), kinds, strict=True):
        zone = time_zones[basket.store_id]
        ended = datetime.combine(day, basket.time_of_day.replace(microsecond=0), ZoneInfo(zone))
        ended_at = instants.from_datetime(ended)
        minutes = 2 + min(40, len(basket.lines)) * 0.5 + rng.random() * 4
        started_at = ended_at - int(minutes * 60) * instants.SECOND
        trip = {
            "shopping_trip_id": trip_id,
            "store_id": basket.store_id,
            "business_date": instants.business_date(ended_at, zone).isoformat(),
            "kind": kind,
            "started_at": instants.text(started_at),
            "ended_at": instants.text(ended_at),
            "source_basket": basket.basket_id,
            **_entries(kind, basket, started_at, shoppers, rng),
            "cart": _cart(kind, basket, assortment, unknown_products, rng),
            "repeat": {"gate": _repeat(rng), "purchases": _repeat(rng)},
        }
        trips.append(trip)
    trips.sort(key=lambda trip: (trip["ended_at"], trip["shopping_trip_id"]))
    return trips, shoppers


def trip_ids(count: int, rng: random.Random) -> list[str]:
    """Ids as Amazon makes them: they look like UUIDs, and not all of them are."""
    return [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(count)]


def _kinds(count: int, rng: random.Random) -> list[str]:
    special = [kind for kind, share in SHARES.items() for _ in range(max(1, int(share * count + 0.5)))]
    kinds = special[:count] + ["ORDINARY"] * (count - len(special))
    rng.shuffle(kinds)
    return kinds


def _entries(kind: str, basket: Basket, started_at: int, shoppers: Shoppers, rng: random.Random) -> dict[str, Any]:
    at = started_at
    if kind in ("DENIED", "DENIED_THEN_CARD"):
        refused = {**_event("SCAN_CODE", at, rng), "key": f"unknown-key-{rng.getrandbits(32):08x}"}
        then_card = _event("FINANCIAL", at + 20 * instants.SECOND, rng) if kind == "DENIED_THEN_CARD" else None
        return {"entries": [refused], "then_card": then_card}
    if kind == "FLAGGED":
        return {"entries": [_scan(shoppers.of_household(basket.household_id, flagged=True), at, rng)]}
    if kind == "ASSOCIATE":
        return {"entries": [_scan(shoppers.associate(1 + rng.randrange(ASSOCIATES)), at, rng)]}
    if kind == "GROUP":
        first = _scan(shoppers.of_household(basket.household_id), at, rng)
        other = _scan(shoppers.of_household(basket.household_id + 5000), at + 4 * instants.SECOND, rng)
        return {"entries": [first, other]}
    if rng.random() < BY_APP:
        return {"entries": [_scan(shoppers.of_household(basket.household_id), at, rng)]}
    return {"entries": [_event("FINANCIAL", at, rng)]}


def _scan(shopper: dict[str, Any], at: int, rng: random.Random) -> dict[str, Any]:
    event = _event("SCAN_CODE", at, rng)
    if shopper["tokens"]:
        return {**event, "token": shopper["tokens"][0], "code_age_ms": rng.randrange(500, 25_000)}
    return {**event, "key": shopper["keys"][0]}


def _event(method: str, at: int, rng: random.Random) -> dict[str, Any]:
    return {"id": str(uuid.UUID(int=rng.getrandbits(128))), "at": instants.text(at), "method": method}


def _cart(
    kind: str, basket: Basket, assortment: Assortment, unknown_products: list[int], rng: random.Random
) -> list[dict[str, str]]:
    if kind in ("EMPTY", "ASSOCIATE"):
        return []
    cart = [_item(line, assortment.articles[line.product_id], rng) for line in basket.lines]
    if kind == "SCANCODE":
        chosen = rng.randrange(len(cart))
        article = assortment.articles[basket.lines[chosen].product_id]
        cart[chosen] = {**cart[chosen], "id": rng.choice((article.barcode, *article.more_barcodes)), "type": "SCANCODE"}
    if kind == "UNKNOWN_SKU":
        strange = rng.choice(unknown_products) if unknown_products else 99_999_999
        cart.insert(
            rng.randrange(len(cart) + 1), {"id": f"SKU-{strange}", "type": "SKU", "quantity": "1.0", "unit": "unit"}
        )
    return cart


def _item(line: SourceLine, article: Article, rng: random.Random) -> dict[str, str]:
    found = {"id": article.sku, "type": "SKU", "quantity": f"{line.quantity}.0", "unit": "unit"}
    if article.unit != "unit":
        weight = rng.randrange(200, 2500) * min(line.quantity, 4)
        unit = rng.choice(CONVERSIONS[article.unit])
        if unit == "g":
            quantity = f"{weight // 2}"
        elif unit == "oz":
            quantity = f"{weight * 16 // 1000}.{weight * 16 % 1000 // 100}"
        else:
            quantity = f"{weight // 1000}.{weight % 1000:03d}"
        found.update(quantity=quantity, unit=unit)
    if rng.random() < 0.1:
        found["barcode"] = article.barcode
    return found


def _repeat(rng: random.Random) -> str:
    place = rng.random()
    for kind, share in REPEATED.items():
        if place < share:
            return kind
        place -= share
    return ""
