"""The simulated retailer: four stores, their price files, shoppers, and the trips that the sandbox plays."""

from __future__ import annotations

import csv
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from backroom_stack.simulation.scenario import Scenario

PRODUCTS: Final = 60
PREAUTHORIZATION: Final = "25.00"
STORES: Final = (
    ("SIM-1", "America/New_York", "RETAILER_MANAGED", "none", ["FILES", "EVENTS"]),
    ("SIM-2", "America/Los_Angeles", "AMAZON_MANAGED", "capture_preauth_once", ["FILES"]),
    ("SIM-3", "America/New_York", "AMAZON_MANAGED", "none", ["EVENTS"]),
    ("SIM-4", "America/Los_Angeles", "RETAILER_MANAGED", "capture_preauth_once", ["FILES", "EVENTS"]),
)
"""Id, time zone, who bears the risk, what is done after declines, feeds."""
_KINDS: Final = {"EMPTY": 0.03, "ASSOCIATE": 0.01, "UNKNOWN_SKU": 0.01}
_TAXES: Final = {"TAXED": "0.088750", "EXEMPT": "0.000000"}
_PRICE = ["store_id", "item_sku", "price", "currency", "valid_from", "valid_to"]
_PROMOTION = [
    *("promotion_id", "store_id", "kind", "item_sku", "shopping_trip_id", "percentage", "valid_from", "valid_to"),
    *("description", "amount", "buy_quantity", "get_quantity", "minimum_amount", "stacks", "stacking_order", "loyalty"),
]
_TAX = ["store_id", "product_tax_code", "jurisdiction", "rate", "valid_from", "valid_to"]
_PRODUCT = [
    *("item_sku", "external_product_id", "external_product_id_type", "additional_external_product_ids", "item_name"),
    *("store_id", "standard_price", "brand_name", "product_tax_code", "product_category", "product_subcategory"),
    "unit",
]


def write_world(folder: Path, scenario: Scenario, start: datetime) -> None:
    """Writes the retailer's files and the trips, which end between `start` and the end of the scenario's span.

    The same scenario makes the same trips, as far from `start`.
    """
    chance = scenario.chance("world")
    skus = [f"SKU-{number:03d}" for number in range(PRODUCTS)]
    cents = {sku: chance.randrange(49, 1600) for sku in skus}
    write_goods(folder, [store[0] for store in STORES], cents, start)
    write_stores(folder, backroom=True)
    trips, shoppers = _trips(scenario, start, skus, chance)
    (folder / "shoppers.json").write_text(json.dumps(shoppers))
    (folder / "trips.jsonl").write_text("".join(json.dumps(trip) + "\n" for trip in trips))
    (folder / "world.json").write_text(json.dumps({"date": day_of(start).isoformat(), "seed": scenario.seed}))


def day_of(start: datetime) -> date:
    """The day that has begun at every store by `start` (UTC): the sandbox's clock begins with it, and only goes on."""
    return min(start.astimezone(ZoneInfo(store[1])).date() for store in STORES)


def write_goods(
    folder: Path,
    stores: Sequence[str],
    cents: Mapping[str, int],
    start: datetime,
    *,
    currencies: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Prices, promotions, taxes and the catalog of these stores; `cents` is what each SKU (SKU-000, …) costs.

    `currencies` by store, where it is not USD. Every tenth product is 15 % off, every other one is taxed; all of it
    holds from a month before `start`.
    """
    (folder / "catalog").mkdir(parents=True, exist_ok=True)
    since, skus = _text(start - timedelta(days=30)), list(cents)
    prices = [
        dict(zip(_PRICE, (store, sku, f"{cents[sku] / 100:.2f}", currencies.get(store, "USD"), since, ""), strict=True))
        for store in stores
        for sku in skus
    ]
    _csv(folder / "prices.csv", _PRICE, prices)
    _csv(
        folder / "promotions.csv",
        _PROMOTION,
        [
            {
                "promotion_id": f"P-{store}-{sku}",
                "store_id": store,
                "kind": "LINE_PERCENTAGE",
                "item_sku": sku,
                "percentage": "0.150000",
                "valid_from": since,
                "valid_to": _text(start + timedelta(days=400)),
                "description": "a tenth and a half",
            }
            for store in stores
            for sku in skus[::10]
        ],
    )
    _csv(
        folder / "taxes.csv",
        _TAX,
        [
            dict(zip(_TAX, (store, code, f"US-{store}", rate, since, ""), strict=True))
            for store in stores
            for code, rate in _TAXES.items()
        ],
    )
    for store in stores:
        _csv(folder / "catalog" / f"{store}.csv", _PRODUCT, [_product(store, sku, cents[sku]) for sku in skus])


def write_stores(folder: Path, *, backroom: bool) -> None:
    """The stores as Backroom is told of them; or as the sandbox is: the simulation itself reads order rows there."""
    rows = [
        {
            "store_id": store_id,
            "name": store_id,
            "merchant": "simulated",
            "time_zone": zone,
            "currency": "USD",
            "tax_jurisdiction": f"US-{store_id}",
            "risk_strategy": risk,
            "after_decline": after,
            "preauthorization_amount": PREAUTHORIZATION,
            "feeds": [feed for feed in feeds if backroom or feed != "FILES"],
        }
        for store_id, zone, risk, after, feeds in STORES
    ]
    (folder / "stores.json").write_text(json.dumps(rows, indent=1))


def _trips(
    scenario: Scenario, start: datetime, skus: list[str], chance: Random
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Trips in the order in which they end, and the shoppers behind their keys. Most shoppers come once."""
    shoppers: dict[str, dict[str, Any]] = {}
    trips = []
    for number in range(scenario.trips):
        ended = start + scenario.span * ((number + chance.random()) / scenario.trips)
        began = ended - timedelta(minutes=chance.randrange(2, 20))
        store_id, zone = chance.choice(STORES)[:2]
        kind = chance.choices([*_KINDS, "ORDINARY"], [*_KINDS.values(), 1 - sum(_KINDS.values())])[0]
        entry = {"id": _uuid(chance), "at": _text(began), "method": "FINANCIAL"}
        if kind == "ASSOCIATE" or chance.random() < 0.5:
            shopper = (
                f"associate-{number % 3}" if kind == "ASSOCIATE" else f"shopper-{chance.randrange(scenario.trips)}"
            )
            shoppers[shopper] = {
                "shopper_id": shopper,
                "type": "ASSOCIATE" if kind == "ASSOCIATE" else "SHOPPER",
                "flagged": False,
                "keys": [f"key-of-{shopper}"],
                "tokens": [],
            }
            entry |= {"method": "SCAN_CODE", "key": f"key-of-{shopper}"}
        cart = [
            {"id": chance.choice(skus), "type": "SKU", "quantity": f"{chance.randrange(1, 4)}.0", "unit": "unit"}
            for _ in range(chance.randrange(1, 4) if kind not in ("EMPTY", "ASSOCIATE") else 0)
        ]
        if kind == "UNKNOWN_SKU":
            cart.append({"id": "SKU-UNKNOWN", "type": "SKU", "quantity": "1.0", "unit": "unit"})
        trips.append(
            {
                "shopping_trip_id": _uuid(chance),
                "store_id": store_id,
                "business_date": ended.astimezone(ZoneInfo(zone)).date().isoformat(),
                "kind": kind,
                "started_at": _text(began),
                "ended_at": _text(ended),
                "entries": [entry],
                "cart": cart,
                "repeat": {"gate": "", "purchases": ""},
            }
        )
    return trips, [shoppers[name] for name in sorted(shoppers)]


def _product(store_id: str, sku: str, cents: int) -> dict[str, str]:
    taxed = int(sku[-1]) % 2 == 0
    values = (sku, _barcode(int(sku[-3:])), "UPC", "", sku, store_id, f"{cents / 100:.2f}", "Brand")
    return dict(zip(_PRODUCT, (*values, "TAXED" if taxed else "EXEMPT", "Food", "Food", "unit"), strict=True))


def _barcode(number: int) -> str:
    """A UPC with its check digit."""
    digits = f"70000{number:06d}"
    odd, even = (sum(map(int, digits[start::2])) for start in (0, 1))
    return f"{digits}{-(3 * odd + even) % 10}"


def _uuid(chance: Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128)))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _csv(path: Path, columns: list[str], rows: Iterable[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
