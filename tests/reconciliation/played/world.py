"""The world of a played month: its stores, its shoppers, its trips, and what befalls each of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from backroom_stack.simulation.world import write_goods
from jwo_sandbox import planting
from tests.reconciliation.played import hours

EAST, OWN, NEW = "M-EAST", "M-OWN", "M-NEW"
_STORES: Final[dict[str, dict[str, Any]]] = {
    EAST: {
        "time_zone": "America/New_York",
        "currency": "USD",
        "feeds": ["FILES", "EVENTS"],
        "risk_strategy": "RETAILER_MANAGED",
    },
    OWN: {
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
        "feeds": ["EVENTS"],
        "risk_strategy": "NONE",
        "payment_processor": "SANDBOX",
        "prices_include_tax": True,
    },
    NEW: {
        "time_zone": "Europe/Helsinki",
        "currency": "EUR",
        "feeds": ["FILES"],
        "risk_strategy": "AMAZON_MANAGED",
    },
}
"""One whose payment Amazon makes; one that charges by itself; and one that may open later, which has no events."""
_BY_FILES: Final = planting.KINDS | planting.AS_IT_IS | planting.RETAILERS
KINDS: Final[dict[str, list[str]]] = {
    # a payoff's return is booked some hours after its capture, so that its trip comes first
    store: sorted(kinds, key=lambda kind: (kind != "FOUND_AFTER_PAYOFF", kind))
    for store, kinds in {
        EAST: _BY_FILES | {"FEEDS"},
        OWN: planting.IN_PAYOUTS | planting.IN_EVENTS - {"FEEDS"},
        NEW: _BY_FILES,
    }.items()
}
"""The kinds of break that each store can have, in the order in which they are planted."""
TOGETHER: Final = (
    "TAX+TAX",
    "PRICE+TAX",
    "QUANTITY+PROMOTION",
    "LINE+PRICE",
    "OVER_CAPTURED+TAX",
    "ENTRY_METHOD+PRICE",
)
"""Kinds that are planted in one trip, in the stores with files; each of a line in a line of its own."""
FATES: Final = (
    "PAYS_DEBT",
    "FORGIVEN",
    "HALF",
    "DECLINED_LATE",
    "BRINGS_ALL_BACK",
    "BRINGS_ONE_BACK",
    "EMPTY",
    "ASSOCIATE",
    "WAITS",
)
"""What befalls trips without a break; every other one is plainly captured."""
_FAULTS: Final[dict[str, dict[str, list[str]]]] = {
    "PAYS_DEBT": {"adjust": ["DECLINED"] * 9},
    "FORGIVEN": {"adjust": ["DECLINED"] * 9},
    "MISSING_CHARGE": {"adjust": ["DECLINED"] * 9},
    "HALF": {"adjust": ["PARTIAL"] * 9},
    "DECLINED_LATE": {"settlement": ["DECLINED"]},
    "WAITS": {"adjust": ["PENDING"]},
}
_OF_FEEDS: Final = {
    "file": {"ANNOUNCED_TWICE": 0.1, "REWRITTEN": 0.2, "BROKEN_ROW": 0.2},
    "event": {"DELIVERED_TWICE": 0.2},
}
SKUS: Final = 12
NAMES: Final = uuid.UUID("2f6f3a4e-53c0-4cb9-8d3a-9d2f7f1c8e11")


@dataclass
class MonthWorld:
    """`fate` of each trip by its id: a kind of break, several (with + between), one of FATES, or nothing.

    `opens` says on which day a store opens, where that is not the first.
    """

    first: date
    last: date
    stores: tuple[str, ...]
    opens: dict[str, date] = field(default_factory=dict)
    fate: dict[str, str] = field(default_factory=dict)
    trips: list[dict[str, Any]] = field(default_factory=list)

    def days(self, store: str) -> list[date]:
        """Every day of it on which the store is open."""
        first = self.opens.get(store, self.first)
        return [first + timedelta(days=number) for number in range((self.last - first).days + 1)]

    def trips_of(self, store: str, day: date) -> list[dict[str, Any]]:
        """The store's trips that ended on that day by its clock."""
        return [one for one in self.trips if one["store_id"] == store and one["business_date"] == day.isoformat()]

    def with_fate(self, *fates: str) -> list[str]:
        """Ids of the trips that have one of these."""
        return [trip for trip, fate in self.fate.items() if fate in fates]

    def plan(self) -> dict[str, Any]:
        """The sandbox's fault plan. An order is told as it is, and taken for evidence, before the break is in it."""
        trips: dict[str, dict[str, list[str]]] = {}
        for trip, fate in self.fate.items():
            if fate in _FAULTS:
                trips[trip] = _FAULTS[fate]
            elif fate and fate not in (*FATES, *planting.RETAILERS):
                trips[trip] = {"report": fate.split("+")}
                if fate == "FOUND_AFTER_PAYOFF":
                    trips[trip]["settlement"] = ["LATE"]
        return {"trips": trips, "rates": _OF_FEEDS, "planted_after_minutes": 360, "late_minutes": 480}


def make(
    folder: Path, *, first: date, last: date, stores: tuple[str, ...], plain: int, opens: dict[str, date] | None = None,
    seed: int = 5,
) -> MonthWorld:  # fmt: skip
    """Writes the files of that world: a trip of each kind at each store that can have it, spread over the days.

    Each store has `plain` trips a day besides, more where its clock changes, and each fate in turn. Where `last` ends a
    month, each has a trip that ends minutes later and is of the next.
    """
    world = MonthWorld(first, last, stores, opens or {})
    chance = Random(seed)
    for store in stores:
        _add_trips(world, store, plain, chance)
    world.trips.sort(key=lambda trip: trip["ended_at"])
    start = datetime.combine(first, time(), UTC)
    cents = {f"SKU-{number:03d}": chance.randrange(300, 1600) for number in range(SKUS)}
    write_goods(folder, stores, cents, start, currencies={one: currency_of(one) for one in stores})
    _write_json(folder / "stores.json", [_store(one) for one in stores])
    _write_json(
        folder / "shoppers.json", [_shopper(one) for one in sorted({_who(trip) for trip in world.trips} - {""})]
    )
    (folder / "trips.jsonl").write_text("".join(json.dumps(trip) + "\n" for trip in world.trips))
    opening = {store: day.isoformat() for store, day in world.opens.items()}
    _write_json(folder / "world.json", {"date": first.isoformat(), "seed": seed, "opens": opening})
    return world


def planted_in(store: str) -> list[str]:
    """What is planted at that store, by trip."""
    return [*KINDS[store], *(TOGETHER if has_files(store) else ())]


def zone_of(store: str) -> str:
    """The store's time zone."""
    return str(_STORES[store]["time_zone"])


def currency_of(store: str) -> str:
    """The store's currency."""
    return str(_STORES[store]["currency"])


def has_files(store: str) -> bool:
    """Whether Amazon's files tell of it."""
    return "FILES" in _STORES[store]["feeds"]


def _add_trips(world: MonthWorld, store: str, plain: int, chance: Random) -> None:
    days, planted = world.days(store), planted_in(store)
    by_day: dict[date, list[str]] = {day: [] for day in days}
    for number, kinds in enumerate(planted):
        by_day[days[number * (len(days) - 1) // (len(planted) - 1)]].append(kinds)
    for number, fate in enumerate(() if store == OWN else FATES * (1 + len(days) // len(FATES))):
        # what comes of a fate takes days: it befalls all but the last ones
        by_day[days[number % max(1, len(days) - 3)]].append(fate)
    for day, fates in by_day.items():
        changes = hours.clock_change(day, zone_of(store)) is not None
        some = plain + (len(hours.AROUND_A_CHANGE) if changes else 0)
        _add_day(world, store, day, fates, some, chance)
    if (after := world.last + timedelta(days=1)).day == 1:
        _add_trip(world, store, after, 0, hours.bounds(after, zone_of(store))[0] + 2 * hours.MINUTE, "", chance)


def _add_day(world: MonthWorld, store: str, day: date, fates: list[str], plain: int, chance: Random) -> None:
    """That day's trips. What comes of a break in files takes hours, which the last day has only after its morning."""
    zone = zone_of(store)
    if day == world.last and has_files(store):
        moments = [*hours.in_the_morning(day, zone, len(fates)), *hours.over_the_day(day, zone, plain, chance)]
    else:
        moments = hours.over_the_day(day, zone, len(fates) + plain, chance)
        if chance.random() < 0.5 and has_files(store):  # else what is planted comes first, at the edges of the day
            chance.shuffle(moments)
    for number, (ended, fate) in enumerate(zip(moments, [*fates, *[""] * plain], strict=True)):
        _add_trip(world, store, day, number, ended, fate, chance)


def _add_trip(
    world: MonthWorld, store: str, day: date, number: int, ended: datetime, fate: str, chance: Random
) -> None:
    name = f"{store}-{day:%m%d}-{number:02d}" + (".x" if fate == "UNPRICED" else "")
    began = ended - timedelta(minutes=4)
    entry = {"id": str(uuid.uuid5(NAMES, name)), "at": _text(began), "method": "FINANCIAL"}
    by_app = store == OWN or number % 2 == 1
    if fate == "ASSOCIATE" or by_app:
        shopper = "associate" if fate == "ASSOCIATE" else f"shopper-of-{name}"
        entry |= {"method": "SCAN_CODE", "key": f"key-of-{shopper}"}
    lines = chance.sample(range(SKUS), 2 + number % 2) if fate != "EMPTY" else []
    cart = [
        {"id": f"SKU-{sku:03d}", "type": "SKU", "quantity": f"{chance.randrange(1, 3)}.0", "unit": "unit"}
        for sku in lines
    ]
    if fate == "UNBILLED":
        cart.append({"id": "SKU-NEW", "type": "SKU", "quantity": "1.0", "unit": "unit"})
    world.fate[name] = fate
    world.trips.append(
        {
            "shopping_trip_id": name,
            "store_id": store,
            "business_date": day.isoformat(),
            "kind": fate or "ORDINARY",
            "started_at": _text(began),
            "ended_at": _text(ended),
            "entries": [entry],
            "cart": cart,
            "repeat": {"gate": "", "purchases": ""},
        }
    )


def _who(trip: dict[str, Any]) -> str:
    return str(trip["entries"][0].get("key", "")).removeprefix("key-of-")


def _shopper(name: str) -> dict[str, Any]:
    kind = "ASSOCIATE" if name == "associate" else "SHOPPER"
    return {"shopper_id": name, "type": kind, "flagged": False, "keys": [f"key-of-{name}"], "tokens": []}


def _store(store: str) -> dict[str, Any]:
    return {
        "store_id": store,
        "name": store,
        "merchant": "played",
        "tax_jurisdiction": f"US-{store}",
        "preauthorization_amount": "75.00",
        **_STORES[store],
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _write_json(path: Path, what: Iterable[Any]) -> None:
    path.write_text(json.dumps(what, indent=1))
