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
from zoneinfo import ZoneInfo

from backroom_stack.simulation.world import write_goods
from jwo_sandbox import planting

EAST, OWN = "M-EAST", "M-OWN"
ZONE: Final = "America/New_York"
_STORES: Final[dict[str, dict[str, Any]]] = {
    EAST: {"feeds": ["FILES", "EVENTS"], "risk_strategy": "RETAILER_MANAGED"},
    OWN: {
        "feeds": ["EVENTS"],
        "risk_strategy": "NONE",
        "payment_processor": "SANDBOX",
        "prices_include_tax": True,
    },
}
IN_FILES: Final = sorted(  # in stores with files and events; a payoff's return is booked some hours after its capture
    planting.KINDS | planting.AS_IT_IS | planting.RETAILERS | {"FEEDS"},
    key=lambda kind: (kind != "FOUND_AFTER_PAYOFF", kind),
)
IN_OWN: Final = sorted(planting.IN_PAYOUTS | planting.IN_EVENTS - {"FEEDS"})  # events alone, and a processor of its own
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
    """`fate` of each trip by its id: a kind of break, one of FATES, or nothing."""

    first: date
    last: date
    stores: tuple[str, ...]
    fate: dict[str, str] = field(default_factory=dict)
    trips: list[dict[str, Any]] = field(default_factory=list)

    @property
    def days(self) -> list[date]:
        """Every day of it."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

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
                trips[trip] = {"report": [fate]}
                if fate == "FOUND_AFTER_PAYOFF":
                    trips[trip]["settlement"] = ["LATE"]
        return {"trips": trips, "rates": _OF_FEEDS, "planted_after_minutes": 360, "late_minutes": 480}


def make(folder: Path, *, first: date, last: date, stores: tuple[str, ...], plain: int, seed: int = 5) -> MonthWorld:
    """Writes the files of that world: a trip of each kind at each store that can have it, spread over the days.

    Each store has `plain` trips a day besides, and each fate in turn.
    """
    world = MonthWorld(first, last, stores)
    chance = Random(seed)
    for store in stores:
        _add_trips(world, store, plain, chance)
    world.trips.sort(key=lambda trip: trip["ended_at"])
    start = datetime.combine(first, time(), UTC)
    cents = {f"SKU-{number:03d}": chance.randrange(300, 1600) for number in range(SKUS)}
    write_goods(folder, stores, cents, start)
    _write_json(folder / "stores.json", [_store(one) for one in stores])
    _write_json(
        folder / "shoppers.json", [_shopper(one) for one in sorted({_who(trip) for trip in world.trips} - {""})]
    )
    (folder / "trips.jsonl").write_text("".join(json.dumps(trip) + "\n" for trip in world.trips))
    _write_json(folder / "world.json", {"date": first.isoformat(), "seed": seed})
    return world


def kinds_of(store: str) -> list[str]:
    """The kinds of break that are planted at that store."""
    return IN_OWN if store == OWN else IN_FILES


def _add_trips(world: MonthWorld, store: str, plain: int, chance: Random) -> None:
    kinds = kinds_of(store)
    by_day: dict[date, list[str]] = {day: [""] * plain for day in world.days}
    for number, kind in enumerate(kinds):
        by_day[world.days[number % len(world.days)]].append(kind)
    for number, fate in enumerate(() if store == OWN else FATES * (1 + len(world.days) // len(FATES))):
        # what comes of a fate takes days: it befalls all but the last ones
        by_day[world.days[number % max(1, len(world.days) - 3)]].append(fate)
    for day, fates in by_day.items():
        for number, fate in enumerate(fates):
            _add_trip(world, store, day, number, fate, chance)


def _add_trip(world: MonthWorld, store: str, day: date, number: int, fate: str, chance: Random) -> None:
    ended = datetime.combine(day, time(6), ZoneInfo(ZONE)).astimezone(UTC)
    ended += timedelta(minutes=5 + 4 * number)
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
        "time_zone": ZONE,
        "currency": "USD",
        "tax_jurisdiction": f"US-{store}",
        "preauthorization_amount": "75.00",
        **_STORES[store],
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _write_json(path: Path, what: Iterable[Any]) -> None:
    path.write_text(json.dumps(what, indent=1))
